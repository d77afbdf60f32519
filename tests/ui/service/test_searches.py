"""What the service finds is what the library finds; what cannot be asked names its field."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from search.hits import Results
from search.query import Example, ImageTerm, Query
from search.searcher import Searcher
from tests.ui.service.conftest import WORDS, problem
from ui.service.client import Client
from ui.service.responses import Found

BOX = (0.1, 0.1, 0.6, 0.7)


def same(found: Found, results: Results) -> None:
    """Equal in everything; scores up to the rounding of texts encoded together."""
    assert (found.query, found.model) == (results.query, results.model)
    assert (found.confident, found.searched) == (results.confident, results.searched)
    assert found.notes == list(results.notes)
    assert [hit.id for hit in found.hits] == [hit.id for hit in results.hits]
    assert found.hits, "nothing to compare"
    for hit, expected in zip(found.hits, results.hits, strict=True):
        assert (hit.path, hit.paths) == (expected.path, list(expected.paths))
        assert (hit.width, hit.height) == (expected.width, expected.height)
        assert hit.confident == expected.confident
        assert hit.score == pytest.approx(expected.score, abs=2e-5)
        assert [place.text for place in hit.regions] == [place.text for place in expected.regions]
        for place, region in zip(hit.regions, expected.regions, strict=True):
            assert place.box == pytest.approx(region.box, abs=1e-6)
            assert place.score == pytest.approx(region.score, abs=2e-5)


Both = tuple[Callable[[Client, str], Found], Callable[[Searcher, str], Results]]
ALIKE: dict[str, Both] = {
    "words": (
        lambda client, photo: client.search(WORDS, all=True),
        lambda searcher, photo: searcher.images(WORDS, all=True),
    ),
    "a page": (
        lambda client, photo: client.search(WORDS, all=True, limit=4, offset=3),
        lambda searcher, photo: searcher.images(WORDS, all=True, limit=4, offset=3),
    ),
    "a filter": (
        lambda client, photo: client.search(WORDS, all=True, filter="camera:canon -in:Rome"),
        lambda searcher, photo: searcher.images(WORDS, all=True, filter="camera:canon -in:Rome"),
    ),
    "a filter that nothing fits in part": (
        lambda client, photo: client.search(WORDS, all=True, filter="camera:canon|leica"),
        lambda searcher, photo: searcher.images(WORDS, all=True, filter="camera:canon|leica"),
    ),
    "a composed query": (
        lambda client, photo: client.search("circle left of square", all=True),
        lambda searcher, photo: searcher.images("circle left of square", all=True),
    ),
    "weights": (
        lambda client, photo: client.search("2:circle - red", all=True),
        lambda searcher, photo: searcher.images("2:circle - red", all=True),
    ),
    "places": (
        lambda client, photo: client.regions(WORDS, all=True),
        lambda searcher, photo: searcher.regions(WORDS, all=True),
    ),
    "places of two things": (
        lambda client, photo: client.regions("circle and square", all=True),
        lambda searcher, photo: searcher.regions("circle and square", all=True),
    ),
    "refined places": (
        lambda client, photo: client.regions(WORDS, all=True, limit=2, refine=True),
        lambda searcher, photo: searcher.regions(WORDS, all=True, limit=2, refine=True),
    ),
    "a similar photo": (
        lambda client, photo: client.similar(photo),
        lambda searcher, photo: searcher.similar(photo),
    ),
    "a similar part": (
        lambda client, photo: client.similar(photo, BOX),
        lambda searcher, photo: searcher.similar_region(photo, BOX),
    ),
    "a layout": (
        lambda client, photo: client.layout([("circle", (0, 0, 0.5, 1))], all=True),
        lambda searcher, photo: searcher.layout([("circle", (0, 0, 0.5, 1))], all=True),
    ),
    "the thing in a box": (
        lambda client, photo: client.find_again(photo, boxes=[BOX]),
        lambda searcher, photo: searcher.find_again([Example(photo, box=BOX)]),
    ),
    "the thing at a point": (
        lambda client, photo: client.find_again(photo, points=[(0.5, 0.5)]),
        lambda searcher, photo: searcher.find_again([Example(photo, point=(0.5, 0.5))]),
    ),
    "one thing and not another": (
        lambda client, photo: client.find_again(
            photo, boxes=[BOX], unlike=[(photo, (0.9, 0.9))], refine=True, limit=3
        ),
        lambda searcher, photo: searcher.find_again(
            [Example(photo, box=BOX), Example(photo, point=(0.9, 0.9), positive=False)],
            refine=True,
            limit=3,
        ),
    ),
}


@pytest.mark.parametrize("name", ALIKE)
def test_the_service_finds_what_the_library_finds(
    name: str, client: Client, searcher: Searcher, photo: str
) -> None:
    over_http, in_process = ALIKE[name]
    same(over_http(client, photo), in_process(searcher, photo))


def test_without_all_only_confident_hits_come_back(client: Client, searcher: Searcher) -> None:
    found = client.search("a lighthouse at night")
    assert [hit.id for hit in found.hits] == [
        hit.id for hit in searcher.images("a lighthouse at night").hits
    ]
    assert all(hit.confident for hit in found.hits)


def test_judged_photos_are_part_of_the_question_and_not_of_the_answer(
    client: Client, photo: str
) -> None:
    found = client.search(WORDS, like=[photo], all=True, limit=100)
    assert photo not in {hit.id for hit in found.hits}
    assert found.searched == 29
    assert found.query == f"{WORDS} + {photo}"


@pytest.mark.parametrize("words", ["", "red"])
def test_an_uploaded_picture_is_searched_with(
    words: str, client: Client, searcher: Searcher, photos: Path
) -> None:
    file = photos / "Rome" / "IMG_0003.jpg"
    query = Query.parse(words).texts if words else ()
    picture = searcher.photo(searcher.photo_id(str(file)), side=96)
    expected = searcher.images(Query(query, (ImageTerm(picture),)), all=True, limit=3)
    found = client.search_picture(file, words, all=True, limit=3)
    assert [hit.id for hit in found.hits] == [hit.id for hit in expected.hits]
    places = client.regions_picture(file, words, all=True, limit=3)
    assert places.hits[0].regions


WRONG: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "no words": ("search", {"q": "  "}, "query", "q"),
    "an open quote": ("search", {"q": '"red'}, "query", "q"),
    "a file": ("search", {"q": "/etc/passwd"}, "query", "q"),
    "a file in a scene": ("regions", {"q": "(./secret.jpg) left of dog"}, "query", "q"),
    "another script": ("search", {"q": "собака"}, "query", "q"),
    "only a minus": ("search", {"q": "- red"}, "query", "q"),
    "half a relation": ("search", {"q": "dog left of"}, "query-syntax", "q"),
    "long words": ("search", {"q": "x" * 501}, "invalid", "q"),
    "an unknown filter": ("search", {"q": "red", "filter": "size:3"}, "filter", "filter"),
    "a strange date": ("search", {"q": "red", "filter": "date:yesterday"}, "filter", "filter"),
    "no hits": ("search", {"q": "red", "limit": 0}, "invalid", "limit"),
    "too many hits": ("search", {"q": "red", "limit": 201}, "invalid", "limit"),
    "a page before the first": ("search", {"q": "red", "offset": -1}, "invalid", "offset"),
    "an unknown field": ("search", {"q": "red", "limits": 3}, "invalid", "limits"),
    "another type": ("search", {"q": ["red"]}, "invalid", "q"),
    "an id with a path": ("search", {"like": ["../../etc/passwd"]}, "invalid", "like.0"),
    "an unknown id": ("search", {"like": ["0" * 32]}, "unknown-photo", "like.0"),
    "an unknown unlike": ("search", {"q": "a", "unlike": ["f" * 32]}, "unknown-photo", "unlike.0"),
    "an address as id": ("similar", {"photo": "http://127.0.0.1/x.jpg"}, "invalid", "photo"),
    "an unknown photo": ("similar", {"photo": "0" * 32}, "unknown-photo", "photo"),
    "a box turned around": (
        "similar",
        {"photo": "0" * 32, "box": [0.5, 0, 0.1, 1]},
        "invalid",
        "box",
    ),
    "a box outside": ("similar", {"photo": "0" * 32, "box": [0, 0, 2, 1]}, "invalid", "box.2"),
    "an empty layout": ("layout", {"things": []}, "invalid", "things"),
    "a thing that is a file": (
        "layout",
        {"things": [{"text": "~/x.jpg", "box": [0, 0, 1, 1]}]},
        "query",
        "things.0.text",
    ),
    "a thing that is two": (
        "layout",
        {"things": [{"text": "dog left of cat", "box": [0, 0, 1, 1]}]},
        "query",
        "things.0.text",
    ),
    "no examples": ("find-again", {"examples": []}, "invalid", "examples"),
    "neither box nor point": (
        "find-again",
        {"examples": [{"photo": "0" * 32}]},
        "invalid",
        "examples.0",
    ),
    "only what not": (
        "find-again",
        {"examples": [{"photo": "0" * 32, "point": [0, 0], "positive": False}]},
        "query",
        "examples",
    ),
    "an unknown example": (
        "find-again",
        {"examples": [{"photo": "0" * 32, "point": [0, 0]}]},
        "unknown-photo",
        "examples.0.photo",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_asked_is_said_with_its_field(name: str, http: httpx.Client) -> None:
    route, body, code, field = WRONG[name]
    problem(http.post(f"/v1/{route}", json=body), 422, code, field)


def test_a_query_that_cannot_be_read_is_marked_at_its_spot(http: httpx.Client) -> None:
    words = "dog left of and cat"
    found = problem(http.post("/v1/search", json={"q": words}), 422, "query-syntax", "q")
    error = found["errors"][0]
    assert words[error["start"] : error["end"]] == "and"


def test_refining_many_hits_is_refused(http: httpx.Client) -> None:
    body = {"q": "red", "refine": True, "limit": 21}
    found = problem(http.post("/v1/regions", json=body), 422, "invalid", "refine")
    assert "20" in found["detail"]


def test_a_query_is_explained(client: Client, http: httpx.Client) -> None:
    read = client.explain("dog OR cat date:2023")
    assert (read.reading, read.plain) == ('"dog" OR "cat"', False)
    assert read.lines == ['find "dog" or "cat"', "only photos with date:2023"]
    assert read.filters == ["date:2023"]
    (either, within) = read.parts
    assert (either.role, [part.text for part in either.parts]) == ("or", ["dog", "cat"])
    assert within.role == "filter"
    assert client.explain("tiny dog", by="places").parts[0].role == "thing"
    problem(http.post("/v1/explain", json={"q": "dog left of"}), 422, "query-syntax", "q")
    problem(http.post("/v1/explain", json={"q": "./x.jpg"}), 422, "query", "q")
