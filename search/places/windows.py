"""Patches of a photo finer than its own grid: embed windows of the photo like pictures.

A model sees small objects in a window at the size it was trained for; the same number of patches
from one larger input is worse (`docs/regions.md`). Scale z cuts the photo into z x z windows, so
that scales 1, 2 and 3 together cost 14 times the photo itself.

Letters: h x w patches of the whole photo, z scale, D width.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from PIL import Image

from indexer.tiles import starts, stitch
from search.arrays import Array
from tips_model.features import Embedder

MOST_SCALES = 3
CHEAP_WIDTH = 256
"""A tower of up to this width encodes a photo in a few milliseconds on one CPU core."""


def affordable(embedder: Embedder, device: str) -> bool:
    """Whether many windows per photo are unnoticeably cheap: a small model, or not on a CPU."""
    return embedder.info.dim <= CHEAP_WIDTH or not device.startswith("cpu")


def window_grids(
    embedder: Embedder, photo: Image.Image, scales: int, *, overlap: bool = False
) -> tuple[Array, ...]:
    """The patches of an upright RGB photo at the scales 1 to `scales`: unit (z h, z w, D) each.

    A photo is enlarged to less than twice its pixels: one that is too small has fewer scales. With
    `overlap` the windows of a scale overlap by a quarter and are blended, as in `indexer/tiles.py`:
    the same number of windows gives a coarser grid without seams.
    """
    whole = embedder.prepare(photo)
    patch = embedder.info.patch
    height, width = whole.shape[1:]
    detail = math.ceil(max(photo.width / width, photo.height / height))
    windows, layouts = [whole], []
    for scale in range(2, max(1, min(scales, detail)) + 1):
        shape, corners = _layout((height // patch, width // patch), scale, overlap)
        size = (shape[1] * patch, shape[0] * patch)
        enlarged = np.array(photo.resize(size, Image.Resampling.BILINEAR), np.uint8)
        pixels = torch.from_numpy(enlarged).permute(2, 0, 1)
        for top, left in corners:
            y, x = top * patch, left * patch
            windows.append(pixels[:, y : y + height, x : x + width].contiguous())
        layouts.append((shape, corners))
    patches = torch.zeros(len(windows), height // patch, width // patch, embedder.info.dim)
    for batch in embedder.embed_images(windows):
        patches[list(batch.indices)] = batch.patches.float()
    grids, start = [patches[0].numpy()], 1
    for shape, corners in layouts:
        parts = patches[start : start + len(corners), None]
        grids.append(stitch(parts, corners, shape)[0].numpy())
        start += len(corners)
    return tuple(grids)


def _layout(
    shape: tuple[int, int], scale: int, overlap: bool
) -> tuple[tuple[int, int], list[tuple[int, int]]]:
    """The grid that windows of this shape (h, w) cover, and their corners (top, left) in it."""
    rows, columns = shape
    if overlap:
        tops, lefts = starts(rows, scale), starts(columns, scale)
    else:
        tops, lefts = ([number * side for number in range(scale)] for side in shape)
    return (tops[-1] + rows, lefts[-1] + columns), [(top, left) for top in tops for left in lefts]
