"""The map: what Python makes of values from the browser, and a real browser without a network."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import Browser, Page, expect

from search.browse.places import Bounds
from tests.ui.app.components.serving import SECONDS, events
from tips_model.errors import TipsError
from ui.app.components.assets import text
from ui.app.components.map import (
    MOST_CELLS,
    MapView,
    _checked_bounds,
    _checked_id,
    _checked_view,
    _is_template,
    show_map,
)

NAN, INF = float("nan"), float("inf")
ROME, ALONE = (41.9, 12.5), (-17.5, -179.0)

SCRIPT = """
import json
import numpy as np
import streamlit as st
from search.browse.places import Bounds, Clusters, extent, inside, spots_of
from ui.app.components.map import CELLS, WORLD, map_view, show_map

ask, state = st.query_params, st.session_state
log = state.setdefault("log", [])
rng = np.random.default_rng(1)
rome, oslo = np.array((41.9, 12.5)), np.array((59.9, 10.7))
rome, oslo = (city + rng.normal(0, 0.3, (count, 2)) for city, count in ((rome, 12), (oslo, 3)))
places = np.concatenate([rome, oslo, np.tile((10.0, 20.0), (5, 1)), [(-17.5, -179.0)]])
if "none" in ask:
    places = places[:0]


def spots(bounds, cells):
    kept = np.flatnonzero(inside(*places.T, bounds))
    lat, lon = places[kept].T
    spot = spots_of(lat, lon, bounds, cells)
    _, first, count = np.unique(spot, return_index=True, return_counts=True)
    of = [places[kept[spot == each]] for each in range(len(count))]
    ends = [[*each.min(0), *each.max(0)] for each in of]
    middle = np.array([each.mean(0) for each in of]).reshape(-1, 2)
    ids = tuple(f"{kept[i]:032x}" for i in first)
    return Clusters(*middle.T, count, ids, np.array(ends).reshape(-1, 4))


view = Bounds(*json.loads(ask["view"])) if "view" in ask else extent(*places.T)
seen = map_view("map")
events = show_map(
    key="map", clusters=spots(*(seen.asked if seen else (WORLD, CELLS))), view=view, height=400,
    tiles=ask.get("tiles"),
)
if events.photo:
    log.append(events.photo)
if events.area:
    log.append([events.area.south, events.area.west, events.area.north, events.area.east])
st.container(key="log").text(f"{len(log)} {json.dumps(log)}")
shown = events.view
if shown:
    at = shown.bounds
    line = [at.south, at.west, at.north, at.east, shown.zoom, shown.cells]
    st.container(key="view").text(json.dumps(line))
