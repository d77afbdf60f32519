"""Masks and heat as transparent pictures."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from search.draw import PALETTE
from ui.overlays import heat_picture, mask_picture


def pixels(address: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """The RGBA pixels behind a data address."""
    data = base64.b64decode(address.removeprefix("data:image/webp;base64,"), validate=True)
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"), np.float64)


def test_a_mask_is_its_colour_inside_and_clear_outside() -> None:
    mask = np.zeros((8, 12), bool)
    mask[2:6, 3:9] = True
    drawn = pixels(mask_picture([mask]))
    assert drawn.shape[:2] == (213, 320)
    centre = drawn[drawn.shape[0] // 2, drawn.shape[1] // 2]
    assert centre[3] > 250
    assert np.abs(centre[:3] - PALETTE[0]).max() < 12
    assert drawn[5, 5, 3] < 5


def test_the_best_mask_lies_on_top() -> None:
    whole, part = np.ones((8, 8), bool), np.zeros((8, 8), bool)
    part[2:6, 2:6] = True
    drawn = pixels(mask_picture([part, whole]))
    middle = drawn.shape[0] // 2
    assert np.abs(drawn[middle, middle, :3] - PALETTE[0]).max() < 12
    assert np.abs(drawn[10, 10, :3] - PALETTE[1]).max() < 12


def test_no_masks_are_no_picture() -> None:
    assert mask_picture([]) == ""


def test_heat_is_clear_where_cold_and_bright_where_warm() -> None:
    heat = np.zeros((6, 6), np.float32)
    heat[4:, 4:] = 1.0
    drawn = pixels(heat_picture(heat))
    assert drawn[5, 5, 3] < 5
    assert drawn[-5, -5, 3] > 250
    assert drawn[-5, -5, :3].sum() > 500
