"""Photo places on a map: bounds on the globe, and clustering of nearby photos into spots.

Grids are those of Web Mercator, as in map libraries: the world is a square of side 1, x to the east
from the date line, y to the south from 85.05 degrees north.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from indexer.vectors import Within
from search.browse.columns import Floats

NORTHERNMOST = 85.0511287798066  # degrees; the edge of Web Mercator's square
_EARTH_KM = 6371.0088  # mean radius, as in the vector stores
_APART = 0.8  # minimum distance of spot centres in cell widths
_DIGITS = 5  # of degrees: about a metre
_FINEST = 40  # halvings of the world; a cell is then 40 micrometres wide


@dataclass(frozen=True, slots=True)
class Bounds:
    """A part of the globe in degrees. `west` > `east` crosses the date line."""

    south: float
    west: float
    north: float
    east: float

    @classmethod
    def of_view(cls, south: float, west: float, north: float, east: float) -> Self:
        """The part shown by a map whose longitudes continue beyond the date line, up to a metre
        larger, so that it is short to write.
        """
        south, north = (max(-90.0, min(side, 90.0)) for side in (south, north))
        if east - west >= 360:
            west, east = -180.0, 180.0
        sides = (_rounded(south, -1), _wrapped(west, -1), _rounded(north, 1), _wrapped(east, 1))
        return cls(*sides)

    @property
    def width(self) -> float:
        """Degrees of longitude from west to east."""
        return self.east - self.west + (360.0 if self.west > self.east else 0.0)

    def filter(self) -> Within:
        """The filter for photos taken there."""
        return Within(self.south, self.west, self.north, self.east)


@dataclass(frozen=True, slots=True)
class Clusters:
    """M spots, the largest first. `latitude`, `longitude` (M,): the mean of the photos' places;
    `count` (M,) photos; `ids`: the newest photo of each; `extents` (M, 4): south, west, north, east
    of its photos.
    """

    latitude: Floats
    longitude: Floats
    count: npt.NDArray[np.int64]
    ids: tuple[str, ...]
    extents: Floats

    def __len__(self) -> int:
        return len(self.count)


def inside(latitude: Floats, longitude: Floats, bounds: Bounds | Within) -> npt.NDArray[np.bool_]:
    """Whether each place lies in the bounds, edges included; False for unknown ones (NaN)."""
    between = (latitude >= bounds.south) & (latitude <= bounds.north)
    east_of, west_of = longitude >= bounds.west, longitude <= bounds.east
    return between & ((east_of & west_of) if bounds.west <= bounds.east else (east_of | west_of))


def distance_km(latitude: Floats, longitude: Floats, lat: float, lon: float) -> Floats:
    """The kilometres from each place (N,) to a point on the sphere; NaN for unknown ones."""
    a, b = np.radians(latitude), math.radians(lat)
    half = np.sin((a - b) / 2) ** 2
    half += np.cos(a) * math.cos(b) * np.sin(np.radians(longitude - lon) / 2) ** 2
    km: Floats = 2 * _EARTH_KM * np.arcsin(np.sqrt(np.minimum(half, 1.0)))
    return km


def extent(latitude: Floats, longitude: Floats) -> Bounds | None:
    """The smallest bounds that contain all known places; None when there are none."""
    known = ~np.isnan(latitude) & ~np.isnan(longitude)
    if not known.any():
        return None
    around = np.unique(longitude[known])
    gaps = np.diff(around, append=around[0] + 360.0)
    widest = int(np.argmax(gaps))
    if gaps[-1] == gaps[widest]:
        widest = len(gaps) - 1  # do not cross the date line unnecessarily
    west, east = around[(widest + 1) % len(around)], around[widest]
    heights = latitude[known]
    return Bounds(float(heights.min()), float(west), float(heights.max()), float(east))


def spots_of(
    latitude: Floats, longitude: Floats, bounds: Bounds, cells: int
) -> npt.NDArray[np.int64]:
    """The number of the spot that each place (N,) belongs to, from 0.

    A spot is a grid cell plus the neighbours whose centres are close to its own. The bounds are at
    least `cells` and less than twice as many cells wide. The grid is fixed to the globe, so that
    spots stay the same when the map is moved.
    """
    halvings = math.ceil(math.log2(max(cells, 1) * 360.0 / max(bounds.width, 1e-9)))
    side = 2.0 ** min(max(halvings, 0), _FINEST)
    limit = math.sin(math.radians(NORTHERNMOST))
    sine = np.clip(np.sin(np.radians(latitude)), -limit, limit)
    x = (longitude + 180.0) / 360.0 * side
    y = (0.5 - np.arctanh(sine) / (2 * math.pi)) * side
    column, row = (np.floor(each).astype(np.int64) for each in (x, y))
    column -= column.min(initial=0)
    numbers = row * (column.max(initial=0) + 1) + column
    _, cell, count = np.unique(numbers, return_inverse=True, return_counts=True)
    leaders = _leaders(np.bincount(cell, x) / count, np.bincount(cell, y) / count, count)
    return np.unique(leaders, return_inverse=True)[1][cell]


def _leaders(x: Floats, y: Floats, count: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """For each cell (M,) the one that absorbs it, often itself: the largest nearby. `x`, `y`:
    centres in cell widths.
    """
    leaders = np.full(len(count), -1, np.int64)
    for cell in np.argsort(-count, kind="stable"):  # as many as fit on a map
        if leaders[cell] < 0:
            near = np.hypot(x - x[cell], y - y[cell]) < _APART
            leaders[near & (leaders < 0)] = cell
    return leaders


def _rounded(degrees: float, way: int) -> float:
    """To `_DIGITS`, up or down."""
    scale = 10.0**_DIGITS
    return way * math.ceil(way * degrees * scale) / scale


def _wrapped(longitude: float, way: int) -> float:
    """The rounded longitude in [-180, 180]."""
    inside = longitude if -180 <= longitude <= 180 else (longitude + 180) % 360 - 180
    return max(-180.0, min(_rounded(inside, way), 180.0))
