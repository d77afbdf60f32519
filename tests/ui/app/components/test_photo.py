"""The large photo in a real browser: marks by mouse and keys, and the ways to other photos."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.ui.app.components.serving import HOSTILE, at, dragged, events, opened

pytestmark = pytest.mark.browser

SCRIPT = """
import base64, io, json, time
from pathlib import Path

import streamlit as st
from PIL import Image

from ui.app.components.photo import show_photo

COLOURS = ["#7a93a8", "#d8c8a8", "#556655"]
st.set_page_config(layout="wide")
ask, state = st.query_params, st.session_state
log, number = state.setdefault("log", []), state.setdefault("number", 0)


def gate(name):
    # A run waits here while the test holds the file.
    while (Path(ask["gate"]) / name).exists() if "gate" in ask else False:
        (Path(ask["gate"]) / f"{name} reached").touch()
        time.sleep(0.02)


def picture(number):
    out = io.BytesIO()
    Image.new("RGB", (1500, 1000), COLOURS[number]).save(out, "PNG")
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()


name = st.text_input("Name")
if "down" in ask:
    st.html("<div style='height: 900px'></div>")
gate("before")
if name == "gone":
    st.button("Again")
    st.stop()
events = show_photo(
    key="photo",
    src=ask.get("src", picture(number)),
    alt=ask.get("alt", f"IMG_{number}.jpg"),
    width=1500,
    height=1000,
    boxes=[((0.1, 0.2, 0.4, 0.7), ask.get("label", "disc")), ((0.9, 0.0, 1.0, 1.0), "long label")],
    heat=picture(2),
    overlay=ask.get("overlay", "Box"),
    opacity=0.5,
    marks=state.get("marks", ()),
    tool=ask.get("tool", "look"),
    has_previous=number > 0,
    has_next=number < 2 and "alone" not in ask,
)
if events.marks is not None:
    state["marks"] = events.marks
    log.append([[m.kind, m.x0, m.y0, m.x1, m.y1, m.positive] for m in events.marks])
if events.go:
    state["number"] = number + {"previous": -1, "next": 1, "close": 0}[events.go]
    state["marks"] = ()
    log.append(events.go)
gate("after")
st.container(key="log").text(f"{len(log)} {json.dumps(log)}")
if st.button("Clear"):
    state["marks"] = ()
    st.rerun()
st.button("Again")
if events.go:
    st.rerun()
if "down" in ask:
    st.html("<div style='height: 900px'></div>")
