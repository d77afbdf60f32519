"""Where in a photo: a map (h, w) in [0, 1] on the photo's patch grid, from stored regions or from
the patches themselves.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from search.contrast import margins
from search.cutoff import Array

COLD = 0.25
"""This share of the cells is cold: the map starts above their margin."""
WARM_RANGE = 3.0
"""A map is stretched to 1 only if its range is at least so many spreads of the contrast cosines'
differences.
"""


def from_regions(
    vectors: Array,
    masks: npt.NDArray[np.bool_],
    query: Array,
    contrasts: Array,
) -> Array:
    """The map from a photo's stored regions (R, D) and their masks (R, h, w).

    A cell shows the best of the regions that cover it: the region that a hit would show.
    """
    scores = margins(vectors, query, contrasts)
    covered = np.where(masks, scores[:, None, None], -np.inf).max(axis=0)
    covered[~np.isfinite(covered)] = scores.min()
    return _stretch(covered, vectors, contrasts)


def from_patches(patches: Array, query: Array, contrasts: Array) -> Array:
    """The map from all patch features (h, w, D) of a photo."""
    return _stretch(margins(patches, query, contrasts), patches, contrasts)


def _stretch(scores: Array, features: Array, contrasts: Array) -> Array:
    """Margins -> [0, 1]. A map without a clear place stays pale instead of being blown up."""
    cosines = features @ contrasts.T
    noise = float((cosines - cosines.mean(axis=-1, keepdims=True)).std())
    low = float(np.quantile(scores, COLD))
    span = max(float(scores.max()) - low, WARM_RANGE * noise, 1e-6)
    heat: Array = np.clip((scores - low) / span, 0.0, 1.0).astype(np.float32)
    return heat
