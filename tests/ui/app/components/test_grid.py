"""The grid: what Python makes of values from the browser, and cards in a real browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.ui.app.components.serving import HOSTILE, SECONDS, events
from ui.app.components.grid import _checked_act, _checked_ids

SCRIPT = f"""
import json
import streamlit as st
from ui.app.components.grid import Card, show_grid

log = st.session_state.setdefault("log", [])
chosen = st.session_state.setdefault("chosen", [])
overlay = st.query_params.get("overlay", "Box")
dot = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
place = (0.1, 0.2, 0.5, 0.7)
cards = [
    Card(f"{{n:032x}}", f"photo-{{n}}.jpg", "/a", 1.5, dot, "0.9", (place,), dot, dot)
    for n in range(5)
]
cards.append(Card("f" * 32, {HOSTILE!r}, "/x", 0.75, "nowhere", folded=3, heading="May 2021"))
done = show_grid(
    "grid", cards, overlay=overlay, opacity=0.5, columns=3, chosen=chosen, label="Photos"
)
if done.act:
    log.append([done.act, done.photo])
if done.chosen is not None:
    chosen[:] = done.chosen
    log.append(list(done.chosen))
st.container(key="log").text(f"{{len(log)}} {{json.dumps(log)}}")
"""
IDS = {"a" * 32, "b" * 32}


@pytest.mark.parametrize(
    "sent",
    [None, 3, [], "open", {}, {"act": "open"}, {"act": "open", "id": "c" * 32}, {"act": ["open"]},
     {"act": "delete", "id": "a" * 32}, {"act": "open", "id": ["a" * 32]}, {"act": {}, "id": {}}],
)  # fmt: skip
def test_an_act_is_one_of_ours_on_a_photo_of_the_grid(sent: object) -> None:
    assert _checked_act(sent, IDS) == (None, None)


def test_acts_and_chosen_photos_are_taken() -> None:
    assert _checked_act({"act": "more", "id": "a" * 32}, IDS) == ("more", "a" * 32)
    assert _checked_ids(["a" * 32, 7, None, "c" * 32, ["b" * 32]], IDS) == ("a" * 32,)
    assert _checked_ids([], IDS) == ()
    assert _checked_ids("a" * 32, IDS) is None


def opened(browser: Browser, address: str, width: int = 1280) -> Page:
    """The page once its cards are there."""
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.set_default_timeout(SECONDS * 1000)
    page.goto(address)
    expect(page.locator(".card")).to_have_count(6)
    return page


@pytest.mark.browser
def test_every_act_reaches_python_once(browser: Browser, address: str) -> None:
    page = opened(browser, address)
    page.get_by_role("button", name="Open photo-2.jpg").click()
    assert events(page, 1) == [["open", f"{2:032x}"]]
    card = page.locator(".card").nth(1)
    for count, (name, act) in enumerate((("More like", "more"), ("Fewer like", "less")), start=2):
        card.hover()
        card.get_by_role("button", name=name).click()
        assert events(page, count)[-1] == [act, f"{1:032x}"]
    page.get_by_role("button", name="3 more like").click()
    assert events(page, 4)[-1] == ["unfold", "f" * 32]
    page.close()


@pytest.mark.browser
def test_photos_are_chosen_one_after_the_other(browser: Browser, address: str) -> None:
    page = opened(browser, address)
    for count, number in enumerate((0, 3), start=1):
        page.locator(".card").nth(number).hover()
        page.locator(".card").nth(number).get_by_role("checkbox").check()
        events(page, count)
    assert events(page, 2)[-1] == [f"{0:032x}", f"{3:032x}"]
    page.locator(".card").nth(0).get_by_role("checkbox").uncheck()
    assert events(page, 3)[-1] == [f"{3:032x}"]
    expect(page.locator(".card.chosen")).to_have_count(1)
    page.close()


@pytest.mark.browser
def test_boxes_masks_and_heat_lie_where_they_belong(browser: Browser, address: str) -> None:
    page = opened(browser, address)
    frame = page.locator(".frame").first.bounding_box()
    box = page.locator(".frame").first.locator(".line").bounding_box()
    assert frame
    assert box
    assert (box["x"] - frame["x"]) / frame["width"] == pytest.approx(0.1, abs=0.02)
    assert (box["y"] - frame["y"]) / frame["height"] == pytest.approx(0.2, abs=0.02)
    assert box["width"] / frame["width"] == pytest.approx(0.4, abs=0.03)
    for overlay in ("Mask", "Heat"):
        page.goto(f"{address}/?overlay={overlay}")
        expect(page.locator(".card")).to_have_count(6)
        layer = page.locator(".frame img.overlay")
        expect(layer).to_have_count(5)
        assert layer.first.evaluate("node => getComputedStyle(node).opacity") == "0.5"
    page.close()


@pytest.mark.browser
def test_names_are_text_and_a_missing_thumbnail_is_said(browser: Browser, address: str) -> None:
    page = opened(browser, address)
    expect(page.locator(".name").last).to_have_text(HOSTILE)
    assert page.title() != "owned"
    expect(page.get_by_text("No thumbnail")).to_have_count(1)
    expect(page.get_by_role("heading", name="May 2021")).to_be_visible()
    page.close()


@pytest.mark.browser
def test_arrows_go_from_picture_to_picture(browser: Browser, address: str) -> None:
    page = opened(browser, address)
    focused = "document.activeElement.shadowRoot.activeElement.ariaLabel"
    page.get_by_role("button", name="Open photo-0.jpg").focus()
    for key, name in (("ArrowRight", "1"), ("ArrowRight", "2"), ("ArrowLeft", "1"), ("Home", "0")):
        page.keyboard.press(key)
        assert page.evaluate(focused) == f"Open photo-{name}.jpg"
    page.keyboard.press("ArrowDown")
    assert re.fullmatch(r"Open photo-[23]\.jpg", page.evaluate(focused))
    page.keyboard.press("ArrowUp")
    assert re.fullmatch(r"Open photo-[01]\.jpg", page.evaluate(focused))
    page.close()


@pytest.mark.browser
def test_two_columns_at_most_on_a_telephone(browser: Browser, address: str) -> None:
    page = opened(browser, address, width=390)
    tops = page.locator(".card").evaluate_all("cards => cards.map((c) => c.offsetTop)")
    assert max(tops.count(top) for top in tops) <= 2
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 390
    page.close()