"""


def again(page: Page) -> None:
    """Rerun the script without touching mouse, keys or focus."""
    page.get_by_role("button", name="Again").dispatch_event("click")


def close_to(marks: list[Any], expected: list[Any]) -> bool:
    """Whether marks are as expected, to 1 % of the picture."""
    assert [[mark[0], mark[5]] for mark in marks] == [[mark[0], mark[5]] for mark in expected]
    flat = [edge for mark in expected for edge in mark[1:5]]
    return bool([edge for mark in marks for edge in mark[1:5]] == pytest.approx(flat, abs=0.01))


@pytest.mark.parametrize(("width", "down"), [(1280, ""), (390, ""), (390, "&down=1")])
def test_a_drag_draws_a_box_in_fractions_of_the_picture(
    browser: Browser, address: str, width: int, down: str
) -> None:
    page = opened(browser, f"{address}?tool=box{down}", width)
    pad = page.locator(".pad")
    pad.scroll_into_view_if_needed()
    dragged(page, pad, (0.7, 0.8), (0.2, 0.3))
    assert close_to(events(page, 1)[0], [["box", 0.2, 0.3, 0.7, 0.8, True]])
    page.get_by_test_id("stMain").evaluate("page => page.scrollBy(0, 40)")
    dragged(page, pad, (0.5, 0.1), (0.6, 0.5))
    both = [["box", 0.2, 0.3, 0.7, 0.8, True], ["box", 0.5, 0.1, 0.6, 0.5, True]]
    assert close_to(events(page, 2)[1], both)
    page.close()


def test_a_click_is_no_box_and_escape_breaks_a_drag_off(browser: Browser, address: str) -> None:
    page = opened(browser, f"{address}?tool=box")
    pad = page.locator(".pad")
    dragged(page, pad, (0.5, 0.5), (0.503, 0.504))
    page.mouse.move(*at(pad, 0.2, 0.2))
    page.mouse.down()
    page.mouse.move(*at(pad, 0.6, 0.6))
    expect(page.locator("rect.wanted")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.locator("rect.wanted")).to_have_count(0)
    page.mouse.up()
    page.keyboard.press("Escape")  # nothing is drawn any more: now it closes
    assert events(page, 1) == ["close"]
    page.close()


def test_points_wanted_and_not_and_their_removal(browser: Browser, address: str) -> None:
    page = opened(browser, f"{address}?tool=not")
    pad = page.locator(".pad")
    page.mouse.click(*at(pad, 0.25, 0.5))
    events(page, 1)
    dragged(page, pad, (0.5, 0.5), (0.7, 0.9))
    marks = [["point", 0.25, 0.5, 0.25, 0.5, False], ["box", 0.5, 0.5, 0.7, 0.9, False]]
    assert close_to(events(page, 2)[1], marks)
    expect(page.locator(".pin")).to_have_text("−")
    assert page.locator(".unwanted").evaluate("e => getComputedStyle(e).strokeDasharray") != "none"
    page.get_by_role("button", name="Remove point 1, not wanted").press("Enter")
    assert close_to(events(page, 3)[2], marks[1:])
    remaining = page.get_by_role("button", name="Remove box 1, not wanted")
    expect(remaining).to_be_focused()
    remaining.click()
    assert events(page, 4)[3] == []
    page.goto(f"{address}?tool=point")
    page.mouse.click(*at(pad, 0.99, 0.01))
    assert close_to(events(page, 1)[0], [["point", 0.99, 0.01, 0.99, 0.01, True]])
    expect(page.locator(".pin.positive")).to_have_text("+")
    page.close()


def test_a_finger_points_too(browser: Browser, address: str) -> None:
    page = opened(browser, f"{address}?tool=point", 390, has_touch=True, is_mobile=True)
    page.touchscreen.tap(*at(page.locator(".pad"), 0.3, 0.6))
    assert close_to(events(page, 1)[0], [["point", 0.3, 0.6, 0.3, 0.6, True]])
    page.close()


def test_keys_point_without_a_mouse(browser: Browser, address: str) -> None:
    page = opened(browser, f"{address}?tool=box")
    keys = page.keyboard
    page.locator(".pad").focus()
    for key in ("Shift+ArrowLeft", "ArrowUp", "Enter"):
        keys.press(key)
    expect(page.locator(".hint")).to_contain_text("One corner is set")
    for key in ("Shift+ArrowRight", "Shift+ArrowDown", "Enter"):
        keys.press(key)
    assert events(page, 1)[0] == [["box", 0.4, 0.49, 0.5, 0.59, True]]
    keys.press("Enter")
    expect(page.locator(".hint")).to_contain_text("One corner is set")
    keys.press("Escape")  # the corner just set, not the photo
    expect(page.locator("line")).to_have_count(0)
    page.goto(f"{address}?tool=point")
    page.locator(".pad").focus()
    keys.press("ArrowDown")
    keys.press("Enter")
    events(page, 1)
    keys.press("ArrowRight")
    keys.press("Enter")
    points = [["point", 0.5, 0.51, 0.5, 0.51, True], ["point", 0.51, 0.51, 0.51, 0.51, True]]
    assert events(page, 2) == [points[:1], points]
    page.close()


def test_arrows_leaf_through_the_photos_but_not_while_the_user_types(
    browser: Browser, address: str
) -> None:
    page = opened(browser, f"{address}?tool=box")
    picture = page.get_by_role("img", name="IMG_0.jpg")
    expect(picture).to_be_visible()
    page.keyboard.press("ArrowLeft")  # there is none before the first
    page.keyboard.press("Alt+ArrowRight")
    page.keyboard.press("ArrowRight")
    assert events(page, 1) == ["next"]
    page.get_by_label("Name").fill("a")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Escape")
    page.get_by_label("Name").blur()
    page.locator(".pad").click()  # a focus from the mouse does not take the arrows away
    page.keyboard.press("ArrowRight")
    assert events(page, 2) == ["next", "next"]
    expect(page.get_by_role("button", name="Next photo")).to_have_attribute("aria-disabled", "true")
    page.get_by_role("button", name="Next photo").dispatch_event("click")
    page.get_by_role("button", name="Previous photo").click()
    assert events(page, 3) == ["next", "next", "previous"]
    expect(page.get_by_role("img", name="IMG_1.jpg")).to_be_visible()
    page.close()


def test_python_is_the_truth_and_the_same_marks_again_disturb_nothing(
    browser: Browser, address: str
) -> None:
    page = opened(browser, f"{address}?tool=box")
    pad = page.locator(".pad")
    page.mouse.move(*at(pad, 0.2, 0.2))
    page.mouse.down()
    page.mouse.move(*at(pad, 0.4, 0.4))
    again(page)
    page.mouse.move(*at(pad, 0.6, 0.6))
    page.mouse.up()
    assert close_to(events(page, 1)[0], [["box", 0.2, 0.2, 0.6, 0.6, True]])
    page.keyboard.press("Enter")  # shows where the keys point
    page.keyboard.press("Enter")
    again(page)
    page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("Shift+ArrowUp")
    page.keyboard.press("Enter")
    assert len(events(page, 2)[1]) == 2
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("rect.wanted")).to_have_count(0)
    dragged(page, pad, (0.5, 0.5), (0.8, 0.8))
    assert close_to(events(page, 3)[2], [["box", 0.5, 0.5, 0.8, 0.8, True]])
    page.close()


def held(folder: Path, name: str) -> None:
    """Wait until a run stands at the gate."""
    deadline = time.monotonic() + 60
    while not (folder / f"{name} reached").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_what_is_drawn_while_a_run_goes_on_is_kept(
    browser: Browser, address: str, tmp_path: Path
) -> None:
    page = opened(browser, f"{address}?tool=point&gate={tmp_path}")
    events(page, 0)
    (tmp_path / "before").touch()
    for x in (0.2, 0.4, 0.6):
        page.mouse.click(*at(page.locator(".pad"), x, 0.5))
    held(tmp_path, "before")
    expect(page.locator(".pin")).to_have_count(3)
    page.keyboard.press("ArrowRight")
    (tmp_path / "before").unlink()
    expect(page.get_by_role("img", name="IMG_1.jpg")).to_be_visible()
    marks, step = events(page, "[234]")[-2:]
    assert close_to(marks, [["point", x, 0.5, x, 0.5, True] for x in (0.2, 0.4, 0.6)])
    assert step == "next"
    page.close()


def test_a_mark_on_the_photo_before_is_not_taken_for_this_one(
    browser: Browser, address: str, tmp_path: Path
) -> None:
    page = opened(browser, f"{address}?tool=point&gate={tmp_path}")
    events(page, 0)
    (tmp_path / "after").touch()
    page.keyboard.press("ArrowRight")
    held(tmp_path, "after")
    page.mouse.click(*at(page.locator(".pad"), 0.5, 0.5))
    expect(page.locator(".pin")).to_have_count(1)
    (tmp_path / "after").unlink()
    expect(page.get_by_role("img", name="IMG_1.jpg")).to_be_visible()
    expect(page.locator(".pin")).to_have_count(0)
    assert events(page, 1) == ["next"]
    page.close()


def test_sixteen_marks_and_no_more(browser: Browser, address: str) -> None:
    page = opened(browser, f"{address}?tool=point")
    page.locator(".pad").focus()
    for _ in range(17):
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Enter")
    expect(page.locator(".hint")).to_have_text("At most 16 marks. Remove one to set another.")
    expect(page.locator(".pin")).to_have_count(16)
    page.close()


def test_labels_stay_inside_the_picture_and_are_text(browser: Browser, address: str) -> None:
    for width in (1280, 390):
        page = opened(browser, f"{address}?label={HOSTILE}&alt={HOSTILE}", width)
        expect(page.locator(".label").first).to_have_text(HOSTILE)
        stage = page.locator(".stage").bounding_box()
        assert stage is not None
        assert stage["width"] / stage["height"] == pytest.approx(1.5, abs=0.01)
        assert stage["height"] <= 0.72 * 800 + 1
        for label in page.locator(".label").all():
            box = label.bounding_box()
            assert box is not None
            assert stage["x"] - 1 <= box["x"]
            assert box["x"] + box["width"] <= stage["x"] + stage["width"] + 1
            assert stage["y"] - 1 <= box["y"]
            assert box["y"] + box["height"] <= stage["y"] + stage["height"] + 1
        assert page.title() != "owned"
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.close()


def test_one_overlay_is_seen_at_a_time_and_a_lost_picture_says_so(
    browser: Browser, address: str
) -> None:
    page = opened(browser, f"{address}?overlay=Heat&src=/no-such-picture.jpg&alt={HOSTILE}")
    expect(page.locator(".missing")).to_have_text(f"This picture cannot be shown: {HOSTILE}")
    page.goto(f"{address}?overlay=Heat")
    layer = page.locator(".stage > img[alt='']")
    expect(layer).to_have_css("opacity", "0.5")
    expect(page.locator("rect")).to_have_count(0)
    page.goto(f"{address}?overlay=None")
    expect(page.locator(".picture.there")).to_be_visible()
    expect(layer).to_be_hidden()
    expect(page.locator("rect")).to_have_count(0)
    page.close()


def test_a_double_click_shows_the_photo_at_its_actual_size(browser: Browser, address: str) -> None:
    page = opened(browser, f"{address}?overlay=None")
    stage = page.locator(".stage")
    expect(page.get_by_role("button", name="actual size")).to_be_attached()
    page.mouse.dblclick(*at(stage, 0.9, 0.9))
    expect(stage).to_have_css("width", "1500px")
    assert page.locator(".frame").evaluate("frame => frame.scrollLeft") > 400
    page.get_by_role("button", name="Fit the photo").click()
    expect(stage).to_have_css("width", "600px")
    page.close()


def test_a_photo_alone_has_no_steps_and_hears_no_keys_once_it_is_gone(
    browser: Browser, address: str
) -> None:
    page = opened(browser, f"{address}?alone=1&tool=box")
    expect(page.get_by_role("button", name="Next photo")).to_be_hidden()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Escape")
    assert events(page, 1) == ["close"]
    page.get_by_label("Name").fill("gone")
    page.keyboard.press("Enter")
    expect(page.locator(".stage")).to_have_count(0)
    page.get_by_role("button", name="Again").focus()
    page.keyboard.press("Escape")
    page.get_by_label("Name").fill("")
    page.keyboard.press("Enter")
    expect(page.locator(".stage")).to_be_visible()
    page.get_by_role("button", name="Again").focus()
    page.keyboard.press("Escape")
    assert events(page, 2) == ["close", "close"]
    page.close()
