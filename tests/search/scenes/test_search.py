"""Composed queries and layouts on a real collection of painted pictures."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from PIL import Image

from indexer.collection import Collection
from indexer.pipeline import index
from search import ranking
from search.errors import QueryError
from search.hits import Results
from search.layout import layout_scene
from search.query import ImageTerm, Query, Term
from search.request import Request
from search.scenes import result_page as scene_page
from search.scenes import search as scene_search
from search.scenes.compose import Board, fulfilling
from search.scenes.language import parse
from search.scenes.scene import Chain, Scene, Thing
from search.scenes.search import SceneSearch
from search.searcher import Searcher
from tests.search.colours import ColourEmbedder, paint, save
from tips_model.errors import TipsError

LEFT, RIGHT = (0.0, 0.25, 0.25, 0.75), (0.75, 0.25, 1.0, 0.75)
TOP, BOTTOM = (0.25, 0.0, 0.5, 0.25), (0.25, 0.75, 0.5, 1.0)
CORNERS = ((0.0, 0.0, 0.25, 0.25), (0.75, 0.0, 1.0, 0.25), (0.0, 0.75, 0.25, 1.0))
PICTURES: dict[str, list[tuple[str, tuple[float, float, float, float]]]] = {
    "red-blue": [("red", LEFT), ("blue", RIGHT)],
    "blue-red": [("blue", LEFT), ("red", RIGHT)],
    "red-over-blue": [("red", TOP), ("blue", BOTTOM)],
    "blue-over-red": [("blue", TOP), ("red", BOTTOM)],
    "red-by-blue": [("red", (0.25, 0.25, 0.5, 0.75)), ("blue", (0.5, 0.25, 0.75, 0.75))],
    "green-in-yellow": [
        ("yellow", (0.0, 0.0, 1.0, 1.0)),
        ("green", (0.25, 0.25, 0.5, 0.75)),
    ],
    "green-by-yellow": [("green", LEFT), ("yellow", (0.5, 0.25, 0.75, 0.75))],
    "one": [("cyan", CORNERS[0])],
    "two": [("cyan", CORNERS[0]), ("cyan", CORNERS[1])],
    "three": [("cyan", corner) for corner in CORNERS],
    "big": [("magenta", (0.0, 0.0, 0.75, 1.0))],
    "lesser": [("magenta", CORNERS[1])],
}


LEFT_ONES = {"red-blue", "red-by-blue", "green-by-yellow", "green-in-yellow"}
RED_AND_BLUE = {"blue-red", "red-over-blue", "blue-over-red"}


@pytest.fixture(scope="module")
def searcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Searcher]:
    """The pictures above and 24 without things."""
    base = tmp_path_factory.mktemp("scenes")
    for number, (name, boxes) in enumerate(PICTURES.items()):
        save(paint("white", boxes, seed=number), base / "photos" / f"{name}.jpg")
    for number in range(24):
        ground = ("white", "black", "grey")[number % 3]
        save(paint(ground, [], seed=100 + number), base / "photos" / "plain" / f"{number}.jpg")
    embedder = ColourEmbedder()
    collection = Collection.create(base / "collection", embedder.info)
    index(collection, [base / "photos"], embedder)
    with Searcher.open(base / "collection", embedder=embedder) as opened:
        yield opened


def names(results: Results) -> set[str]:
    return {Path(hit.path).stem for hit in results.hits}


def found(results: Results, name: str) -> list[tuple[str, tuple[float, ...]]]:
    """The places of one picture: what and where, rounded to the patch grid's quarters."""
    (hit,) = (hit for hit in results.hits if Path(hit.path).stem == name)
    return [(place.text, tuple(np.round(np.array(place.box) * 4) / 4)) for place in hit.regions]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("red left of blue", {"red-blue", "red-by-blue"}),
        ("blue to the right of the red", {"red-blue", "red-by-blue"}),
        ("blue left of red", {"blue-red"}),
        ("red above blue", {"red-over-blue"}),
        ("red below blue", {"blue-over-red"}),
        ("green inside yellow", {"green-in-yellow"}),
        ("green left of yellow and not cyan", {"green-by-yellow", "green-in-yellow"}),
        ("red AND blue AND NOT (red left of blue)", {"blue-red", "red-over-blue", "blue-over-red"}),
        ("not (red left of blue) AND red", {"blue-red", "red-over-blue", "blue-over-red"}),
        ("red NOT blue", set()),
        ("green and not blue", {"green-in-yellow", "green-by-yellow"}),
        (">=2 cyan", {"two", "three"}),
        ("=2 cyan", {"two"}),
        ("<=2 cyan", {"one", "two"}),
        ("exactly one cyan", {"one"}),
        (">=4 cyan", set()),
        ("cyan top right", {"two", "three"}),
        ("cyan bottom left", {"three"}),
        ("HUGE magenta", {"big"}),
        ("magenta at the top", {"lesser"}),
        ("large magenta NOT cyan", {"big"}),
        ("red on the left", {"red-blue", "red-over-blue", "blue-over-red", "red-by-blue"}),
        ("orange left of blue", set()),
        ("orange AND red", set()),
        ("cyan OR green", {"one", "two", "three", "green-in-yellow", "green-by-yellow"}),
        ("(red OR green) left of (blue OR yellow)", LEFT_ONES),
        ("red AND (cyan OR blue) AND NOT (red left of blue)", RED_AND_BLUE),
        ("red left of blue OR cyan bottom left", {"red-blue", "red-by-blue", "three"}),
        ("orange OR magenta", {"big", "lesser"}),
        ("cyan NOT (one OR red OR blue)", {"one", "two", "three"}),
        ("yellow without green", set()),
        ("red -blue", set()),
        ("cyan without red or blue", {"one", "two", "three"}),
        ("2 or more cyan", {"two", "three"}),
        ("between 2 and 4 cyan", {"two", "three"}),
        ("cyan at top right", {"two", "three"}),
        ("red left of blue, right of orange", set()),
    ],
)
def test_composed_queries_find_what_they_say(
    searcher: Searcher, text: str, wanted: set[str]
) -> None:
    for ask in (searcher.images, searcher.regions):
        results = ask(text)
        assert names(results) == wanted
        assert results.confident == len(wanted)
        assert all(hit.confident and hit.score >= 1 for hit in results.hits)
        assert results.query == text


