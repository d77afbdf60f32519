"""The page, run by Streamlit's own test harness on a real collection."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from PIL import Image
from streamlit.testing.v1 import AppTest

from indexer.collection import Collection
from tests.ui.conftest import HOSTILE, paint, tips
from ui.app import page_results
from ui.formatting import plain

APP = Path(page_results.__file__).with_name("main.py")


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


def grid(page: AppTest, name: str = "gallery") -> list[dict[str, Any]]:
    """The cards of a grid as they are sent to the browser; none when there is no such grid."""
    for part in page.get("bidi_component"):
        if part.proto.id.endswith(f"-{name}"):
            items: list[dict[str, Any]] = json.loads(part.proto.json)["items"]
            return items
    return []


def photo(page: AppTest) -> dict[str, Any]:
    """What the large photo's component was given."""
    (part,) = [p for p in page.get("bidi_component") if p.proto.id.endswith("photo-large")]
    data: dict[str, Any] = json.loads(part.proto.json)
    return data


def search(page: AppTest, words: str) -> AppTest:
    """Type words and press Enter."""
    page.text_input(key="q").set_value(words).run()
    assert not page.exception
    return page


def open_fold(page: AppTest) -> AppTest:
    """Unfold the possible photos."""
    page.session_state["fold-False"] = True
    page.run()
    assert not page.exception
    return page


def test_the_start_shows_photos_by_date_counts_and_what_the_model_is(
    page: AppTest, collection: Path
) -> None:
    page.run()
    assert not page.exception
    assert "30 photos, 1 could not be read · nano" in texts(page)
    note = Collection.open(collection).model.note
    assert plain(note) in texts(page)
    cards = grid(page)
    assert len(cards) == 30
    assert cards[0]["heading"] == "Without a date"
    assert all(not card["heading"] for card in cards[1:])


def test_nothing_found_is_said_and_the_possible_are_folded_away(page: AppTest) -> None:
    search(page.run(), "typewriter")
    assert "No clear match" in texts(page)
    assert "Among 30 photos, none stands out" in texts(page)
    assert not grid(page, "possible")
    assert len(grid(open_fold(page), "possible")) == page_results.POSSIBLE


@pytest.mark.parametrize(
    ("overlay", "drawn"), [("None", ""), ("Box", "boxes"), ("Mask", "mask"), ("Heat", "heat")]
)
def test_every_overlay_comes_with_the_card(page: AppTest, overlay: str, drawn: str) -> None:
    page.query_params["q"] = "disc"
    page.query_params["show"] = "Places"
    page.query_params["overlay"] = overlay
    open_fold(page.run())
    cards = grid(page) + grid(page, "possible")
    assert len(cards) == 24
    assert all(card["boxes"] for card in cards)
    for field in ("mask", "heat"):
        assert all(bool(card[field]) == (field == drawn) for card in cards)
    if drawn in ("mask", "heat"):
        assert all(card[drawn].startswith("data:image/webp;base64,") for card in cards)


def test_the_address_holds_the_search(page: AppTest) -> None:
    page.query_params["q"] = "red disc"
    page.query_params["show"] = "Places"
    page.query_params["filter"] = "in:Rome"
    page.run()
    assert not page.exception
    assert page.text_input(key="q").value == "red disc"
    assert page.button_group(key="show").value == "Places"
    assert "in 10 photos" in texts(page)


