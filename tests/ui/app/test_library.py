"""What the page asks for, answered on a real collection."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from indexer.vectors import Match
from search.errors import QueryError
from search.query import Query
from search.scenes.scene import Scene
from tests.ui.conftest import HOSTILE, paint, tips
from ui.app import page_results as module
from ui.app.library import Library
from ui.app.page_results import answer, around, every_hit
from ui.app.question import ask, question
from ui.app.state import Place, PlacedWord, View


@pytest.fixture(scope="module")
def library(collection: Path) -> Library:
    """The shared collection, open."""
    return Library(collection)


def test_pages_split_the_answer(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = answer(library, View())
    assert whole.total == len(whole.hits) == len(whole.rows) == 30
    monkeypatch.setattr(module, "PAGE_SIZE", 7)
    pages = [answer(library, View(page=number)) for number in range(1, 7)]
    assert [len(page.hits) for page in pages] == [7, 7, 7, 7, 2, 0]
    assert pages[0].pages == 5
    assert [hit for page in pages for hit in page.hits] == list(whole.hits)


def test_confident_and_possible_photos_are_told_apart(library: Library) -> None:
    given = answer(library, View(q="disc"))
    assert all(hit.confident for hit in given.hits)
    assert not any(hit.confident for hit in given.possible)
    assert len(given.hits) == given.total
    assert len(given.possible) == min(module.POSSIBLE, 30 - given.total)


def test_a_filter_holds_with_and_without_a_question(library: Library) -> None:
    for view in (View(filter="in:Rome"), View(q="disc", filter="in:Rome")):
        given = answer(library, view)
        assert given.searched == 10
        assert all("/Rome/" in hit.path for hit in (*given.hits, *given.possible))


def test_another_order_has_the_same_photos(library: Library) -> None:
    place = Place(answer(library, View()).hits[0].id, (0.0, 0.0, 1.0, 1.0))
    by_score = answer(library, View(find=(place,)))
    by_date = answer(library, View(find=(place,), order="Oldest"))
    assert {hit.id for hit in by_score.hits} == {hit.id for hit in by_date.hits}
    assert sorted(by_score.rows) == sorted(by_date.rows)


def test_the_photos_beside_one_go_through_the_whole_answer(library: Library) -> None:
    given = answer(library, View())
    ids = [hit.id for hit in given.hits]
    walked, here = [], ids[0]
    while here:
        walked.append(here)
        beside = around(library, given, here)
        assert beside.previous == (walked[-2] if len(walked) > 1 else None)
        assert (beside.place, beside.total) == (len(walked) - 1, 30)
        here = beside.next or ""
    assert walked == ids
    assert around(library, given, "0" * 32).place is None


def test_possible_photos_have_neighbours_too(library: Library) -> None:
    given = answer(library, View(q="typewriter"))
    second = given.possible[1].id
    beside = around(library, given, second)
    assert (beside.previous, beside.next) == (given.possible[0].id, given.possible[2].id)


def test_every_hit_is_the_answer_in_its_order(library: Library) -> None:
    given = answer(library, View(q="disc", order="Newest"))
    hits = list(every_hit(library, View(q="disc"), None, given.rows, page=3))
    assert [hit.id for hit in hits] == [hit.id for hit in given.hits]
    chosen = library.rows_of([hit.id for hit in answer(library, View()).hits[:5]])
    assert len(list(every_hit(library, View(), None, chosen, page=2))) == 5


def test_an_uploaded_picture_finds_itself(library: Library) -> None:
    hit = answer(library, View()).hits[4]
    picture = Image.open(hit.path).convert("RGB")
    given = answer(library, View(picture="mine"), picture)
    assert given.hits[0].id == hit.id
    with pytest.raises(QueryError, match="has expired"):
        answer(library, View(picture="mine"))


def test_a_place_is_found_again_and_a_layout_is_searched(library: Library) -> None:
    first = answer(library, View()).hits[0]
    given = answer(library, View(find=(Place(first.id, (0.2, 0.2, 0.6, 0.6)),)))
    assert len(given.hits) == 29
    assert all(hit.regions for hit in given.hits)
    laid = View(layout=(PlacedWord("disc", (0.0, 0.0, 0.5, 1.0)),))
    assert answer(library, laid).searched == 30


def test_only_these_photos_can_be_asked_for(library: Library) -> None:
    ids = tuple(hit.id for hit in answer(library, View()).hits[:3])
    with library.searching() as searcher:
        found = ask(searcher, View(q="disc"), None, limit=9, only=ids)
        same = searcher.images("disc", limit=9, all=True, filter=Match("image", ids))
    assert {hit.id for hit in found.hits} == set(ids)
    assert [hit.score for hit in found.hits] == [hit.score for hit in same.hits]


def test_pictures_of_a_photo_come_from_the_catalog_and_the_file(library: Library) -> None:
    hit = next(h for h in answer(library, View()).hits if h.path.endswith(HOSTILE))
    thumbnail = library.pictures.thumbnail(hit.id)
    assert thumbnail is not None
    assert thumbnail[8:12] == b"WEBP"
    assert library.pictures.large(hit.id)[:2] == b"\xff\xd8"
    assert library.pictures.thumbnail("0" * 32) is None
    heat = library.heat(hit.id, "disc", exact=False)
    assert heat.dtype == np.float32
    assert library.features(hit.id).size[0] > 100


def test_a_question_holds_words_and_the_photos_to_be_like() -> None:
    query = question(View(q="2:red - blue", like=("ab" * 16,), unlike=("cd" * 16,)), None)
    assert isinstance(query, Query)
    assert [(term.text, term.weight) for term in query.texts] == [("red", 2.0), ("blue", -1.0)]
    assert [(t.source, t.weight) for t in query.images] == [("ab" * 16, 1.0), ("cd" * 16, -1.0)]


def test_a_composed_question_is_read_in_the_app_as_on_the_command_line(library: Library) -> None:
    view = View(q="disc and square", show="Places")
    assert isinstance(question(view, None), Scene)
    assert isinstance(question(dataclasses.replace(view, show="Photos"), None), Query)
    composed = dataclasses.replace(view, q="disc left of square", show="Photos")
    assert answer(library, composed).searched == 30
    with pytest.raises(QueryError, match="cannot be mixed"):
        question(dataclasses.replace(composed, like=("ab" * 16,)), None)


@pytest.mark.parametrize(
    "words", ["/etc/passwd", "2:/etc/passwd", "disc left of ./a.jpg", "(~/a.jpg AND disc)"]
)
def test_files_cannot_be_named_in_the_app(library: Library, words: str) -> None:
    asks = (
        lambda: question(View(q=words), None),
        lambda: library.places("ab" * 16, View(), words),
        lambda: library.heat("ab" * 16, words, exact=False),
        lambda: answer(library, View(layout=(PlacedWord(words, (0.0, 0.0, 1.0, 1.0)),))),
    )
    for asked in asks:
        with pytest.raises(QueryError, match="cannot be named here"):
            asked()


def test_what_is_indexed_meanwhile_is_browsed_and_searched_after_a_refresh(tmp_path: Path) -> None:
    paint(tmp_path / "photos" / "0.jpg", 0)
    make = ("index", tmp_path / "photos", "--model", "nano", "-c", tmp_path / "c")
    assert tips(*make).exit_code == 0
    library = Library(tmp_path / "c")
    first = library.refresh()
    assert answer(library, View(q="disc")).searched == 1
    assert library.refresh() == first  # the model came, and nothing is new
    with library.searching() as searcher:
        paint(tmp_path / "photos" / "1.jpg", 1)
        assert tips("index", "-c", tmp_path / "c").exit_code == 0
        assert library.refresh() != first
        assert library.counts()["ok"] == len(library.index) == 2
        assert answer(library, View(q="disc")).searched == 2
        assert searcher.images("disc").searched == 1  # it goes on with what it began with
    assert tips("switch", "nano", "--tiles", "2", "-c", tmp_path / "c").exit_code == 0
    before = library.refresh()
    assert library.collection.tiles == 2
    assert answer(library, View(q="disc")).searched == 2
    assert library.refresh() == before
