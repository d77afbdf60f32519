"""Colour names of drawings, and how a hue rotation changes them.

A colour is named by the nearest of eleven centroids in CIELAB, because nearness in HSV calls
mid-brown "orange". Conversion: sRGB (IEC 61966-2-1) to CIELAB with white point D65.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (215, 40, 45),
    "orange": (245, 140, 35),
    "yellow": (250, 215, 60),
    "green": (75, 165, 70),
    "blue": (55, 125, 220),
    "purple": (130, 75, 170),
    "pink": (245, 150, 185),
    "brown": (135, 85, 55),
    "black": (35, 35, 40),
    "white": (245, 245, 245),
    "grey": (145, 145, 150),
}
"""Colour words with their centroids in sRGB (0-255)."""

COLOUR_NAMES: tuple[str, ...] = tuple(COLOURS)
HUE_STEPS = 12
"""Hue rotations are multiples of 360 / HUE_STEPS degrees; step 0 leaves the colours unchanged."""

_CENTROIDS = np.array(list(COLOURS.values()), np.float64)
_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
     [0.0193339, 0.1191920, 0.9503041]]
)  # fmt: skip
_WHITE = np.array([0.95047, 1.0, 1.08883])
_LUMA = np.array([0.2126, 0.7152, 0.0722])


def to_lab(rgb: NDArray[np.floating]) -> NDArray[np.float64]:
    """sRGB (..., 3) in 0-255 to CIELAB (..., 3)."""
    value = np.asarray(rgb, np.float64) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    xyz = linear @ _TO_XYZ.T / _WHITE
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    lightness = 116 * f[..., 1] - 16
    return np.stack(
        [lightness, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1
    )


def nearest_colour(rgb: NDArray[np.floating]) -> NDArray[np.intp]:
    """Index into `COLOUR_NAMES` of the nearest centroid, for sRGB (..., 3) in 0-255."""
    distance = to_lab(rgb)[..., None, :] - to_lab(_CENTROIDS)
    nearest: NDArray[np.intp] = np.square(distance).sum(-1).argmin(-1)
    return nearest


def saturation_matrix(amount: NDArray[np.floating]) -> NDArray[np.float64]:
    """(N,) factors to (N, 3, 3) matrices on RGB columns; 0 gives grey, 1 the identity."""
    amount = np.asarray(amount, np.float64)[:, None, None]
    matrix: NDArray[np.float64] = amount * np.eye(3) + (1 - amount) * np.tile(_LUMA, (3, 1))
    return matrix


def hue_matrix(step: NDArray[np.integer]) -> NDArray[np.float64]:
    """(N,) hue steps to (N, 3, 3) matrices on RGB columns (the SVG `hueRotate` filter)."""
    angle = 2 * np.pi * np.asarray(step) / HUE_STEPS
    grey = np.array([[0.213, 0.715, 0.072]] * 3)
    cos_part = np.eye(3) - grey
    sin_part = np.array([[-0.213, -0.715, 0.928], [0.143, 0.140, -0.283], [-0.787, 0.715, 0.072]])
    cos, sin = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
    matrix: NDArray[np.float64] = grey + cos * cos_part + sin * sin_part
    return matrix


def colour_table(pixels: NDArray[np.uint8], share: float = 0.4) -> NDArray[np.int16]:
    """Colour of each cut-out after each hue step: (N, S, S, 4) to (N, HUE_STEPS + 1).

    Entries index `COLOUR_NAMES`; -1 where no colour covers `share` of the drawing. The last column
    is the drawing in grey.
    """
    small = pixels[:, ::6, ::6]
    table = np.full((len(pixels), HUE_STEPS + 1), -1, np.int16)
    visible = small[..., 3] > 128  # (N, s, s)
    total = np.maximum(visible.sum((1, 2)), 1)
    matrices = np.concatenate([hue_matrix(np.arange(HUE_STEPS)), saturation_matrix(np.zeros(1))])
    owner = np.nonzero(visible)[0]
    for column, matrix in enumerate(matrices):
        rgb = np.clip(small[visible][:, :3] @ matrix.T, 0, 255)
        counts = np.zeros((len(pixels), len(COLOURS)))
        np.add.at(counts, (owner, nearest_colour(rgb)), 1)
        sure = counts.max(1) >= share * total
        table[sure, column] = counts.argmax(1)[sure]
    return table
