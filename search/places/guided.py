"""The guided filter: align a coarse map with the edges of a picture.

Around each pixel an affine function of the picture's colours is fitted to the map, and the fits
that cover a pixel are averaged (He, Sun, Tang: Guided image filtering, TPAMI 2013, section 3.5).

Letters: H x W pixels, K maps.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from search.arrays import Array

_PAIRS = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))


class GuidedFilter:
    """The filter for one picture, (H, W, 3) in [0, 1]; terms of the picture alone are computed
    once.

    `radius` is half of the window's side in pixels. `smoothness` is the variance of colours below
    which a window counts as flat.
    """

    def __init__(self, guide: Array, radius: int, smoothness: float) -> None:
        self._guide = np.ascontiguousarray(guide.transpose(2, 0, 1), np.float32)
        self._size = 2 * radius + 1
        self._means = self._mean(self._guide)
        products = np.stack([self._guide[i] * self._guide[j] for i, j in _PAIRS])
        means = np.stack([self._means[i] * self._means[j] for i, j in _PAIRS])
        self._inverse = _inverse(self._mean(products) - means, smoothness)

    def __call__(self, maps: Array) -> Array:
        """Filter maps (K, H, W) of any range."""
        means = self._mean(maps)
        shared = self._mean((maps[:, None] * self._guide).reshape(-1, *maps.shape[1:]))
        covariance = shared.reshape(-1, 3, *maps.shape[1:]) - means[:, None] * self._means
        slope = np.einsum("ijhw,kjhw->kihw", self._inverse, covariance)
        offset = means - (slope * self._means).sum(axis=1)
        slope = self._mean(slope.reshape(-1, *maps.shape[1:])).reshape(slope.shape)
        filtered: Array = (slope * self._guide).sum(axis=1) + self._mean(offset)
        return filtered

    def _mean(self, maps: Array) -> Array:
        """The means of maps (K, H, W) over the window around each pixel, edges repeated."""
        found: Array = ndimage.uniform_filter(maps, (0, self._size, self._size), mode="nearest")
        return found


def _inverse(covariance: Array, smoothness: float) -> Array:
    """The inverse (3, 3, H, W) of covariance matrices given by their entries (6, H, W), with
    `smoothness` added on the diagonal.
    """
    a, b, c, d, e, f = covariance.astype(np.float64)
    a, d, f = (np.maximum(entry, 0) + smoothness for entry in (a, d, f))
    cofactors = np.stack(
        [d * f - e * e, c * e - b * f, b * e - c * d, a * f - c * c, b * c - a * e, a * d - b * b]
    )
    determinant = a * cofactors[0] + b * cofactors[1] + c * cofactors[2]
    whole = (cofactors / determinant)[[0, 1, 2, 1, 3, 4, 2, 4, 5]]
    inverse: Array = whole.reshape(3, 3, *a.shape).astype(np.float32)
    return inverse
