"""A photo's patches, finer than its own grid: windows of the photo, each seen as a picture.

A model sees small things in a window at the size that it was trained for; the same number of
patches from one larger input is worse (`docs/regions.md`). Scale z cuts the photo into z x z
windows, so that scales 1, 2 and 3 cost 14 times the photo itself.

Letters: h x w patches of the whole photo, z scale, D width.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from PIL import Image

from search.cutoff import Array
from tips_model.embedder import Embedder

MOST_SCALES = 3
CHEAP_WIDTH = 256
"""A tower up to this wide encodes a photo in some milliseconds on one core of a CPU."""


def affordable(embedder: Embedder, device: str) -> bool:
    """Whether many windows of a photo cost less than a user notices: a small model, or not on a
    CPU.
    """
    return embedder.info.dim <= CHEAP_WIDTH or not device.startswith("cpu")


def window_grids(embedder: Embedder, photo: Image.Image, scales: int) -> tuple[Array, ...]:
    """The patches of an upright RGB photo at the scales 1 to `scales`: unit (z h, z w, D) each.

    A photo is enlarged to less than twice its pixels: one that is too small has fewer scales.
    """
    whole = embedder.prepare(photo)
    height, width = whole.shape[1:]
    detail = math.ceil(max(photo.width / width, photo.height / height))
    used = range(1, max(1, min(scales, detail)) + 1)
    windows = [whole]
    for scale in used[1:]:
        size = (scale * width, scale * height)
        enlarged = np.array(photo.resize(size, Image.Resampling.BILINEAR), np.uint8)
        cut = enlarged.reshape(scale, height, scale, width, 3).transpose(0, 2, 4, 1, 3)
        windows += [torch.from_numpy(pixels.copy()) for pixels in cut.reshape(-1, 3, height, width)]
    patches: list[Array] = [np.empty(0, np.float32)] * len(windows)
    for batch in embedder.embed_images(windows):
        for index, grid in zip(batch.indices, batch.patches.float().numpy(), strict=True):
            patches[index] = grid
    starts = np.cumsum([0, *(scale**2 for scale in used)])
    return tuple(
        _together(np.stack(patches[start:end]), scale)
        for scale, start, end in zip(used, starts[:-1], starts[1:], strict=True)
    )


def _together(windows: Array, scale: int) -> Array:
    """Grids (z z, h, w, D) of the windows, row by row, as one grid (z h, z w, D)."""
    _, rows, columns, dim = windows.shape
    tiled = windows.reshape(scale, scale, rows, columns, dim).transpose(0, 2, 1, 3, 4)
    return np.ascontiguousarray(tiled.reshape(scale * rows, scale * columns, dim))