@pytest.mark.parametrize("by", ["photos", "places"])
def test_alternatives_have_the_scores_of_searches_for_them(
    searcher: Searcher, by: Literal["photos", "places"]
) -> None:
    def scores(text: str) -> dict[str, float]:
        found = searcher.search(Request(words=text, by=by, limit=100)).hits
        assert [hit.score for hit in found] == sorted([hit.score for hit in found], reverse=True)
        return {hit.id: hit.score for hit in found}

    red, cyan = scores("red"), scores("cyan")
    either = scores("red OR cyan")
    assert len(red) == 5
    assert len(cyan) == 3
    assert either == pytest.approx(red | cyan, rel=1e-3)  # the store rounds vectors


def test_a_hit_shows_the_alternative_that_holds(searcher: Searcher) -> None:
    results = searcher.regions("(red OR green) left of (blue OR yellow)")
    shown = {Path(hit.path).stem: {place.text for place in hit.regions} for hit in results.hits}
    assert shown == {
        "red-blue": {"red", "blue"},
        "red-by-blue": {"red", "blue"},
        "green-by-yellow": {"green", "yellow"},
        "green-in-yellow": {"green", "yellow"},
    }
    both = searcher.regions("red OR blue")
    assert all({p.text for p in hit.regions} == {"red", "blue"} for hit in both.hits)
    weak = searcher.regions("red OR cyan", all=True, limit=100)
    assert len(weak.hits) == len(PICTURES) + 24
    assert all(len({p.text for p in hit.regions}) == 1 for hit in weak.hits)


def test_what_is_excluded_is_only_taken_away(searcher: Searcher) -> None:
    green = searcher.images("green").hits
    left = searcher.images("green without blue").hits
    assert {hit.id for hit in left} == {hit.id for hit in green}
    assert searcher.images("green without yellow").hits == ()


def test_small_words_are_signs_for_places_only(searcher: Searcher) -> None:
    together = {"red-blue", "blue-red", "red-over-blue", "blue-over-red", "red-by-blue"}
    assert names(searcher.regions("red and blue")) == together
    assert names(searcher.regions("two cyan")) == {"two"}
    for text in ("red and blue", "two cyan"):
        plain = searcher.images(Query((Term(text),)))
        assert searcher.images(text) == plain
        assert all(place.text == "" for hit in plain.hits for place in hit.regions)


def test_hits_show_what_is_where(searcher: Searcher) -> None:
    results = searcher.regions("red left of blue")
    assert found(results, "red-blue") == [("red", LEFT), ("blue", RIGHT)]
    three = searcher.regions(">=3 cyan")
    assert sorted(found(three, "three")) == [("cyan", corner) for corner in sorted(CORNERS)]
    (hit,) = json.loads(three.to_json())["hits"]
    assert {place["text"] for place in hit["regions"]} == {"cyan"}
    assert set(hit["regions"][0]) == {"box", "score", "text"}
    assert {p["text"] for p in three.to_polars()["regions"][0]} == {"cyan"}
    inside = searcher.regions("green inside yellow").hits[0]
    assert inside.regions[0].mask.shape == (8, 12)
    assert [place.text for place in inside.regions] == ["green", "yellow"]


