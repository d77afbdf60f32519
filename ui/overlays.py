"""Masks and heat maps as small transparent images, to be stretched over a photo.

Letters: h x w cells of a map.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from search.draw import PALETTE, heat_colours
from search.hits import Mask

FINE = 320  # pixels on the longer side: edges stay smooth when stretched
COLDEST = 0.12
"""Heat below this is transparent, so that the photo stays visible."""


def mask_picture(masks: Sequence[Mask]) -> str:
    """Masks (h, w), best first, each in its colour, the best on top; "" for none."""
    if not masks:
        return ""
    size = _size(masks[0].shape)
    picture = np.zeros((size[1], size[0], 4), np.uint8)
    for number in reversed(range(len(masks))):
        inside = _stretched(masks[number].astype(np.float32), size)
        # A soft edge of half a cell hides the staircase of the cells.
        alpha = np.clip((inside - 0.5) * 6 + 0.5, 0, 1)
        colour = np.array(PALETTE[number % len(PALETTE)], np.float32)
        layer = np.dstack([np.broadcast_to(colour, (*alpha.shape, 3)), alpha * 255])
        covered = alpha > 0.01
        picture[covered] = layer[covered].astype(np.uint8)
    return _address(picture)


def heat_picture(heat: npt.NDArray[np.float32]) -> str:
    """A heat map (h, w) in [0, 1] as a data URL, see `heat_pixels`."""
    return _address(heat_pixels(heat))


def heat_pixels(heat: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """A heat map (h, w) in [0, 1] as RGBA pixels (H, W, 4): transparent where cold, glowing where
    warm, `FINE` pixels on the longer side.
    """
    field = np.clip(_stretched(heat, _size(heat.shape)), 0, 1)
    alpha = np.clip((field - COLDEST) / (1 - COLDEST), 0, 1) ** 0.7
    return np.dstack([heat_colours(field), alpha * 255]).astype(np.uint8)


def picture_address(picture: Image.Image, quality: int = 85) -> str:
    """A picture as a data URL (WebP)."""
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=quality)
    return _data("webp", buffer.getvalue())


def _size(shape: tuple[int, ...]) -> tuple[int, int]:
    """Width and height in pixels for a map of this shape."""
    scale = FINE / max(shape)
    return max(1, round(shape[1] * scale)), max(1, round(shape[0] * scale))


def _stretched(field: npt.NDArray[np.float32], size: tuple[int, int]) -> npt.NDArray[np.float32]:
    picture = Image.fromarray(np.ascontiguousarray(field, np.float32))
    return np.asarray(picture.resize(size, Image.Resampling.BICUBIC), np.float32)


def _address(pixels: npt.NDArray[np.uint8]) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels, "RGBA").save(buffer, "WEBP", quality=60, method=2)
    return _data("webp", buffer.getvalue())


def _data(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
