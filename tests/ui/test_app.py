"""The page, run by Streamlit's own test harness on a real collection."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from indexer.collection import Collection
from search.errors import QueryError
from search.query import Query
from search.scene import Scene
from ui import services
from ui.services import Library, question
from ui.state import View

from .conftest import HOSTILE, paint, tips

APP = Path(services.__file__).with_name("app.py")


@pytest.fixture
def page(collection: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AppTest]:
    """The page on the shared collection, not run yet."""
    monkeypatch.setenv("TIPS_COLLECTION", str(collection))
    yield AppTest.from_file(str(APP), default_timeout=120)
    st.cache_resource.clear()
    st.cache_data.clear()


def texts(page: AppTest) -> str:
    """Everything that the page says in words."""
    parts = [*page.markdown, *page.caption, *page.info, *page.warning, *page.error]
    return "\n".join(str(part.value) for part in parts)


def buttons(page: AppTest, beginning: str) -> list[str]:
    """Keys of the buttons with this beginning, in order."""
    return [b.key for b in page.button if b.key and b.key.startswith(beginning)]


def search(page: AppTest, words: str) -> AppTest:
    """Type words and press Enter."""
    page.text_input(key="q").set_value(words).run()
    assert not page.exception
    return page


def open_fold(page: AppTest) -> AppTest:
    """Unfold the possible photos."""
    page.session_state["fold"] = True
    page.run()
    assert not page.exception
    return page


def test_the_start_shows_photos_counts_and_what_the_model_is(
    page: AppTest, collection: Path
) -> None:
    page.run()
    assert not page.exception
    assert "30 photos, 1 could not be read · nano" in texts(page)
    note = Collection.open(collection).model.note
    assert note
    assert len(page.info) == 1
    assert len(buttons(page, "open-sample-")) == 12


def test_nothing_found_is_said_and_the_possible_are_folded_away(page: AppTest) -> None:
    search(page.run(), "typewriter")
    assert "Nothing found" in texts(page)
    assert "Among 30 photos, none stands out" in texts(page)
    assert not buttons(page, "open-possible-")
    open_fold(page)
    assert len(buttons(page, "open-possible-")) == services.POSSIBLE


@pytest.mark.parametrize("overlay", ["None", "Mask", "Heat"])
def test_every_overlay_draws(page: AppTest, overlay: str) -> None:
    page.query_params["q"] = "disc"
    page.query_params["show"] = "Regions"
    page.query_params["overlay"] = overlay
    page.run()
    open_fold(page)
    assert page.button_group(key="overlay").value == overlay
    assert len(buttons(page, "open-possible-")) == services.POSSIBLE


def test_the_address_holds_the_search(page: AppTest) -> None:
    page.query_params["q"] = "red disc"
    page.query_params["show"] = "Regions"
    page.query_params["filter"] = "in:Rome"
    page.run()
    assert not page.exception
    assert page.text_input(key="q").value == "red disc"
    assert page.button_group(key="show").value == "Regions"
    assert "Among 10 photos" in texts(page)


@pytest.mark.parametrize(
    ("words", "filter", "sentence"),
    [
        ("disc", "colour:red", "is not a field"),
        ("- disc", "", "only says what not to show"),
        ("/etc/hostname", "", "cannot be named here"),
        ("disc + ./photo.jpg", "", "cannot be named here"),
        ('"a” + /etc/hostname + “b"', "", "cannot be named here"),
    ],
)
def test_what_cannot_be_asked_is_said_in_a_sentence(
    page: AppTest, words: str, filter: str, sentence: str
) -> None:
    page.query_params["q"] = words
    page.query_params["filter"] = filter
    page.run()
    assert not page.exception
    assert sentence in page.warning[0].value.replace("\\", "")
    assert not buttons(page, "open-")


def test_a_filter_that_nothing_passes_is_told_from_words_that_find_nothing(page: AppTest) -> None:
    page.query_params["q"] = "disc"
    page.query_params["filter"] = "width:5000.."
    page.run()
    assert "No photo passes the filter" in texts(page)


def test_more_like_this_searches_by_the_photo_and_can_be_cleared(page: AppTest) -> None:
    page.run()
    key = buttons(page, "more-sample-")[3]
    page.button(key=key).click().run()
    assert not page.exception
    assert page.query_params["like"] == key.removeprefix("more-sample-")
    assert "Photos like this one" in texts(page)
    open_fold(page)
    shown = {k.rpartition("-")[2] for k in buttons(page, "open-")}
    assert shown
    assert page.query_params["like"] not in shown
    next(button for button in page.button if button.label == "Clear").click().run()
    assert "like" not in page.query_params
    assert buttons(page, "open-sample-")


def test_a_photo_opens_large_with_its_facts(page: AppTest, photos: Path) -> None:
    page.query_params["q"] = "disc"
    page.run()
    open_fold(page)
    key = buttons(page, "open-possible-")[0]
    page.button(key=key).click().run()
    assert not page.exception
    identifier = key.removeprefix("open-possible-")
    assert page.query_params["photo"] == identifier
    where = next(box for box in page.text_input if str(box.key).startswith("where-"))
    assert where.value == "disc"
    facts = next(block.value for block in page.get("html") if "<dl" in block.value)
    assert "<dt>Camera</dt>" in facts
    assert str(photos) in facts


@pytest.mark.parametrize("overlay", ["Box", "Heat"])
def test_other_words_can_be_looked_for_in_the_open_photo(page: AppTest, overlay: str) -> None:
    page.run()
    page.query_params["photo"] = buttons(page, "open-sample-")[0].rpartition("-")[2]
    page.run()
    where = next(box for box in page.text_input if str(box.key).startswith("where-"))
    where.set_value("a square")
    lay = next(group for group in page.get("button_group") if str(group.key).startswith("lay-"))
    lay.set_value(overlay)
    page.run()
    assert not page.exception
    assert not any("cannot be read now" in caption.value for caption in page.caption)


@pytest.mark.parametrize("photo", ["0" * 32, "../../etc/passwd", "<script>"])
def test_an_address_with_an_unknown_photo_shows_the_page(page: AppTest, photo: str) -> None:
    page.query_params["photo"] = photo
    page.query_params["page"] = "-3"
    page.run()
    assert not page.exception
    assert buttons(page, "open-sample-")


def test_names_of_files_are_text_never_markup(page: AppTest) -> None:
    page.run()
    feet = [block.value for block in page.get("html") if "<p" in block.value]
    assert any("&lt;img src=x onerror=alert(1)&gt;" in foot for foot in feet)
    assert not any("<img" in foot for foot in feet)
    labels = [b.label for b in page.button if "onerror" in b.label]
    assert labels[0].startswith(r"Open \<img src\=x")


def test_a_missing_collection_says_how_to_make_one(
    page: AppTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIPS_COLLECTION", str(tmp_path / "none"))
    page.run()
    assert not page.exception
    assert "No collection is open" in texts(page)
    assert "tips index" in page.code[0].value


def test_an_open_page_sees_what_is_indexed_meanwhile(
    page: AppTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIPS_COLLECTION", str(tmp_path / "c"))
    paint(tmp_path / "photos" / "a.jpg", 1)
    tips("index", tmp_path / "photos", "--model", "nano", "-c", tmp_path / "c")
    search(page.run(), "disc")
    assert "Among 1 photo," in texts(page)
    paint(tmp_path / "photos" / "b.jpg", 2)
    tips("index", "-c", tmp_path / "c")
    page.run()
    assert "Among 2 photos" in texts(page)


def test_a_vanished_file_is_shown_by_its_thumbnail(
    page: AppTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIPS_COLLECTION", str(tmp_path / "c"))
    paint(tmp_path / "photos" / "a.jpg", 1)
    tips("index", tmp_path / "photos", "--model", "nano", "-c", tmp_path / "c")
    (tmp_path / "photos" / "a.jpg").unlink()
    page.run()
    page.button(key=buttons(page, "open-sample-")[0]).click().run()
    assert not page.exception
    assert any("this is its thumbnail" in caption.value for caption in page.caption)


def test_pages_split_the_answer(collection: Path) -> None:
    library = Library.open(collection)
    sizes = []
    for number in (1, 2):
        view = View("disc", "Images", "", "Box", number, None, None)
        answer = library.answer(view)
        sizes.append(len(answer.hits))
        assert answer.pages >= 1
        assert len(answer.possible) == min(services.POSSIBLE, 30 - answer.confident)
    assert sizes[0] == min(answer.confident, services.PAGE_SIZE)


def test_the_hostile_name_is_in_the_collection(collection: Path) -> None:
    sample = Library.open(collection).sample()
    assert any(hit.path.endswith(HOSTILE) for hit in sample)


def test_a_question_holds_words_and_the_photo_to_be_like() -> None:
    query = question(View("2:red - blue", "Images", "", "Box", 1, "ab" * 16, None))
    assert [(term.text, term.weight) for term in query.texts] == [("red", 2.0), ("blue", -1.0)]
    assert [term.source for term in query.images] == ["ab" * 16]


def test_a_composed_question_is_read_in_the_app_as_on_the_command_line(collection: Path) -> None:
    view = View("disc and square", "Regions", "", "Box", 1, None, None)
    assert isinstance(question(view), Scene)
    assert isinstance(question(dataclasses.replace(view, show="Images")), Query)
    composed = dataclasses.replace(view, q="disc left of square", show="Images")
    answer = Library.open(collection).answer(composed)
    assert answer.searched == 30
    with pytest.raises(QueryError, match="cannot be mixed"):
        question(dataclasses.replace(composed, like="ab" * 16))


@pytest.mark.parametrize(
    "words", ["/etc/passwd", "2:/etc/passwd", "disc left of ./a.jpg", "(~/a.jpg AND disc)"]
)
def test_files_cannot_be_named_in_the_app(collection: Path, words: str) -> None:
    library = Library.open(collection)
    asks = (
        lambda: question(View(words, "Images", "", "Box", 1, None, None)),
        lambda: library.places("ab" * 16, words),
        lambda: library.heat("ab" * 16, words, exact=False),
    )
    for ask in asks:
        with pytest.raises(QueryError, match="cannot be named here"):
            ask()
