"""The strip of months: what Python makes of values from the browser, and a real browser."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import Browser, Page, expect

from tests.ui.app.components.serving import SECONDS, at, dragged, events
from ui.app.components.timeline import LAST_MONTH, Stretch, _checked, _name, _number

SCRIPT = """
import json
import streamlit as st
from search.browse.index import Month
from ui.app.components.timeline import show_timeline

ask, state = st.query_params, st.session_state
log = state.setdefault("log", [])
if "chosen" not in state:
    state.chosen = tuple(json.loads(ask["chosen"])) if "chosen" in ask else None
first, last = int(ask.get("first", 2021)), int(ask.get("last", 2022))
months = [
    Month(year, month, 10 * month + (year == last))
    for year in range(last, first - 1, -1)
    for month in range(12, 0, -1)
    if month != 7
]
if "none" in ask:
    months = []
st.set_page_config(layout="wide")
stretch = show_timeline(key="strip", months=months, chosen=state.chosen, undated=3)
if stretch is not None:
    state.chosen = stretch.months
    log.append(stretch.months)
st.container(key="log").text(f"{len(log)} {json.dumps(log)}")
"""


@pytest.mark.parametrize(
    ("sent", "stretch"),
    [
        ({"months": [2021 * 12, 2022 * 12 + 11]}, Stretch(("2021-01", "2022-12"))),
        ({"months": [24_005, 24_000]}, Stretch(("2000-01", "2000-06"))),
        ({"months": [12, LAST_MONTH]}, Stretch(("0001-01", "9999-12"))),
        ({"months": None}, Stretch(None)),
        ({"months": [11, 24_000]}, None),
        ({"months": [24_000, LAST_MONTH + 1]}, None),
        ({"months": [24_000.0, 24_001]}, None),
        ({"months": [True, 24_001]}, None),
        ({"months": [24_000]}, None),
        ({"months": "2021-05"}, None),
        ({}, None),
        (None, None),
    ],
)
def test_a_stretch_of_the_calendar_is_taken_and_nothing_else(
    sent: object, stretch: Stretch | None
) -> None:
    assert _checked(sent) == stretch


@given(st.integers(12, LAST_MONTH))
def test_months_have_numbers(number: int) -> None:
    assert _number(_name(number)) == number


def opened(browser: Browser, address: str, width: int = 1280, **context: Any) -> Page:
    page = browser.new_page(viewport={"width": width, "height": 500}, **context)
    page.set_default_timeout(SECONDS * 1000)
    page.goto(address)
    expect(page.locator(".title")).not_to_be_empty()
    expect(page.locator(".st-key-log")).to_be_visible()
    return page


@pytest.mark.browser
def test_a_click_chooses_a_month_and_a_second_one_all_time(browser: Browser, address: str) -> None:
    page = opened(browser, address)
    expect(page.locator(".title")).to_have_text("2021 – 2022: 1,431 photos, 3 without a date")
    expect(page.locator(".bar")).to_have_count(24)
    may = page.get_by_role("button", name="May 2022: 51 photos")
    page.mouse.click(*at(may, 0.5, 0.9))
    assert events(page, 1) == [["2022-05", "2022-05"]]
    expect(may).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".title")).to_have_text("May 2022: 51 photos")
    page.mouse.click(*at(may, 0.5, 0.1))
    assert events(page, 2)[1] is None
    expect(may).to_have_attribute("aria-pressed", "false")
    empty = page.get_by_role("button", name="July 2021: 0 photos")
    assert empty.locator("span").evaluate("node => node.clientHeight") == 0
    page.close()


@pytest.mark.browser
def test_a_drag_chooses_a_stretch_either_way_at_any_width(browser: Browser, address: str) -> None:
    for width in (1280, 390):
        page = opened(browser, address, width)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        bars = page.locator(".bar").count()
        strip = page.locator(".strip")
        dragged(page, strip, (10.5 / bars, 0.5), (3.5 / bars, 0.5))
        assert events(page, 1) == [["2021-04", "2021-11"]]
        page.get_by_role("button", name="All time").click()
        assert events(page, 2)[1] is None
        expect(page.get_by_role("button", name="All time")).to_be_hidden()
        page.close()


@pytest.mark.browser
def test_years_stand_for_many_months_and_open_into_them(browser: Browser, address: str) -> None:
    page = opened(browser, f"{address}/?first=1990&last=2020")
    expect(page.locator(".bar")).to_have_count(31)
    page.mouse.click(*at(page.get_by_role("button", name="1999: 710 photos"), 0.5, 0.5))
    assert events(page, 1) == [["1999-01", "1999-12"]]
    expect(page.locator(".bar")).to_have_count(12)
    page.mouse.click(*at(page.get_by_role("button", name="March 1999: 30 photos"), 0.5, 0.5))
    assert events(page, 2)[1] == ["1999-03", "1999-03"]
    page.get_by_role("button", name="Back to all years").click()
    expect(page.locator(".bar")).to_have_count(31)
    expect(page.locator(".bar.on")).to_have_count(1)
    expect(page.get_by_role("button", name="1999: 710 photos")).to_be_focused()
    dragged(page, page.locator(".strip"), (0.5 / 31, 0.5), (2.5 / 31, 0.5))
    assert events(page, 3)[2] == ["1990-01", "1992-12"]
    page.close()


@pytest.mark.browser
def test_centuries_fit_into_a_narrow_window(browser: Browser, address: str) -> None:
    page = opened(browser, f"{address}/?first=1850&last=2020", 390)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    expect(page.locator(".bar")).to_have_count(171)
    labels = page.locator(".axis span").all()
    boxes = [label.bounding_box() for label in labels]
    edges = [(box["x"], box["x"] + box["width"]) for box in boxes if box]
    assert len(edges) > 3
    assert all(right <= left for (_, right), (left, _) in pairwise(edges))
    page.close()


@pytest.mark.browser
def test_a_stretch_within_a_year_is_seen_by_months_at_once(browser: Browser, address: str) -> None:
    chosen = '["2010-04","2010-06"]'
    page = opened(browser, f"{address}/?first=1990&last=2020&chosen={chosen}", 390)
    expect(page.locator(".bar")).to_have_count(12)
    expect(page.locator(".bar.on")).to_have_count(3)
    expect(page.locator(".title")).to_have_text("April 2010 – June 2010: 150 photos")
    page.close()


@pytest.mark.browser
def test_the_strip_works_by_keys(browser: Browser, address: str) -> None:
    page = opened(browser, address)
    first = page.locator(".bar").first
    first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("button", name="March 2021")).to_be_focused()
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    expect(page.locator(".title")).to_have_text("March 2021 – May 2021: 120 photos")
    assert events(page, 0) == []
    page.keyboard.press("Enter")
    assert events(page, 1) == [["2021-03", "2021-05"]]
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    assert events(page, 2)[1] == ["2022-12", "2022-12"]
    page.keyboard.press("Tab")
    focused = page.locator(".bar:focus")
    expect(focused).to_have_count(0)  # one stop, however many months there are
    page.close()


@pytest.mark.browser
def test_without_dates_there_is_a_sentence(browser: Browser, address: str) -> None:
    page = opened(browser, f"{address}/?none=1")
    expect(page.locator(".title")).to_have_text("None of these photos has a date.")
    expect(page.locator(".strip")).to_be_hidden()
    page.close()
