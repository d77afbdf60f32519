"""The places that a search would show for a text, from stored regions or from the whole patch grid.

Letters: N pictures, R regions of a picture (padded), C patches of a picture (padded, h x w row by
row), T texts, D width, K shown places over all pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from indexer.regions import RegionBatch
from search.arrays import Array
from search.places.distinct import Bools, Floats, Ints, Overlaps, distinct, overlaps

WARM = 0.5
"""A place of a grid consists of the patches above this fraction of the way from the picture's
median to its best score.
"""


@dataclass(frozen=True, slots=True)
class Places:
    """K places: `image` (K,), `score` (K,), `box` (K, 4) fractions, `mask` (K, C) bool."""

    image: Ints
    score: Array
    box: Floats
    mask: Bools


@dataclass(frozen=True)
class Regions:
    """The regions of N pictures: `vectors` (N, R, D) unit, `boxes` (N, R, 4), `masks` (N, R, C),
    `valid` (N, R).
    """

    vectors: Array
    boxes: Floats
    masks: Bools
    valid: Bools

    @classmethod
    def empty(cls, pictures: int, regions: int, dim: int, cells: int) -> Regions:
        """Allocate regions for each picture, on grids of at most `cells` patches."""
        return cls(
            np.zeros((pictures, regions, dim), np.float32),
            np.zeros((pictures, regions, 4)),
            np.zeros((pictures, regions, cells), bool),
            np.zeros((pictures, regions), bool),
        )

    def put(self, rows: Sequence[int] | Ints, made: RegionBatch) -> None:
        """Store the regions of these pictures."""
        size = made.vectors.shape[1]
        masks = made.masks.flatten(2).numpy()
        self.vectors[rows, :size] = made.vectors.numpy()
        self.boxes[rows, :size] = made.boxes.numpy()
        self.masks[rows, :size, : masks.shape[2]] = masks
        self.valid[rows, :size] = made.valid.numpy()

    def scores(self, direction: Array) -> Array:
        """Products with a direction (D,): (N, R), -inf for padding."""
        products = self.vectors @ direction
        found: Array = np.where(self.valid, products, -np.inf).astype(np.float32)
        return found

    def shown(self, scores: Array) -> Places:
        """The places that a search shows of every picture for region scores (N, R)."""
        found = distinct(self._overlaps, scores)
        place = found.photo, found.region
        return Places(found.photo, found.score, self.boxes[place], self.masks[place])

    @cached_property
    def _overlaps(self) -> Overlaps:
        return overlaps(self.boxes)


@dataclass(frozen=True, slots=True)
class Grid:
    """All patches of N pictures as individual vectors: `vectors` (N, C, D), `shapes` h x w of each
    picture.
    """

    vectors: Array
    shapes: tuple[tuple[int, int], ...]

    def scores(self, direction: Array) -> Array:
        """Products with a direction (D,): (N, C), -inf for padding."""
        products = self.vectors @ direction
        used = np.array([rows * columns for rows, columns in self.shapes])
        behind = np.arange(products.shape[1]) >= used[:, None]
        found: Array = np.where(behind, -np.inf, products).astype(np.float32)
        return found

    def shown(self, scores: Array) -> Places:
        """The connected warm patches of every picture; a place's score is that of its best
        patch."""
        finite = np.isfinite(scores)
        middle = np.nanmedian(np.where(finite, scores, np.nan), axis=1)
        line = middle + WARM * (scores.max(axis=1) - middle)
        parts = [
            self._components(scores[numbers], line[numbers], shape, numbers)
            for shape, numbers in self.by_shape()
        ]
        return Places(
            np.concatenate([part.image for part in parts]),
            np.concatenate([part.score for part in parts]),
            np.concatenate([part.box for part in parts]),
            np.concatenate([part.mask for part in parts]),
        )

    def by_shape(self) -> list[tuple[tuple[int, int], Ints]]:
        """Each distinct shape h x w, and the numbers of its pictures."""
        shapes = sorted(set(self.shapes))
        return [
            (shape, np.flatnonzero([other == shape for other in self.shapes])) for shape in shapes
        ]

    def _components(
        self, scores: Array, line: Array, shape: tuple[int, int], numbers: Ints
    ) -> Places:
        rows, columns = shape
        cells = rows * columns
        heat = scores[:, :cells].reshape(-1, rows, columns)
        flat = np.zeros((3, 3, 3), int)
        flat[1] = ndimage.generate_binary_structure(2, 1)  # neighbours within a picture only
        labels, count = ndimage.label(heat >= line[:, None, None], flat)
        inside = labels.ravel() > 0
        label = labels.ravel()[inside] - 1
        image, y, x = (index.ravel()[inside] for index in np.indices(labels.shape))
        score = np.full(count, -np.inf, np.float32)
        np.maximum.at(score, label, heat.ravel()[inside])
        box = np.tile([np.inf, np.inf, 0, 0], (count, 1))
        for edge, value, ufunc in (
            (0, x / columns, np.minimum),
            (1, y / rows, np.minimum),
            (2, (x + 1) / columns, np.maximum),
            (3, (y + 1) / rows, np.maximum),
        ):
            ufunc.at(box[:, edge], label, value)
        owner = np.zeros(count, np.int64)
        owner[label] = image
        mask = np.zeros((count, scores.shape[1]), bool)
        mask[label, y * columns + x] = True
        return Places(numbers[owner], score, box, mask)


def best_of(scores: Array) -> Array:
    """The best score of every picture: (N, R) -> (N,)."""
    best: Array = scores.max(axis=1)
    return best