def test_a_thing_is_shown_where_it_looks_most_like_itself() -> None:
    """Not by the largest of all regions that are worth more than the other thing is."""
    squirrel, unicorn = Thing(Query.parse("squirrel"), "squirrel"), Thing(Query.parse("x"), "x")
    wide, tight, other = (0.0, 0.5, 0.54, 1.0), (0.21, 0.56, 0.5, 1.0), (0.57, 0.06, 0.86, 0.5)
    for best, weak in ((1.67, False), (0.67, True)):
        scores = {
            id(squirrel): np.array([[1.87, 3.14, -2.0]], np.float32),
            id(unicorn): np.array([[-2.0, -2.0, best]], np.float32),
        }
        board = Board(np.array([[wide, tight, other]]), scores, np.zeros(1, np.float32))
        chain = Chain((squirrel, unicorn), ("left of",))
        served = [each[0] for each in fulfilling(chain, board)]
        places = scene_page._places(chain, served, board, 0, weak)
        assert [(name, region) for name, region, _ in places] == [("squirrel", 1), ("x", 2)]


def test_refined_places_stay_with_their_things(searcher: Searcher) -> None:
    def near(results: Results, name: str) -> dict[str, list[tuple[float, ...]]]:
        (hit,) = (hit for hit in results.hits if Path(hit.path).stem == name)
        places: dict[str, list[tuple[float, ...]]] = {}
        for place in hit.regions:
            assert place.mask.shape == (96, 144)
            places.setdefault(place.text, []).append(place.box)
        return places

    fine = searcher.regions("red left of blue", refine=True)
    for name, boxes in (("red-blue", (LEFT, RIGHT)), ("red-by-blue", None)):
        places = near(fine, name)
        expected = boxes or [box for _, box in PICTURES[name]]
        np.testing.assert_allclose([places["red"][0], places["blue"][0]], expected, atol=0.03)
    three = near(searcher.regions(">=3 cyan", refine=True), "three")["cyan"]
    np.testing.assert_allclose(sorted(three), sorted(CORNERS), atol=0.03)
    placed = searcher.layout([("red", LEFT), ("blue", RIGHT)], refine=True)
    assert [place.text for place in placed.hits[0].regions] == ["red", "blue"]


def test_a_thing_that_nothing_binds_is_refined_as_if_it_were_asked_alone(
    searcher: Searcher,
) -> None:
    alone = {hit.id: hit for hit in searcher.regions("green", refine=True).hits}
    composed = searcher.regions("green and not blue", refine=True)
    assert len(composed.hits) >= 2
    for hit in composed.hits:
        assert [place.text for place in hit.regions] == ["green"] * len(hit.regions)
        assert hit.regions[0].box == alone[hit.id].regions[0].box


def test_weak_hits_come_after_the_line_and_show_the_nearest_places(searcher: Searcher) -> None:
    whole = searcher.regions("red left of blue", all=True, limit=100)
    assert len(whole.hits) == len(PICTURES) + 24
    scores = [hit.score for hit in whole.hits]
    assert scores == sorted(scores, reverse=True)
    assert [hit.confident for hit in whole.hits] == [True] * 2 + [False] * 34
    assert all({p.text for p in hit.regions} == {"red", "blue"} for hit in whole.hits)
    pages = [
        searcher.regions("red left of blue", all=True, limit=9, offset=start)
        for start in range(0, 36, 9)
    ]
    paged = [hit for page in pages for hit in page.hits]
    # Products of fewer rows at a time may differ in the last bit.
    assert [hit.id for hit in paged] == [hit.id for hit in whole.hits]
    for one, other in zip(paged, whole.hits, strict=True):
        assert [place.box for place in one.regions] == [place.box for place in other.regions]
    np.testing.assert_allclose([hit.score for hit in paged], scores, atol=1e-4)


