"""Spatial relations of boxes and their place in the picture, as degrees from 0 (no) to 1 (clear).

A degree of one half is the line above which a relation holds. All functions are vectorised over
boxes (..., 4): x0, y0, x1, y1 as fractions of the upright picture; two sets of boxes are broadcast
against each other. Distances are measured in sizes of the things themselves, axis by axis, so that
neither the picture's shape nor the things' scale matters.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from search.scenes.scene import Position, Relation, Size

Degrees = npt.NDArray[np.float64]
Boxes = npt.NDArray[np.float64]

SHARES: dict[Size, float] = {"tiny": 0.01, "small": 0.05, "large": 0.15, "huge": 0.4}
"""The fraction of the picture that a thing's box covers: at most, for tiny and small; at least, for
large and huge.
"""
TINIEST = 1e-9


def left_of(a: Boxes, b: Boxes) -> Degrees:
    """The centre of a is to the left of b's: distance / mean width, 1 where they just separate."""
    return _ahead(a, b, axis=0)


def right_of(a: Boxes, b: Boxes) -> Degrees:
    """b is left of a."""
    return _ahead(b, a, axis=0)


def above(a: Boxes, b: Boxes) -> Degrees:
    """The centre of a is above b's: distance / mean height, 1 where they just separate."""
    return _ahead(a, b, axis=1)


def below(a: Boxes, b: Boxes) -> Degrees:
    """b is above a."""
    return _ahead(b, a, axis=1)


def inside(a: Boxes, b: Boxes) -> Degrees:
    """The fraction of a inside b, if a is at most half as large; decreasing up to b's own size.

    Uses boxes, not masks: the outer thing's mask has a hole where the inner thing is.
    """
    size_a, size_b = area(a), area(b)
    contained = shared(a, b) / np.maximum(size_a, TINIEST)
    smaller = np.clip(2 - 2 * size_a / np.maximum(size_b, TINIEST), 0, 1)
    return np.asarray(contained * smaller)


def next_to(a: Boxes, b: Boxes) -> Degrees:
    """Halved for every mean side length of free space between the two; lower where they overlap, 0
    where one lies in the other.
    """
    centres = np.abs(_centre(a) - _centre(b))
    sides = (_sides(a) + _sides(b)) / 2
    gap = np.linalg.norm(np.clip(centres / np.maximum(sides, TINIEST) - 1, 0, None), axis=-1)
    common = shared(a, b) / np.maximum(np.minimum(area(a), area(b)), TINIEST)
    return np.asarray(np.exp2(-gap) * (1 - np.clip(common, 0, 1)))


RELATIONS: dict[Relation, Callable[[Boxes, Boxes], Degrees]] = {
    "left of": left_of,
    "right of": right_of,
    "above": above,
    "below": below,
    "inside": inside,
    "next to": next_to,
}


def at(boxes: Boxes, position: Position) -> Degrees:
    """How well boxes lie in that part of the picture, by their centres: the weaker axis.

    Along an axis the line is at 5/12 from the named edge, and 1/5 from the middle for "centre";
    degrees 1 and 0 are 1/6 of the picture away from it.
    """
    centre = _centre(boxes)
    degree = np.ones(centre.shape[:-1])
    for axis, part in enumerate((position.column, position.row)):
        place = centre[..., axis]
        if part in ("left", "top"):
            beyond = 5 / 12 - place
        elif part in ("right", "bottom"):
            beyond = place - 7 / 12
        elif part == "centre":
            beyond = 0.2 - np.abs(place - 0.5)
        else:
            continue
        degree = np.minimum(degree, np.clip(0.5 + 3 * beyond, 0, 1))
    return degree


def sized(boxes: Boxes, size: Size) -> Degrees:
    """How well boxes have that size: by the fraction of the picture on a log2 scale, with the line
    at `SHARES`, and 1 and 0 a doubling away from it.
    """
    doublings = np.log2(np.maximum(area(boxes), TINIEST) / SHARES[size])
    sign = -1 if size in ("tiny", "small") else 1
    return np.asarray(np.clip(0.5 + sign * doublings / 2, 0, 1))


def placed(boxes: Boxes, wanted: Boxes) -> Degrees:
    """How well boxes agree with a hand-drawn one: the mean of their intersection over union and of
    2 ** -d², d the distance of the centres in half sides of the wanted box.

    People draw positions better than sizes: a box of a third of the size in the right place has
    0.67, one of the right size that is off by half its side has 0.42.
    """
    both = shared(boxes, wanted)
    union = area(boxes) + area(wanted) - both
    apart = (_centre(boxes) - _centre(wanted)) / np.maximum(_sides(wanted) / 2, TINIEST)
    return np.asarray((both / np.maximum(union, TINIEST) + np.exp2(-(apart**2).sum(axis=-1))) / 2)


def area(boxes: Boxes) -> Degrees:
    """The fraction of the picture that boxes cover."""
    return np.asarray(np.clip(_sides(boxes), 0, None).prod(axis=-1))


def shared(a: Boxes, b: Boxes) -> Degrees:
    """The area that boxes share, as a fraction of the picture."""
    low, high = np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:])
    return np.asarray(np.clip(high - low, 0, None).prod(axis=-1))


def _ahead(first: Boxes, second: Boxes, axis: int) -> Degrees:
    distance = (_centre(second) - _centre(first))[..., axis]
    sides = (_sides(first) + _sides(second))[..., axis] / 2
    return np.asarray(np.clip(distance / np.maximum(sides, TINIEST), 0, 1))


def _centre(boxes: Boxes) -> Boxes:
    return np.asarray((boxes[..., :2] + boxes[..., 2:]) / 2)


def _sides(boxes: Boxes) -> Boxes:
    return np.asarray(boxes[..., 2:] - boxes[..., :2])
