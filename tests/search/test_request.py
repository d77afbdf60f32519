"""A question is checked when it is made, and read when it is asked."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

import search
from indexer.vectors import All, Has, Match, Not
from search import Request, Results, Searcher
from search.errors import FilterError, QueryError
from search.query import Example, ImageTerm, PlacedThing, Query, Term
from search.scenes.scene import Scene

A, B = "ab" * 16, "cd" * 16
BOX = (0.1, 0.2, 0.5, 0.6)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"words": "red", "limit": 0}, "at least one hit"),
        ({"words": "red", "offset": -1}, "before the first"),
        ({"words": "red", "layout": [PlacedThing("a", BOX)]}, "one of the three"),
        ({"like": [A], "examples": [Example(A, box=BOX)]}, "one of the three"),
        ({"box": BOX}, "one photo"),
        ({"like": [A], "words": "red", "box": BOX}, "one photo"),
        ({"like": [A], "box": (0, 0, 2, 1)}, "not inside the picture"),
        ({"layout": [{"text": "a", "box": (0.5, 0, 0.5, 1)}]}, "not inside the picture"),
    ],
)
def test_what_cannot_be_asked_gets_one_sentence(fields, said: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(QueryError, match=said) as caught:
        Request(**fields)
    assert "\n" not in str(caught.value)


def test_what_no_question_has_is_refused_and_nothing_is_changed() -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        Request(colour="red")  # type: ignore[call-arg]
    with pytest.raises(ValidationError, match="frozen"):
        Request(words="red").limit = 3  # type: ignore[misc]


def test_words_and_pictures_are_read_together() -> None:
    picture = ImageTerm("ef" * 16)
    asked = Request(words="2:red - blue", like=(A,), unlike=(B,), pictures=(picture,))
    terms = (ImageTerm(A), ImageTerm(B, -1.0), picture)
    assert asked.query == Query((Term("red", 2.0), Term("blue", -1.0)), terms)
    assert Request(like=(A,), box=BOX).query == Query(images=(ImageTerm(A, box=BOX),))
    assert Request(words=asked.query).query == asked.query
    with pytest.raises(QueryError, match="cannot be mixed"):
        assert Request(words="dog left of car", like=(A,)).query
    with pytest.raises(QueryError, match="query is empty"):
        assert Request(words="  ").query


def test_what_is_ranked_decides_how_words_are_read() -> None:
    assert isinstance(Request(words="a man and a woman").query, Query)
    assert isinstance(Request(words="a man and a woman", by="places").query, Scene)
    assert str(Request(layout=(PlacedThing("dog", BOX),)).query) == "dog at 0.1,0.2,0.5,0.6"
    for asked in (Request(like=(A,), box=BOX), Request(examples=(Example(A, box=BOX),))):
        assert asked.finds_places
    assert not Request(words="red").finds_places


def test_photos_of_the_question_are_not_in_the_answer() -> None:
    named = Not(Match("image", (A, B)))
    assert Request(words="red").within is None
    assert Request(words="red", filter="has:camera").within == Has("camera")
    assert Request(like=(A, A), unlike=(B,)).within == named
    both = Request(examples=(Example(A, box=BOX), Example(B, box=BOX)), filter=Has("place"))
    assert both.within == All((Has("place"), named))
    with pytest.raises(FilterError):
        assert Request(filter="colour:red").within


def test_json_is_read_back() -> None:
    asked = Request(words="red", layout=(), by="places", filter="has:gps", limit=3)
    assert Request.model_validate_json(asked.model_dump_json(by_alias=True)) == asked
    examples = Request(examples=(Example(A, box=BOX), Example(B, point=(0, 1), positive=False)))
    assert Request.model_validate_json(examples.model_dump_json(by_alias=True)) == examples
    assert '"q":"red"' in asked.model_dump_json(by_alias=True)


def test_a_request_is_answered_as_the_short_methods_do(searcher: Searcher) -> None:
    like = searcher.images("red", limit=1).hits[0].id
    asked = Request(words="red", like=(like,), all=True, limit=50)
    found = searcher.search(asked)
    assert like not in {hit.id for hit in found.hits}
    assert found.searched == searcher.count("images") - 1
    stored, fine = (searcher.search(Request(words="red", refine=each)) for each in (False, True))
    assert fine == searcher.refine(stored, "red")
    assert fine.hits[0].regions[0].mask.size > stored.hits[0].regions[0].mask.size
    assert isinstance(found, Results)


def test_names_come_without_what_is_not_used() -> None:
    code = (
        "import sys, search\n"
        "heavy = {'torch', 'numpy', 'polars', 'PIL', 'qdrant_edge', 'lancedb', 'lark'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
        "from search import Request\n"
        "print(sorted(heavy & set(sys.modules)))\n"
        "from search import Results\n"
        "print('torch' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == ["[]", "[]", "False"]
    with pytest.raises(AttributeError, match="no attribute 'Search'"):
        search.Search  # noqa: B018