"""


@pytest.mark.parametrize(
    ("sent", "bounds"),
    [
        ([-10, 20, 10, 40], Bounds(-10, 20, 10, 40)),
        ([-100, -10, 95, 10], Bounds(-90, -10, 90, 10)),
        ([0, 170, 1, 190], Bounds(0, 170, 1, -170)),
        ([0, -540, 1, -530], Bounds(0, -180, 1, -170)),
        ([0, -300, 1, 100], Bounds(0, -180, 1, 180)),
        ([1.0000001, 2.0000001, 1.0000001, 2.0000001], Bounds(1.0, 2.0, 1.00001, 2.00001)),
        ([1, 0, 0, 1], None),
        ([0, 1, 1, 0], None),
        ([0, NAN, 1, 1], None),
        ([0, 0, 1, INF], None),
        ([0, 0, 1, 10**400], None),
        ([0, 0, 1, True], None),
        ([0, 0, 1], None),
        ("0,0,1,1", None),
    ],
)
def test_bounds_are_brought_onto_the_globe_or_are_none(sent: object, bounds: object) -> None:
    assert _checked_bounds(sent) == bounds


def test_a_view_has_bounds_a_zoom_and_cells_or_is_none() -> None:
    view = {"bounds": [0, 0, 1, 1], "zoom": 3.5, "cells": 7}
    assert _checked_view(view) == MapView(Bounds(0, 0, 1, 1), 3.5, 7)
    most = _checked_view(view | {"cells": 10**5})
    assert most is not None
    assert most.cells == MOST_CELLS
    for wrong in ({"bounds": None}, {"zoom": "3"}, {"cells": NAN}):
        assert _checked_view(view | wrong) is None
    assert _checked_view(None) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.sampled_from(["bounds", "zoom", "cells"]), inner)
    ),
    max_leaves=10,
)


@given(json_values)
def test_nothing_from_the_browser_breaks_the_page(sent: object) -> None:
    view, bounds, identifier = _checked_view(sent), _checked_bounds(sent), _checked_id(sent)
    for each in (bounds, view and view.bounds):
        assert each is None or (-90 <= each.south <= each.north <= 90 and abs(each.west) <= 180)
    assert identifier is None or identifier == sent


def test_only_addresses_of_tiles_are_taken() -> None:
    assert _is_template("https://tiles.example/{z}/{x}/{y}.png")
    for wrong in ("javascript:alert(1)//{z}{x}{y}", "https://tiles.example/", "file:///{z}{x}{y}"):
        assert not _is_template(wrong)
    with pytest.raises(TipsError, match="is not the address of map tiles"):
        show_map(key="map", clusters=None, view=None, tiles="ftp://{z}{x}{y}")  # type: ignore[arg-type]


def test_the_world_is_complete() -> None:
    world = json.loads(text("vendor/world.json"))
    used = {
        arc if arc >= 0 else ~arc for polygon in world["land"] for ring in polygon for arc in ring
    }
    assert used | set(world["borders"]) <= set(range(len(world["arcs"])))
    names = {name: (lon, lat) for name, lon, lat, _ in world["names"]}
    assert names["France"] == pytest.approx((2.5, 46.6), abs=1)
    assert names["Brazil"] == pytest.approx((-53, -10.8), abs=1)
    assert abs(names["Fiji"][0]) > 177
    assert len(text("vendor/world.json")) < 200_000


def opened(browser: Browser, address: str, width: int = 1280, **context: Any) -> Page:
    """The page once the map has told Python what it shows."""
    page = browser.new_page(viewport={"width": width, "height": 800}, **context)
    page.set_default_timeout(SECONDS * 1000)
    page.goto(address)
    expect(page.locator(".st-key-view")).to_be_visible()
    return page


def view_of(page: Page, before: list[float] | None = None) -> list[float]:
    """What the map shows: south, west, north, east, zoom, cells; another view than `before`."""
    shown = page.locator(".st-key-view")
    if before is not None:
        expect(shown).not_to_have_text(json.dumps(before))
    view: list[float] = json.loads(shown.inner_text())
    return view


@pytest.mark.browser
def test_spots_are_named_buttons_and_nothing_leaves_this_machine(
    browser: Browser, address: str
) -> None:
    asked: list[str] = []
    errors: list[str] = []
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.set_default_timeout(SECONDS * 1000)
    page.goto(f"{address}/?view=[35,0,65,30]")
    expect(page.get_by_role("button", name="12 photos", exact=True)).to_have_text("12")
    expect(page.get_by_role("button", name="3 photos", exact=True)).to_have_text("3")
    expect(page.get_by_text("15 photos in this view")).to_be_visible()
    before = view_of(page)
    south, west, north, east, _, _ = before
    assert south <= 35 < 65 <= north
    assert west <= 0 < 30 <= east
    assert (west + east) / 2 == pytest.approx(15, abs=1)
    expect(page.locator(".name span", has_text="Italy")).to_be_visible()
    assert page.locator("path.land").count() == 3
    box = page.locator(".map").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 300, box["y"] + 300)
    page.mouse.down()
    page.mouse.move(box["x"] + 500, box["y"] + 200, steps=4)
    page.mouse.up()
    moved = view_of(page, before)
    assert moved[0] < south
    assert moved[1] < west
    assert [url for url in asked if not url.startswith((address, "ws:", "data:", "blob:"))] == []
    assert errors == []
    page.close()


@pytest.mark.browser
def test_a_spot_is_looked_at_more_closely(browser: Browser, address: str) -> None:
    page = opened(browser, f"{address}/?view=[35,0,65,30]")
    before = view_of(page)
    page.get_by_role("button", name="12 photos", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("12 photos in this view")).to_be_visible()
    south, west, north, east, zoom, _ = view_of(page, before)
    assert zoom > before[4]
    assert south < ROME[0] < north
    assert west < ROME[1] < east
    assert page.locator(".spot").count() > 1
    assert events(page, 0) == []
    page.close()


@pytest.mark.browser
def test_photos_at_one_place_and_all_in_view_are_areas(browser: Browser, address: str) -> None:
    page = opened(browser, f"{address}/?view=[0,10,20,30]")
    page.get_by_role("button", name="5 photos", exact=True).click()
    (area,) = events(page, 1)
    assert area == pytest.approx([10, 20, 10, 20], abs=2e-5)
    assert Bounds(*area).filter().south <= 10 <= Bounds(*area).filter().north
    page.get_by_role("button", name="Only photos in this view").click()
    assert events(page, 2)[1] == view_of(page)[:4]
    page.close()


@pytest.mark.browser
def test_a_single_photo_opens_even_across_the_date_line(browser: Browser, address: str) -> None:
    page = opened(browser, f"{address}/?view=[-30,170,-5,-170]")
    south, west, north, east, _, _ = view_of(page)
    assert west > east
    assert south < ALONE[0] < north
    page.get_by_role("button", name="1 photo", exact=True).click()
    assert events(page, 1) == [f"{20:032x}"]
    page.close()


@pytest.mark.browser
def test_keys_move_the_map_and_a_wheel_turns_the_page(browser: Browser, address: str) -> None:
    page = opened(browser, f"{address}/?view=[35,0,65,30]", width=390)
    view_of(page)
    page.wait_for_timeout(1500)  # a busy machine shows the world first
    before = view_of(page)
    assert (before[1] + before[3]) / 2 == pytest.approx(15, abs=1)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    chart = page.get_by_role("application", name="Map of the photos")
    chart.hover()
    page.mouse.wheel(0, 100)
    page.wait_for_timeout(700)  # a wheel's turn arrives late, and counts where the keys are
    chart.focus()
    page.keyboard.press("ArrowRight")
    moved = view_of(page, before)
    assert moved[1] > before[1]
    assert moved[4] == before[4]
    page.keyboard.press("+")
    assert view_of(page, moved)[4] == before[4] + 1
    page.close()


@pytest.mark.browser
def test_a_map_without_places_says_so(browser: Browser, address: str) -> None:
    page = opened(browser, f"{address}/?none=1")
    expect(page.get_by_text("None of these photos says where it was taken")).to_be_visible()
    expect(page.get_by_role("button", name="Only photos in this view")).to_be_disabled()
    assert page.locator(".spot").count() == 0
    page.close()


@pytest.mark.browser
def test_tiles_are_asked_for_only_where_they_are_set(browser: Browser, address: str) -> None:
    asked: list[str] = []
    page = browser.new_page(viewport={"width": 800, "height": 800})

    def answer(route: Any) -> None:
        asked.append(route.request.url)
        route.fulfill(status=204)

    page.route("https://tiles.example/**", answer)
    page.set_default_timeout(SECONDS * 1000)
    page.goto(f"{address}/?view=[35,0,65,30]&tiles=https://tiles.example/{{z}}/{{x}}/{{y}}.png")
    expect(page.get_by_text("Tiles: tiles.example")).to_be_visible()
    expect(page.get_by_role("button", name="12 photos", exact=True)).to_be_visible()
    assert asked
    assert page.locator("path.land").count() == 0
    page.close()
