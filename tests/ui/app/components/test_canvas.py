"""The layout canvas in a real browser: words placed, moved, resized, renamed and removed."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.ui.app.components.serving import HOSTILE, at, dragged, events, opened

pytestmark = pytest.mark.browser

SCRIPT = """
import json

import streamlit as st

from ui.app.components.canvas import PlacedWord, draw_layout

st.set_page_config(layout="wide")
ask, state = st.query_params, st.session_state
log = state.setdefault("log", [])
if "things" not in state:
    state["things"] = [PlacedWord(word, (0.4, 0.4, 0.6, 0.6)) for word in ask.get_all("word")]
if "down" in ask:
    st.html("<div style='height: 900px'></div>")
things = draw_layout(key="canvas", things=state["things"])
if things is not None:
    state["things"] = things
    log.append([[thing.text, *thing.box] for thing in things])
st.container(key="log").text(f"{len(log)} {json.dumps(log)}")
if st.button("Clear"):
    state["things"] = ()
    st.rerun()
st.button("Again")
if "down" in ask:
    st.html("<div style='height: 900px'></div>")
"""


def box_of(page: Page, word: str) -> Locator:
    """The box of a word on the stage."""
    return page.locator(".box", has=page.get_by_text(word, exact=True))


def the_word(event: list[Any], index: int, word: str, box: list[float]) -> bool:
    """Whether the thing at `index` is this word in this box, to 1 % of the stage."""
    assert event[index][0] == word
    return bool(event[index][1:] == pytest.approx(box, abs=0.01))


def test_words_are_placed_where_there_is_room(browser: Browser, address: str) -> None:
    page = opened(browser, address)
    field = page.get_by_role("textbox", name="Word to place")
    field.press("Enter")  # no word, no box
    field.fill("  tall \t tree ")
    field.press("Enter")
    assert events(page, 1)[0] == [["tall tree", 0.35, 0.35, 0.65, 0.65]]
    field.fill(HOSTILE)
    page.get_by_role("button", name="Place").click()
    first, second = events(page, 2)[1]
    assert second[0] == HOSTILE
    assert min(second[3], first[3]) <= max(second[1], first[1]) or min(second[4], first[4]) <= max(
        second[2], first[2]
    )
    expect(box_of(page, HOSTILE)).to_be_visible()
    expect(field).to_have_value("")
    assert page.title() != "owned"
    page.close()


@pytest.mark.parametrize(("width", "down"), [(1280, ""), (390, "?down=1")])
def test_a_drag_on_the_stage_asks_for_its_word(
    browser: Browser, address: str, width: int, down: str
) -> None:
    page = opened(browser, address + down, width)
    stage = page.locator(".stage")
    stage.scroll_into_view_if_needed()
    word = page.get_by_role("textbox", name="Word for this box")
    dragged(page, stage, (0.1, 0.2), (0.12, 0.8))  # too thin
    dragged(page, stage, (0.1, 0.2), (0.5, 0.8))
    expect(word).to_be_focused()
    page.keyboard.press("Escape")
    expect(word).to_have_count(0)
    dragged(page, stage, (0.5, 0.8), (0.1, 0.2))
    expect(word).to_be_focused()
    page.keyboard.type("rc")  # which are commands of the page, were this not a field
    page.get_by_role("button", name="Again").dispatch_event("click")
    page.keyboard.type("ar")
    page.keyboard.press("Enter")
    assert the_word(events(page, 1)[0], 0, "rcar", [0.1, 0.2, 0.5, 0.8])
    page.close()


def test_boxes_are_dragged_and_resized_inside_the_stage(browser: Browser, address: str) -> None:
    page = opened(browser, f"{address}?word=dog")
    stage, dog = page.locator(".stage"), box_of(page, "dog")
    dragged(page, stage, (0.5, 0.55), (0.6, 0.35))
    assert the_word(events(page, 1)[0], 0, "dog", [0.5, 0.2, 0.7, 0.4])
    dragged(page, stage, (0.6, 0.35), (0.99, 0.99))
    assert the_word(events(page, 2)[1], 0, "dog", [0.8, 0.8, 1.0, 1.0])
    dragged(page, stage, (0.8, 0.8), (0.3, 0.5))
    assert the_word(events(page, 3)[2], 0, "dog", [0.3, 0.5, 1.0, 1.0])
    dragged(page, stage, (1.0, 0.5), (0.1, 0.99))
    assert the_word(events(page, 4)[3], 0, "dog", [0.3, 0.96, 0.34, 1.0])
    expect(dog).to_be_focused()
    page.mouse.click(*at(dog, 0.5, 0.5))  # nothing moved, nothing is sent
    page.mouse.move(*at(stage, 0.32, 0.98))
    page.mouse.down()
    page.mouse.move(*at(stage, 0.1, 0.1))
    page.keyboard.press("Escape")
    page.mouse.up()
    page.get_by_role("button", name="Again").click()
    assert the_word(events(page, 4)[3], 0, "dog", [0.3, 0.96, 0.34, 1.0])
    page.close()


def test_a_run_in_between_does_not_disturb_a_drag(browser: Browser, address: str) -> None:
    page = opened(browser, f"{address}?word=dog")
    stage = page.locator(".stage")
    page.mouse.move(*at(stage, 0.5, 0.55))
    page.mouse.down()
    page.mouse.move(*at(stage, 0.3, 0.3))
    page.get_by_role("button", name="Again").dispatch_event("click")
    page.mouse.move(*at(stage, 0.25, 0.25))
    page.mouse.up()
    assert the_word(events(page, 1)[0], 0, "dog", [0.15, 0.1, 0.35, 0.3])
    page.get_by_role("button", name="Clear").click()
    expect(page.locator(".stage .word")).to_have_count(0)
    expect(page.get_by_text("Place a word, or drag here")).to_be_visible()
    page.close()


def test_keys_move_resize_rename_and_remove(browser: Browser, address: str) -> None:
    page = opened(browser, f"{address}?word=dog&word=cat")
    keys = page.keyboard
    dog = box_of(page, "dog")
    dog.focus()
    keys.press("ArrowLeft")
    assert events(page, 1)[0][0] == ["dog", 0.38, 0.4, 0.58, 0.6]
    keys.press("Shift+ArrowDown")
    assert events(page, 2)[1][0] == ["dog", 0.38, 0.4, 0.58, 0.62]
    expect(dog).to_be_focused()
    keys.press("Enter")
    word = page.get_by_role("textbox", name="Word for this box")
    expect(word).to_have_value("dog")
    keys.type("wolf")
    keys.press("Escape")
    expect(dog).to_be_focused()
    keys.press("Enter")
    keys.type("wolf")
    keys.press("Enter")
    assert events(page, 3)[2][0] == ["wolf", 0.38, 0.4, 0.58, 0.62]
    expect(box_of(page, "wolf")).to_be_focused()
    keys.press("Delete")
    assert events(page, 4)[3] == [["cat", 0.4, 0.4, 0.6, 0.6]]
    cat = box_of(page, "cat")
    expect(cat).to_be_focused()
    cat.get_by_text("cat").dblclick()
    keys.type("lion")
    page.locator(".stage").click(position={"x": 5, "y": 5})
    assert events(page, 5)[4] == [["lion", 0.4, 0.4, 0.6, 0.6]]
    page.get_by_role("button", name="Remove lion").press("Enter")
    assert events(page, 6)[5] == []
    expect(page.get_by_role("textbox", name="Word to place")).to_be_focused()
    page.close()


def test_eight_things_and_a_hundred_characters_at_most(browser: Browser, address: str) -> None:
    page = opened(browser, f"{address}?{'&'.join(f'word=w{index}' for index in range(7))}", 390)
    field = page.get_by_role("textbox", name="Word to place")
    field.press_sequentially("x" * 101)
    field.press("Enter")
    assert events(page, 1)[0][7][0] == "x" * 100
    chip = box_of(page, "x" * 100).locator(".chip").bounding_box()
    stage = page.locator(".stage").bounding_box()
    assert chip is not None
    assert stage is not None
    assert stage["x"] <= chip["x"]
    assert chip["x"] + chip["width"] <= stage["x"] + stage["width"]
    field.fill("one more")
    field.press("Enter")
    expect(page.locator(".hint")).to_have_text("At most 8 things. Remove one to place another.")
    dragged(page, page.locator(".stage"), (0.02, 0.75), (0.3, 0.98))
    expect(page.get_by_role("textbox", name="Word for this box")).to_have_count(0)
    expect(field).to_have_value("one more")
    page.get_by_role("button", name="Remove w0").press("Enter")
    assert len(events(page, 2)[1]) == 7
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.close()
