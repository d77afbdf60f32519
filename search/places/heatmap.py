"""Heatmap of a query in a photo: a map (h, w) in [0, 1] from stored regions or from patches.

Letters: R regions, h x w patches, C contrast texts, D width. Directions are those of
`search/places/contrast.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from search.arrays import Array
from search.places.refine import on_finest

COLD = 0.25
"""This fraction of the cells is cold: the map starts above their values."""
WARM_RANGE = 1.75
"""A map is stretched to 1 only if its range is at least this multiple of a contrast text's range,
..."""
ORDINARY = 0.75
"""... the range at this quantile of the contrast texts, as some of them do occur in the photo."""


def from_regions(
    vectors: Array,
    masks: npt.NDArray[np.bool_],
    target: Array,
    contrasts: Array,
) -> Array:
    """The map from a photo's stored regions (R, D) and their masks (R, h, w), for directions
    `target` (D,) and `contrasts` (C, D).

    A cell gets the best score of the regions that cover it: the region that a hit would show.
    """
    scores = vectors @ target
    covered = np.where(masks, scores[:, None, None], -np.inf).max(axis=0)
    covered[~np.isfinite(covered)] = scores.min()
    return _stretch(covered, vectors @ contrasts.T)


def from_grids(grids: Sequence[Array], target: Array, contrasts: Array) -> Array:
    """The map from the patches (h, w, D) of a photo at all scales, on the finest grid."""
    every = np.concatenate([target[None], contrasts]).T
    maps = on_finest([grid @ every for grid in grids])
    return _stretch(maps[..., 0], maps[..., 1:])


def _stretch(scores: Array, contrasts: Array) -> Array:
    """Scale values (h, w) to [0, 1], relative to those of the contrast texts, (..., C)."""
    low = float(np.quantile(scores, COLD))
    others = contrasts.reshape(-1, contrasts.shape[-1])
    ranges = others.max(axis=0) - np.quantile(others, COLD, axis=0)
    span = max(float(scores.max()) - low, WARM_RANGE * float(np.quantile(ranges, ORDINARY)), 1e-6)
    heat: Array = np.clip((scores - low) / span, 0.0, 1.0).astype(np.float32)
    return heat
