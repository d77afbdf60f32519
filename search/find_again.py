"""Find again: turn boxes and clicks in indexed photos into a query for all other photos.

An example says "this" or "not this". The object under it is segmented in the photo's patches at all
scales (`search/places/refine.py`), so that a click selects what a box would, and a small object is
seen enlarged. For an unreadable photo its stored regions are used.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from search.arrays import Array
from search.confidence.calibration import TermVector
from search.errors import QueryError
from search.places.refine import FinePhoto, cell_of
from search.query import Example
from search.stored_photos import Regions, pool

NOT_THIS = 0.5
"""Total weight of all negative examples relative to the positive ones, before `NEGATIVE` of
`search/confidence/calibration.py`. A wrong hit resembles the target, so a higher weight would
remove what both share (`docs/regions.md`).
"""


def check(examples: Sequence[Example]) -> None:
    """Raises `QueryError` unless at least one example is positive."""
    if not any(example.positive for example in examples):
        raise QueryError("Nothing to find: give a box or a point on what you look for.")


def from_pixels(fine: FinePhoto, example: Example) -> Array:
    """The unit vector (D,) of the object under an example."""
    if example.box is not None:
        return fine.pooled(fine.in_box(example.box))
    assert example.point is not None
    return fine.pooled(fine.at_point(example.point))


def from_stored(regions: Regions, example: Example) -> Array:
    """The same from the stored regions: those that the box overlaps, or the smallest region of more
    than one patch at the point.
    """
    if example.box is not None:
        return pool(regions, example.box)
    assert example.point is not None
    row, column = cell_of(example.point, regions.masks.shape[1:])
    sizes = regions.masks.sum(axis=(1, 2))
    order = np.where(regions.masks[:, row, column], sizes + sizes.max() * (sizes < 2), np.inf)
    if not np.isfinite(order).any():  # regions may not cover the point
        return pool(regions, (0.0, 0.0, 1.0, 1.0))
    vector: Array = regions.vectors[int(order.argmin())]
    return vector


def terms(vectors: Sequence[Array], examples: Sequence[Example]) -> list[TermVector]:
    """The examples as terms of a query: positive ones share the weight 1, negative ones
    `NOT_THIS`, as in Rocchio's feedback.
    """
    wanted = sum(example.positive for example in examples)
    weights = [1 / wanted if e.positive else -NOT_THIS / (len(examples) - wanted) for e in examples]
    return [
        TermVector(vector, weight, picture=True)
        for vector, weight in zip(vectors, weights, strict=True)
    ]