def test_looking_at_a_few_first_gives_the_same_hits(
    searcher: Searcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    queries = ["red left of blue", "red AND blue AND NOT cyan", ">=2 cyan"]
    whole = [searcher.regions(text) for text in queries]
    monkeypatch.setattr(ranking, "PHOTOS", 2)
    monkeypatch.setattr(scene_search, "CHUNK", 2)
    assert [searcher.regions(text) for text in queries] == whole
    everything = searcher.regions("red left of blue", all=True, limit=36)
    assert len({hit.id for hit in everything.hits}) == 36


def test_filters_and_pictures_go_with_scenes(searcher: Searcher, tmp_path: Path) -> None:
    assert searcher.regions("red left of blue", filter="in:plain").hits == ()
    assert searcher.regions("red left of blue", filter="in:plain").searched == 24
    notes = searcher.regions("red left of blue", filter="camera:leica").notes
    assert any("leica" in note for note in notes)
    path = save(paint("red", []), tmp_path / "red.jpg")
    results = searcher.regions(f"{path} left of blue", all=True, limit=2)
    assert names(results) == {"red-blue", "red-by-blue"}
    memory = Query(images=(ImageTerm(Image.open(path)),))
    laid_out = searcher.layout([(memory, RIGHT), ("blue", LEFT)], all=True, limit=1)
    assert names(laid_out) == {"blue-red"}


def test_a_layout_finds_things_where_they_were_placed(searcher: Searcher) -> None:
    results = searcher.layout([("red", LEFT), ("blue", RIGHT)])
    assert names(results) == {"red-blue"}
    assert found(results, "red-blue") == [("red", LEFT), ("blue", RIGHT)]
    assert results.query == "red at 0,0.25,0.25,0.75, blue at 0.75,0.25,1,0.75"
    roughly = searcher.layout([("red", (0.7, 0.2, 0.95, 0.8))], all=True, limit=1)
    assert names(roughly) == {"blue-red"}
    twice = searcher.layout([("cyan", CORNERS[1]), ("cyan", CORNERS[2])])
    assert names(twice) == {"three"}
    assert searcher.layout([("red", CORNERS[2])]).hits == ()


@pytest.mark.parametrize(
    ("things", "said"),
    [
        ([], "layout is empty"),
        ([("", LEFT)], "query is empty"),
        ([("red", (0.5, 0.0, 0.5, 1.0))], "not inside the picture"),
        ([("red", (0.0, 0.0, 1.2, 1.0))], "not inside the picture"),
        ([("red", (float("nan"), 0.0, 1.0, 1.0))], "not inside the picture"),
        ([("- red", LEFT)], "what not to show"),
    ],
)
def test_a_layout_that_cannot_be_asked_is_refused(things, said: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(QueryError, match=said):
        layout_scene(things)


def test_a_heatmap_shows_all_things_that_must_be_there(searcher: Searcher) -> None:
    (hit,) = (h for h in searcher.regions("red left of blue").hits if "red-blue" in h.path)
    for exact in (False, True):
        heat = searcher.heatmap(hit.id, "red left of blue and not cyan", exact=exact)
        # 192 pixels are enough for two windows a side, which share a quarter.
        assert heat.shape == ((14, 21) if exact else (8, 12))
        cells = np.array(Image.fromarray(heat).resize((12, 8), Image.Resampling.BOX))
        assert cells[2:6, :3].min() > 0.55
        assert cells[2:6, 9:].min() > 0.55
        assert cells[:, 4:8].max() < 0.5


def test_notes_name_what_was_cut_and_another_script_is_refused(searcher: Searcher) -> None:
    long = " ".join(f"word{number}" for number in range(20))
    notes = searcher.regions(f"red left of {long}").notes
    assert any("longer than the model can read" in note and "word19" in note for note in notes)
    for text in ("猫", "red left of 猫", "🐶"):
        with pytest.raises(QueryError, match="is not in Latin letters"):
            searcher.images(text)
    assert searcher.images("café, 2 × naïve").notes == ()


def test_an_empty_page_and_an_empty_collection_are_refused(
    searcher: Searcher, tmp_path: Path
) -> None:
    with pytest.raises(QueryError, match="at least one hit"):
        searcher.regions("red left of blue", limit=0)
    model = ColourEmbedder()
    Collection.create(tmp_path / "c", model.info)
    with Searcher.open(tmp_path / "c", embedder=model) as empty:
        for ask in (lambda: empty.regions("red left of blue"), lambda: empty.layout([("a", LEFT)])):
            with pytest.raises(TipsError, match=r"has no photos yet.*tips index"):
                ask()


def test_a_scene_can_be_made_without_text(searcher: Searcher) -> None:
    scene = layout_scene([("red", LEFT)])
    assert isinstance(scene, Scene)
    assert searcher.regions(scene) == searcher.layout([("red", LEFT)])


def test_single_photos_have_the_scores_that_they_have_in_an_answer(searcher: Searcher) -> None:
    answer = searcher.regions("red left of blue", all=True, limit=36)
    scene = parse("red left of blue", places=True)
    assert isinstance(scene, Scene)
    search = SceneSearch(
        searcher._catalog, searcher._store, searcher._calibrated(), searcher._terms, "web"
    )
    scores = search.scores(scene, [hit.id for hit in answer.hits])
    np.testing.assert_allclose(scores, [hit.score for hit in answer.hits], rtol=1e-5)
