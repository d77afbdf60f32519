"""Ground truth of a picture set: texts, and the boxes and masks of the things they name.

Letters: P things, N pictures, T texts, h x w patches of a picture, C = maximum patches of any.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from search.arrays import Array
from search.places.distinct import Floats, Ints
from tips_model.eval.coco import CocoImage, CocoObject, CocoSet, fractions, mask_of

SIZES: tuple[tuple[str, float, float], ...] = (
    ("small", 0.0, 0.01),
    ("medium", 0.01, 0.05),
    ("large", 0.05, 1.01),
)
"""Name, minimum and limit of a thing's visible area as a fraction of its picture."""


@dataclass(frozen=True, slots=True)
class Truth:
    """`texts` (T) and the things they name: `text` and `image` (P,), `box` (P, 4) fractions, `area`
    (P,) fraction of the picture, `cover` (P, C) the fraction of each patch that the thing covers,
    row by row, in [0, 1] and 0 for padding.
    """

    texts: tuple[str, ...]
    text: Ints
    image: Ints
    box: Floats
    area: Floats
    cover: Array

    def of_text(self, text: int) -> Ints:
        """The things that a text names."""
        return np.flatnonzero(self.text == text)


def read_truth(data: CocoSet, grids: Sequence[tuple[int, int]]) -> Truth:
    """The things of a COCO-format set; a thing's text is its own, or else its category's name.

    `grids` are the patches (h, w) of each picture. Things with the same text in one picture stay
    separate.
    """
    cells = max((rows * columns for rows, columns in grids), default=1)
    texts: dict[str, int] = {}
    text, image, box, area, cover = [], [], [], [], []
    for number, (entry, grid) in enumerate(zip(data.images, grids, strict=True)):
        for thing in entry.objects:
            parts = patch_cover(entry, thing, grid)
            for words in thing.texts or (data.categories[thing.category],):
                text.append(texts.setdefault(words, len(texts)))
                image.append(number)
                box.append(fractions(entry, thing))
                area.append(float(parts.mean()))
                cover.append(np.pad(parts.ravel(), (0, cells - parts.size)))
    return Truth(
        tuple(texts),
        np.array(text, np.int64),
        np.array(image, np.int64),
        np.array(box, np.float64).reshape(-1, 4),
        np.array(area, np.float64),
        np.array(cover, np.float32).reshape(-1, cells),
    )


def patch_cover(entry: CocoImage, thing: CocoObject, grid: tuple[int, int]) -> Array:
    """The fraction of each patch (h, w) that a thing covers: by its mask, or its box where it has
    none."""
    if thing.segmentation is None:
        x0, y0, x1, y1 = fractions(entry, thing)
        return np.outer(_covered(y0, y1, grid[0]), _covered(x0, x1, grid[1])).astype(np.float32)
    mask = mask_of(entry, thing).astype(np.float64)
    return np.asarray(_average(_average(mask, grid[0], 0), grid[1], 1), np.float32)


def _covered(low: float, high: float, parts: int) -> Floats:
    """How much of each of `parts` equal parts of [0, 1] lies between two ends."""
    edges = np.arange(parts + 1) / parts
    shared = np.minimum(edges[1:], high) - np.maximum(edges[:-1], low)
    clipped: Floats = np.clip(shared * parts, 0, 1)
    return clipped


def _average(values: Floats, parts: int, axis: int) -> Floats:
    """Means over `parts` equal stretches of an axis, splitting border pixels exactly."""
    length = values.shape[axis]
    summed = np.insert(values.cumsum(axis), 0, 0, axis)
    edges = np.arange(parts + 1) * length / parts
    low = np.minimum(edges.astype(np.int64), length - 1)
    rest = (edges - low).reshape((-1, 1) if axis == 0 else (1, -1))
    at = summed.take(low, axis) + rest * values.take(low, axis)
    means: Floats = np.diff(at, axis=axis) * parts / length
    return means
