"""Choose the regions of a photo that a hit shows, without overlapping duplicates.

Letters: N photos, R regions of a photo (padded), K shown regions over all photos.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from search.arrays import Array

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MOST_REGIONS = 8
"""Maximum number of places that a hit shows."""
SAME_PLACE = 0.5
"""Boxes that share more than this fraction of the smaller one show the same place (regions of
several scales are nested).
"""
SLACK = 0.1
"""A part of an object often scores slightly better than the object: the larger region is shown if
it loses at most this fraction of the score divided by (its area ratio to the part - 1). The mean
over an object and everything next to it can still resemble the object, so large growth must cost
little score.
"""


class Overlaps(NamedTuple):
    """Relations between boxes: `area` (N, R), `same` and `holds` (N, R, R) bool.

    same[n, i, j]: i and j show the same place; holds[n, i, j]: i contains j.
    """

    area: Floats
    same: Bools
    holds: Bools


class Shown(NamedTuple):
    """K shown regions: their `photo` and `region` numbers and their `score`; ordered by rank within
    a photo, the first ones of all photos first. The score is that of the best region of the place.
    """

    photo: Ints
    region: Ints
    score: Array


def overlaps(boxes: Floats) -> Overlaps:
    """For boxes (N, R, 4), x0, y0, x1, y1; empty ones contain nothing and are contained nowhere."""
    area = (boxes[..., 2:] - boxes[..., :2]).prod(axis=-1)
    low = np.maximum(boxes[:, :, None, :2], boxes[:, None, :, :2])
    high = np.minimum(boxes[:, :, None, 2:], boxes[:, None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=-1)
    same = shared > SAME_PLACE * np.minimum(area[:, :, None], area[:, None])
    return Overlaps(area, same, shared >= 0.99 * area[:, None])


def distinct(known: Overlaps, scores: Array, most: int = MOST_REGIONS) -> Shown:
    """At most `most` regions of each photo that show different places, for scores (N, R) above 0;
    regions with a score of 0 or below are skipped.

    The best region grows to the largest that contains it and scores nearly as well (`SLACK`),
    regions of the same place are skipped, and the best of the rest follows in the same way.
    """
    rows = np.arange(len(scores))
    free = scores > 0
    photos, regions, values = [], [], []
    for _ in range(min(most, scores.shape[1])):
        best = np.where(free, scores, -np.inf).argmax(axis=1)
        left = free[rows, best]
        top = np.where(left, scores[rows, best], 1.0)[:, None]
        growth = known.area / np.maximum(known.area[rows, best], 1e-12)[:, None] - 1
        whole = free & known.holds[rows, :, best] & ((1 - scores / top) * growth <= SLACK)
        whole[rows, best] = True
        largest = np.where(whole, known.area, -1.0).max(axis=1)[:, None]
        grown = np.where(whole & (known.area == largest), scores, -np.inf).argmax(axis=1)
        photos.append(rows[left])
        regions.append(grown[left])
        values.append(top[left, 0])
        free &= ~(known.same[rows, grown] | known.same[rows, best])
        free[rows, grown] = free[rows, best] = False
    return Shown(np.concatenate(photos), np.concatenate(regions), np.concatenate(values))
