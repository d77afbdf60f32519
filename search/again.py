"""Find this again: boxes and clicks in indexed photos -> what to look for in all the others.

An example says "this" or "not this". The thing under it is cut out of the photo's patches at all
scales (`search/refine.py`), so that a click selects what a box would, and a small thing is seen
large. A photo that cannot be read any more is answered from its stored regions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from search.calibration import TermVector
from search.cutoff import Array
from search.errors import QueryError
from search.hits import Box
from search.query import check_box
from search.refine import FinePhoto, cell_of
from search.stored import Regions, pool

Point = tuple[float, float]
NOT_THIS = 0.5
"""What all negative examples together count beside the positive ones, before `NEGATIVE` of
`search/calibration.py`. A wrong hit is close to what is looked for, so more of it takes away what
both share (`docs/regions.md`).
"""


@dataclass(frozen=True, slots=True)
class Example:
    """A place in an indexed photo: a `box` (x0, y0, x1, y1) or a `point` (x, y), fractions of the
    upright photo; `positive` False for what shall not be found.

    Raises `QueryError` unless there is exactly one of the two and it lies in the picture.
    """

    image: str
    box: Box | None = None
    point: Point | None = None
    positive: bool = True

    def __post_init__(self) -> None:
        if (self.box is None) == (self.point is None):
            raise QueryError("An example is a box or a point in a photo, one of the two.")
        if self.box is not None:
            check_box(self.box)
        if self.point is not None and not all(0 <= edge <= 1 for edge in self.point):
            raise QueryError(
                f"The point {self.point} is not inside the picture: x and y must be fractions "
                "from 0 to 1."
            )

    def __str__(self) -> str:
        numbers = self.box if self.box is not None else self.point
        assert numbers is not None
        return f"{self.image}@{','.join(f'{number:g}' for number in numbers)}"


def check(examples: Sequence[Example]) -> None:
    """Raises `QueryError` unless at least one example says what to find."""
    if not any(example.positive for example in examples):
        raise QueryError("There is nothing to find: give a box or a point of what you look for.")


def from_pixels(fine: FinePhoto, example: Example) -> Array:
    """The unit vector (D,) of the thing under an example."""
    if example.box is not None:
        return fine.pooled(fine.in_box(example.box))
    assert example.point is not None
    return fine.pooled(fine.at_point(example.point))


def from_stored(regions: Regions, example: Example) -> Array:
    """The same from the stored regions: those that the box overlaps, or the smallest region of
    more than one patch at the point.
    """
    if example.box is not None:
        return pool(regions, example.box)
    assert example.point is not None
    row, column = cell_of(example.point, regions.masks.shape[1:])
    sizes = regions.masks.sum(axis=(1, 2))
    order = np.where(regions.masks[:, row, column], sizes + sizes.max() * (sizes < 2), np.inf)
    if not np.isfinite(order).any():  # regions need not cover everything
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
