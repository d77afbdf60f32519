"""Makes `world.json`, the map under the photos, from Natural Earth's 1:50m countries (public
domain) as the npm package world-atlas 2.0.2 has them: `python make_world.py countries-50m.json`.

    arcs     lines, each as text: differences of longitude and latitude in `1 / scale` degrees, in
             the letters of Google's encoded polylines
    land     polygons as rings of arcs; a negative number ~n is arc n backwards
    borders  the arcs that two countries share
    names    [name, longitude, latitude, width in degrees] of the largest part of each country
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

SCALE = 50  # steps of 0.02 degrees
TOLERANCE = 0.02  # degrees by which a line may be off
Line = npt.NDArray[np.float64]  # (N, 2) longitude, latitude


def main(source: Path) -> None:
    """Write `world.json` beside this script."""
    topology = json.loads(source.read_text())
    scale, shift = (np.array(topology["transform"][name]) for name in ("scale", "translate"))
    arcs = [_unrolled(np.cumsum(arc, axis=0) * scale + shift) for arc in topology["arcs"]]
    countries = topology["objects"]["countries"]["geometries"]
    shared = Counter(arc for country in countries for arc in set(_arcs_of(country)))
    rings = [ring for shape in topology["objects"]["land"]["geometries"] for ring in _rings(shape)]
    world = {
        "scale": SCALE,
        "arcs": [_encoded(_simplified(arc)) for arc in arcs],
        "land": rings,
        "borders": sorted(arc for arc, count in shared.items() if count > 1),
        "names": [_label(country, arcs) for country in countries if "arcs" in country],
    }
    target = Path(__file__).with_name("world.json")
    target.write_text(json.dumps(world, ensure_ascii=False, separators=(",", ":")), "utf-8")


def _rings(shape: dict[str, Any]) -> Iterator[list[list[int]]]:
    """The polygons of a shape, each as rings of arcs."""
    yield from [shape["arcs"]] if shape["type"] == "Polygon" else shape["arcs"]


def _arcs_of(shape: dict[str, Any]) -> Iterator[int]:
    """The numbers of all arcs of a shape."""
    for polygon in _rings(shape) if "arcs" in shape else ():
        for ring in polygon:
            yield from (arc if arc >= 0 else ~arc for arc in ring)


def _unrolled(line: Line) -> Line:
    """The line without the jump at the date line."""
    return np.stack([np.unwrap(line[:, 0], period=360.0), line[:, 1]], axis=1)


def _simplified(line: Line) -> Line:
    """The line with fewer points, off by at most `TOLERANCE` (Ramer, Douglas and Peucker)."""
    kept = np.zeros(len(line), bool)
    kept[[0, -1]] = True
    open_ = [(0, len(line) - 1)]
    while open_:
        first, last = open_.pop()
        if last - first < 2:
            continue
        inner, along = line[first + 1 : last] - line[first], line[last] - line[first]
        length = np.hypot(*along)
        off = np.hypot(*inner.T)  # a closed line has no direction from end to end
        if length:
            off = np.abs(inner[:, 0] * along[1] - inner[:, 1] * along[0]) / length
        farthest = int(np.argmax(off))
        if off[farthest] > TOLERANCE:
            kept[first + 1 + farthest] = True
            open_ += [(first, first + 1 + farthest), (first + 1 + farthest, last)]
    return line[kept]


def _encoded(line: Line) -> str:
    steps = np.rint(line * SCALE).astype(int)
    moves = np.diff(steps, axis=0, prepend=[[0, 0]])
    moves = moves[[0, *(np.flatnonzero(moves[1:].any(axis=1)) + 1)]]
    return "".join(_letters(moves.ravel().tolist()))


def _letters(numbers: Iterable[int]) -> Iterator[str]:
    for number in numbers:
        rest = ~(number << 1) if number < 0 else number << 1
        while rest >= 0x20:
            yield chr((0x20 | (rest & 0x1F)) + 63)
            rest >>= 5
        yield chr(rest + 63)


def _label(country: dict[str, Any], arcs: list[Line]) -> list[Any]:
    """The name in the middle of the country's largest part."""
    parts = [_unrolled(_outline(polygon[0], arcs)) for polygon in _rings(country)]
    largest = max(parts, key=lambda part: abs(_area(part)))
    x, y = largest[:-1].T
    nx, ny = largest[1:].T
    weight = x * ny - nx * y
    lon, lat = (float(((a + b) * weight).sum() / (3 * weight.sum())) for a, b in ((x, nx), (y, ny)))
    width = float(np.ptp(largest[:, 0]))
    return [country["properties"]["name"], round(lon, 1), round(lat, 1), round(width, 1)]


def _outline(ring: list[int], arcs: list[Line]) -> Line:
    return np.concatenate([arcs[arc] if arc >= 0 else arcs[~arc][::-1] for arc in ring])


def _area(outline: Line) -> float:
    (x, y), (nx, ny) = outline[:-1].T, outline[1:].T
    return float((x * ny - nx * y).sum() / 2)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
