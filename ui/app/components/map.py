"""An offline map of photos: Leaflet over bundled coasts and borders.

    seen = map_view("map")
    spots = index.clusters(rows, *(seen.asked if seen else (WORLD, CELLS)))
    events = show_map(key="map", clusters=spots, view=index.extent(rows))

Moving the map is an event: the page reruns, asks `map_view` for the visible part, and sends the
spots in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

from search.browse.places import Bounds, Clusters
from tips_model.errors import TipsError
from ui.app.components.assets import text
from ui.app.components.edits import ignore, last_edit

MOST_SPOTS = 1000
MOST_CELLS = 64
CELLS = 16
WORLD = Bounds(-90.0, -180.0, 90.0, 180.0)
_FAR = 1e6
_DIGITS = 6  # digits of degrees: a tenth of a metre

_library = st.components.v2.component(
    "tips.map_library",
    js="const L = ((exports, module) => {\n"
    + text("vendor/leaflet/leaflet.js")
    + "\nreturn exports.noConflict(); })({}, {});\nconst WORLD = "
    + text("vendor/world.json")
    + ";\n"
    + text("map_library.js"),
)
_map = st.components.v2.component(
    "tips.map",
    css=text("vendor/leaflet/leaflet.css") + text("common.css") + text("map.css"),
    js=text("common.js") + text("map.js"),
)


@dataclass(frozen=True, slots=True)
class MapView:
    """The visible part of a map. cells: how many spots fit side by side in it."""

    bounds: Bounds
    zoom: float
    cells: int

    @property
    def asked(self) -> tuple[Bounds, int]:
        """The bounds and cells to pass to `PhotoIndex.clusters`."""
        return self.bounds, self.cells


@dataclass(frozen=True, slots=True)
class MapEvents:
    """What the user did since the last run.

    view: the visible part, None until the map has been drawn. photo: the id of the clicked photo.
    area: the area whose photos were requested.
    """

    view: MapView | None
    photo: str | None
    area: Bounds | None


def map_view(key: str) -> MapView | None:
    """The visible part of the map `key`, before it is mounted; None until it has been drawn."""
    state = st.session_state.get(key)
    return _checked_view(state.get("view")) if isinstance(state, Mapping) else None


def show_map(
    *,
    key: str,
    clusters: Clusters,
    view: Bounds | None,
    tiles: str | None = None,
    height: int = 520,
) -> MapEvents:
    """Show spots of photos on a map, `height` pixels high, or 70 % of the window's height.

    clusters: those of `map_view`, at most `MOST_SPOTS` are drawn. view: what to show at first, and
    when it changes; None for the world. tiles: the URL of a tile server with {z}, {x} and {y},
    instead of the bundled coasts; every viewer's browser then contacts that server. Raises
    `TipsError` for an invalid URL.
    """
    if tiles is not None and not _is_template(tiles):
        raise TipsError(
            f"{tiles!r} is not the address of map tiles; it begins with https:// and names "
            "{z}, {x} and {y}."
        )
    data = {
        "clusters": _sent(clusters),
        "view": None if view is None else [view.south, view.west, view.north, view.east],
        "tiles": tiles,
        "height": height,
    }
    photo, area = last_edit(key, "photo"), last_edit(key, "area")
    with st.container(gap=None):
        _library(key=f"{key}-library")
        _map(
            key=key,
            data=data,
            on_view_change=ignore,
            on_photo_change=ignore,
            on_area_change=ignore,
        )
    photo.seen()
    area.seen()
    return MapEvents(map_view(key), _checked_id(photo.value), _checked_bounds(area.value))


def _sent(clusters: Clusters) -> list[list[Any]]:
    """Latitude, longitude, count, id, south, west, north, east of each spot."""
    places = zip(
        clusters.latitude[:MOST_SPOTS].round(_DIGITS).tolist(),
        clusters.longitude[:MOST_SPOTS].round(_DIGITS).tolist(),
        clusters.count[:MOST_SPOTS].tolist(),
        clusters.ids[:MOST_SPOTS],
        clusters.extents[:MOST_SPOTS].tolist(),
        strict=True,
    )
    return [[lat, lon, count, key, *extent] for lat, lon, count, key, extent in places]


def _is_template(tiles: str) -> bool:
    return tiles.startswith(("https://", "http://")) and all(
        part in tiles for part in ("{z}", "{x}", "{y}")
    )


def _checked_view(raw: object) -> MapView | None:
    """The view that the browser sent, None if invalid: the browser is never trusted."""
    if not isinstance(raw, Mapping):
        return None
    bounds = _checked_bounds(raw.get("bounds"))
    zoom, cells = _checked_number(raw.get("zoom")), _checked_number(raw.get("cells"))
    if bounds is None or zoom is None or cells is None:
        return None
    return MapView(bounds, zoom, int(min(max(cells, 1), MOST_CELLS)))


def _checked_bounds(raw: object) -> Bounds | None:
    if not isinstance(raw, list) or len(raw) != 4:
        return None
    south, west, north, east = (_checked_number(side) for side in raw)
    if south is None or west is None or north is None or east is None:
        return None
    return Bounds.of_view(south, west, north, east) if south <= north and west <= east else None


def _checked_id(raw: object) -> str | None:
    return raw if isinstance(raw, str) and len(raw) == 32 and raw.isalnum() else None


def _checked_number(raw: object) -> float | None:
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        return None
    # Beyond every degree and zoom; not every integer fits into a float.
    return float(raw) if -_FAR <= raw <= _FAR else None