@pytest.mark.parametrize(
    ("words", "filter", "sentence"),
    [
        ("disc", "colour:red", "is not a filter field"),
        ("- disc", "", "only says what not to show"),
        ("/etc/hostname", "", "cannot be named here"),
        ("disc + ./photo.jpg", "", "cannot be named here"),
        ('"a” + /etc/hostname + “b"', "", "cannot be named here"),
        ("", "colour:red", "is not a filter field"),
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
    assert not grid(page)


def test_the_spot_of_a_mistake_is_shown(page: AppTest) -> None:
    search(page.run(), "dog left of")
    assert "^" in page.code[0].value


def test_a_filter_that_nothing_passes_is_told_from_words_that_find_nothing(page: AppTest) -> None:
    page.query_params["q"] = "disc"
    page.query_params["filter"] = "width:5000.."
    page.run()
    assert "No photo matches the filter" in texts(page)
    page.query_params["q"] = ""
    page.run()
    assert "No photo matches the filter" in texts(page)


def test_more_like_a_photo_is_in_the_address_and_can_be_cleared(page: AppTest) -> None:
    page.run()
    chosen = grid(page)[3]["id"]
    page.query_params["like"] = chosen
    page.run()
    assert not page.exception
    assert "29 photos" in texts(page)
    assert "the nearest first" in texts(page)
    assert chosen not in {card["id"] for card in grid(page)}
    page.button(key="clear-like").click().run()
    assert "like" not in page.query_params
    assert "the nearest first" not in texts(page)


def test_less_like_a_photo_pushes_its_like_down(page: AppTest) -> None:
    page.run()
    one, other = (card["id"] for card in grid(page)[:2])
    page.query_params["like"] = one
    page.run()
    before = [card["id"] for card in grid(page)]
    page.query_params["unlike"] = before[0]
    page.run()
    assert not page.exception
    after = [card["id"] for card in grid(page)]
    assert len(after) == 28
    assert before[0] not in after
    assert other in after


def test_a_layout_in_the_address_is_searched_for(page: AppTest) -> None:
    page.query_params["layout"] = "disc@0,0,0.5,1;square@0.5,0,1,1"
    page.run()
    assert not page.exception
    assert "disc, square" in texts(page).replace("\\", "")
    assert "in 30 photos" in texts(page)


def test_a_photo_opens_large_with_its_facts(page: AppTest, photos: Path) -> None:
    page.query_params["q"] = "disc"
    open_fold(page.run())
    card = (grid(page) + grid(page, "possible"))[0]
    page.query_params["photo"] = card["id"]
    page.run()
    assert not page.exception
    assert page.text_input(key="where-disc").value == "disc"
    facts = next(block.value for block in page.get("html") if "<dl" in block.value)
    assert "<dt>Camera</dt>" in facts
    assert str(photos) in facts
    shown = photo(page)
    assert shown["src"].endswith(card["id"])
    assert shown["boxes"]
    assert shown["previous"] is False


def test_the_photos_beside_the_open_one_are_those_of_the_answer(page: AppTest) -> None:
    page.run()
    ids = [card["id"] for card in grid(page)]
    page.query_params["photo"] = ids[1]
    page.run()
    assert "2 of 30" in texts(page)
    assert photo(page)["previous"] is True
    assert photo(page)["next"] is True


@pytest.mark.parametrize("layer", ["Box", "Mask", "Heat", "Features"])
def test_other_words_can_be_looked_for_in_the_open_photo(page: AppTest, layer: str) -> None:
    page.run()
    page.query_params["photo"] = grid(page)[0]["id"]
    page.run()
    page.text_input(key="where-").set_value("a square")
    page.button_group(key="layer").set_value(layer)
    page.run()
    assert not page.exception
    assert not page.warning
    shown = photo(page)
    assert bool(shown["boxes"]) == (layer == "Box")
    assert bool(shown["layer"]) == (layer != "Box")


def test_marks_of_the_address_are_shown_and_can_be_cleared(page: AppTest) -> None:
    page.run()
    one, other = (card["id"] for card in grid(page)[:2])
    page.query_params["find"] = f"{one}@0.1,0.1,0.5,0.5;-{one}@0.9,0.9"
    page.query_params["photo"] = one
    page.run()
    assert not page.exception
    assert [mark["kind"] for mark in photo(page)["value"]] == ["box", "point"]
    assert "1 to find, 1 not to find" in texts(page)
    page.button(key="back").click().run()
    assert "Things like those at 1 place, not like 1" in texts(page)
    assert other in {card["id"] for card in grid(page)}
    assert one not in {card["id"] for card in grid(page)}


@pytest.mark.parametrize("photo", ["0" * 32, "../../etc/passwd", "<script>"])
def test_an_address_with_an_unknown_photo_is_no_crash(page: AppTest, photo: str) -> None:
    page.query_params["photo"] = photo
    page.query_params["page"] = "-3"
    page.run()
    assert not page.exception
    assert grid(page) or "is not in the collection" in texts(page)


def test_facets_narrow_by_the_filter_text(page: AppTest) -> None:
    page.run()
    cameras = page.button_group(key="facet-cameras-")
    canon = next(option for option in cameras.options if "Canon" in option)
    assert "15" in canon
    cameras.select(next(v for v in cameras.options if "Canon" in v)).run()
    assert not page.exception
    assert page.text_input(key="filter").value == 'camera:="Canon EOS R5"'
    assert len(grid(page)) == 15


def test_folders_open_one_level_at_a_time(page: AppTest) -> None:
    page.run()
    labels = {b.key: b.label for b in page.button if str(b.key).startswith("folder-")}
    rome = next(key for key, label in labels.items() if "Rome" in label)
    assert "10" in labels[rome]
    page.button(key=rome).click().run()
    assert not page.exception
    assert len(grid(page)) == 10
    page.button(key="folder-up").click().run()
    assert len(grid(page)) == 30


def test_a_typed_folder_and_camera_are_the_collections_own(page: AppTest, photos: Path) -> None:
    page.query_params["filter"] = f'in:"{photos}/ROME" camera:="canon eos r5"'
    page.run()
    assert not page.exception
    assert len(grid(page)) == 5
    assert "**Rome**" in texts(page)
    (picked,) = page.button_group(key="facet-cameras-" + page.text_input(key="filter").value).value
    assert picked == "Canon EOS R5"
    page.button(key="folder-up").click().run()
    assert page.text_input(key="filter").value == 'camera:="Canon EOS R5"'
    assert len(grid(page)) == 15


def test_names_of_files_reach_the_browser_as_data_never_as_markup(page: AppTest) -> None:
    page.run()
    assert HOSTILE in {card["name"] for card in grid(page)}
    page.query_params["photo"] = next(c["id"] for c in grid(page) if c["name"] == HOSTILE)
    page.run()
    assert not any("<img" in block.value for block in page.get("html"))
    assert r"\<img src\=x" in texts(page)


def test_near_duplicates_are_looked_for_and_folded_into_one_card(
    page: AppTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIPS_COLLECTION", str(tmp_path / "c"))
    demo = sorted(
        (Path(page_results.__file__).parents[1] / "demo" / "photos").rglob("IMG_20*.jpg")
    )[:3]
    (tmp_path / "photos").mkdir()
    for number, file in enumerate(demo):
        with Image.open(file) as picture:
            picture.convert("RGB").save(tmp_path / "photos" / f"{number}.jpg", quality=95)
    with Image.open(tmp_path / "photos" / "0.jpg") as picture:
        picture.save(tmp_path / "photos" / "again.jpg", quality=60)
    tips("index", tmp_path / "photos", "--model", "nano", "-c", tmp_path / "c")
    page.query_params["group"] = "true"
    page.run()
    assert "not been checked for" in texts(page)
    assert len(grid(page)) == 4
    assert tips("duplicates", "-c", tmp_path / "c").exit_code == 0
    page.run()
    assert not page.exception
    assert "not been checked for" not in texts(page)
    folded = {card["name"]: card["folded"] for card in grid(page)}
    assert sorted(folded.values()) == [0, 0, 1]
    stack = next(card for card in grid(page) if card["folded"])
    page.query_params["same"] = stack["id"]
    page.run()
    assert sorted(card["name"] for card in grid(page)) == ["0.jpg", "again.jpg"]


def test_a_missing_collection_says_how_to_make_one(
    page: AppTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIPS_COLLECTION", str(tmp_path / "none"))
    page.run()
    assert not page.exception
    assert "No collection yet" in texts(page)
    assert "tips index" in page.code[0].value


def test_an_open_page_sees_what_is_indexed_meanwhile(
    page: AppTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIPS_COLLECTION", str(tmp_path / "c"))
    paint(tmp_path / "photos" / "a.jpg", 1)
    tips("index", tmp_path / "photos", "--model", "nano", "-c", tmp_path / "c")
    search(page.run(), "disc")
    assert "in 1 photo" in texts(page)
    paint(tmp_path / "photos" / "b.jpg", 2)
    tips("index", "-c", tmp_path / "c")
    page.run()
    assert "in 2 photos" in texts(page)
    search(page, "")
    assert len(grid(page)) == 2


def test_a_vanished_file_is_shown_by_its_thumbnail(
    page: AppTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIPS_COLLECTION", str(tmp_path / "c"))
    paint(tmp_path / "photos" / "a.jpg", 1)
    tips("index", tmp_path / "photos", "--model", "nano", "-c", tmp_path / "c")
    (tmp_path / "photos" / "a.jpg").unlink()
    page.run()
    page.query_params["photo"] = grid(page)[0]["id"]
    page.run()
    assert not page.exception
    assert "Showing its thumbnail" in page.warning[0].value
    assert photo(page)["src"].startswith("thumb/")


def test_an_empty_collection_says_what_to_do(
    page: AppTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "broken.jpg").write_bytes(b"\xff\xd8 no picture")
    tips("index", tmp_path / "photos", "--model", "nano", "-c", tmp_path / "c")
    monkeypatch.setenv("TIPS_COLLECTION", str(tmp_path / "c"))
    page.run()
    assert not page.exception
    assert "has no photos yet" in texts(page)


def test_filters_typed_into_the_box_become_the_filter(page: AppTest) -> None:
    page.run()
    page.text_input(key="q").set_value("red in:rome and date:2021..").run()
    assert not page.exception
    assert page.text_input(key="q").value == "red"
    assert page.text_input(key="filter").value == "in:rome date:2021.."
    page.text_input(key="q").set_value("type:jpeg").run()
    assert not page.exception
    assert page.text_input(key="q").value == ""
    assert page.text_input(key="filter").value == "in:rome date:2021.. type:jpeg"


def test_the_reading_of_a_composed_query_is_shown_as_chips(page: AppTest) -> None:
    page.run()
    search(page, "disc left of square without triangle")
    chips = [part.value for part in page.markdown if "badge" in part.value]
    assert len(chips) == 2
    assert "disc" in chips[0]
    assert "left of" in chips[0]
    assert "leave out" in chips[1]
    search(page, "a red disc")
    assert not [part for part in page.markdown if "badge" in part.value]
