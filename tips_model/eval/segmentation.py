"""Zero-shot segmentation: every pixel takes the name nearest to its patch.

Letters: C classes, h x w patches, H x W pixels, D width.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import interpolate

Dense = Callable[[Tensor], Tensor]
"""Pictures uint8 (n, 3, H, W) to dense features (n, h, w, D) of unit norm."""


class Score(NamedTuple):
    """miou: mean of intersection over union, over the classes that occur in labels or predictions;
    accuracy: fraction of pixels."""

    miou: float
    accuracy: float


def class_scores(features: Tensor, names: Tensor, height: int, width: int) -> Tensor:
    """Cosines of features (h, w, D) and names (C, D), bilinear at pixels: (C, height, width)."""
    similarity = (features @ names.T).permute(2, 0, 1)[None]
    return interpolate(similarity, (height, width), mode="bilinear", align_corners=False)[0]


def window_scores(
    image: Tensor, dense: Dense, names: Tensor, window: int, stride: int | None = None
) -> Tensor:
    """Probabilities (C, H, W) of a picture (3, H, W), averaged over square windows.

    The protocol of TIPSv2's authors (TCL's): in each window cosines, bilinear at pixels, then a
    softmax over the classes without temperature. Windows of side `window` step by `stride` (three
    quarters of the window unless given); the last ones are shifted back to end at the border, so
    that every pixel is covered by full windows. A side shorter than the window is taken whole.
    """
    stride = stride or max(window * 3 // 4, 1)
    height, width = image.shape[1:]
    corners = [
        (top, left)
        for top in _starts(height, window, stride)
        for left in _starts(width, window, stride)
    ]
    parts = [image[:, top : top + window, left : left + window] for top, left in corners]
    rows, columns = parts[0].shape[1:]
    total = torch.zeros(len(names), height, width)
    seen = torch.zeros(height, width)
    for (top, left), features in zip(corners, dense(torch.stack(parts)), strict=True):
        place = (slice(top, top + rows), slice(left, left + columns))
        total[:, *place] += class_scores(features, names, rows, columns).softmax(dim=0)
        seen[place] += 1
    return total / seen


def _starts(length: int, window: int, stride: int) -> list[int]:
    last = max(length - window, 0)
    return [*range(0, last, stride), last]


class Confusion:
    """Counts of (true, predicted) pixels over many pictures; pixels with label -1 are ignored."""

    def __init__(self, classes: int) -> None:
        self.counts = torch.zeros(classes, classes, dtype=torch.int64)

    def add(self, labels: Tensor, predicted: Tensor) -> None:
        """Add one picture: both of the same shape, with class indices."""
        known = labels >= 0
        classes = len(self.counts)
        pairs = labels[known] * classes + predicted[known]
        self.counts += torch.bincount(pairs, minlength=classes**2).reshape(classes, classes)

    def score(self) -> Score:
        """Mean IoU over the classes that occur in labels or predictions, and pixel accuracy."""
        right = self.counts.diagonal().double()
        true, predicted = self.counts.sum(1), self.counts.sum(0)
        union = true + predicted - self.counts.diagonal()
        occurs = union > 0
        accuracy = right.sum() / self.counts.sum().clamp_min(1)
        return Score(float((right / union)[occurs].mean()), float(accuracy))
