"""Bounding boxes of the visible pixels of objects in scenes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def visible_boxes(owner: NDArray[np.int8], places: int) -> NDArray[np.float64]:
    """The box of each object's visible pixels: owner (B, H, W) to (B, places, 4).

    x0, y0, x1, y1 as fractions of width and height; zeros for invisible objects.
    """
    height, width = owner.shape[1:]
    masks = owner[:, None] == np.arange(places)[:, None, None]  # (B, K, H, W)
    rows, columns = masks.any(3), masks.any(2)
    seen = rows.any(2)
    y0, x0 = rows.argmax(2), columns.argmax(2)
    y1, x1 = height - rows[:, :, ::-1].argmax(2), width - columns[:, :, ::-1].argmax(2)
    boxes = np.stack([x0 / width, y0 / height, x1 / width, y1 / height], axis=-1)
    result: NDArray[np.float64] = np.where(seen[..., None], boxes, 0.0)
    return result
