"""Visualise a photo's features: its patches coloured by their first principal components.

As in papers on dense features (Oquab et al., DINOv2, 2023, figure 1): similar patches have similar
colours, so objects stand out as patches of one colour.

Letters: h x w patches, D width.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

from search.arrays import Array

EDGE = 2.0  # percentage of the patches at either end that may be clipped


def feature_colours(grids: Sequence[Array]) -> Array:
    """The patches of one photo at several scales, unit (h, w, D) each, coarse to fine -> RGB (h, w,
    3) in [0, 1] on the finest grid.

    The first three principal components are red, green and blue, each from its 2nd to its 98th
    percentile; its sign is chosen so that the longer tail is bright, which makes the result
    deterministic.
    """
    patches = _together(grids)
    rows = patches.reshape(-1, patches.shape[-1]).astype(np.float64)
    rows -= rows.mean(axis=0)
    _, _, axes = np.linalg.svd(rows, full_matrices=False)
    parts = rows @ axes[:3].T
    if parts.shape[1] < 3:
        parts = np.pad(parts, ((0, 0), (0, 3 - parts.shape[1])))
    parts *= np.where((parts**3).sum(axis=0) < 0, -1, 1)
    low, high = np.percentile(parts, [EDGE, 100 - EDGE], axis=0)
    colours = np.clip((parts - low) / np.maximum(high - low, 1e-9), 0, 1)
    colours[:, high - low < 1e-9] = 0.5
    return np.asarray(colours.reshape(*patches.shape[:2], 3), np.float32)


def _together(grids: Sequence[Array]) -> Array:
    """The mean of the grids on the finest one, (h, w, D)."""
    size = grids[-1].shape[:2]
    stretched = [
        F.interpolate(
            torch.from_numpy(np.ascontiguousarray(grid)).permute(2, 0, 1)[None],
            size,
            mode="bilinear",
            align_corners=False,
        )
        for grid in grids
    ]
    mean = torch.stack(stretched).mean(dim=0)[0].permute(1, 2, 0)
    return np.asarray(mean.numpy(), np.float32)
