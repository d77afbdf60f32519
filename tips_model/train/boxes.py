"""Converts boxes of public data sets to training-table boxes: fractions of the upright picture."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress, repeat
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from tips_model.pictures import open_picture
from tips_model.train.source import Thing

NO_AREA = "box without area in its picture"
BoxForm = Literal["xyxy", "xywh"]
"""Two corners, or a corner with width and height."""
BoxUnit = Literal["fraction", "pixel"]


def table_boxes(
    boxes: NDArray[np.float64],
    images: Sequence[bytes],
    owner: NDArray[np.int64],
    form: BoxForm = "xyxy",
    unit: BoxUnit = "fraction",
) -> NDArray[np.float64]:
    """Boxes (N, 4) of stored pictures -> x0, y0, x1, y1 as fractions of the upright ones.

    owner (N,): the index in `images` of each box's picture. Boxes are clipped to the picture, so a
    box may end up without area. Boxes of unreadable pictures are meaningless.
    """
    facts = np.array([_facts(image) for image in images], np.int64).reshape(-1, 3)[owner]
    result = boxes.astype(np.float64)
    if form == "xywh":
        result[:, 2:] += result[:, :2]
    if unit == "pixel":
        result /= np.concatenate([facts[:, :2], facts[:, :2]], axis=1)
    clipped: NDArray[np.float64] = upright(result, facts[:, 2]).clip(0, 1)
    return clipped


def placed_things(
    names: Sequence[str],
    boxes: NDArray[np.float64],
    scores: Sequence[float | None],
    images: Sequence[bytes],
    owner: NDArray[np.int64],
    form: BoxForm = "xyxy",
    unit: BoxUnit = "fraction",
) -> tuple[list[list[Thing]], list[int]]:
    """The things of each of B pictures, and how many of its boxes have no area in it (`NO_AREA`).

    names, scores, boxes (N, 4) and owner (N,), which must be ascending: as from `table_boxes`.
    """
    placed = table_boxes(boxes, images, owner, form, unit)
    whole = np.all(placed[:, 2:] > placed[:, :2], axis=1)
    every = map(Thing, names, map(tuple, placed.tolist()), repeat(None), scores)
    things = list(compress(every, whole.tolist()))
    ends = np.cumsum(np.bincount(owner[whole], minlength=len(images))).tolist()
    lost = np.bincount(owner[~whole], minlength=len(images)).tolist()
    return [things[start:end] for start, end in zip([0, *ends], ends, strict=False)], lost


def upright(boxes: NDArray[np.float64], orientation: NDArray[np.int64]) -> NDArray[np.float64]:
    """Boxes (N, 4) of stored pictures, rotated according to the EXIF orientation (N,)."""
    swapped = (orientation >= 5)[:, None]
    result = np.where(swapped, boxes[:, [1, 0, 3, 2]], boxes)
    across = np.isin(orientation, (2, 3, 6, 7))[:, None]
    down = np.isin(orientation, (3, 4, 7, 8))[:, None]
    result[:, [0, 2]] = np.where(across, 1 - result[:, [2, 0]], result[:, [0, 2]])
    result[:, [1, 3]] = np.where(down, 1 - result[:, [3, 1]], result[:, [1, 3]])
    return result


def _facts(image: bytes) -> tuple[int, int, int]:
    """Width, height and EXIF orientation of the picture in a file; ones if it cannot be read."""
    try:
        with open_picture(image) as opened:
            orientation = opened.getexif().get(ExifTags.Base.Orientation, 1)
            return *opened.size, orientation if orientation in range(1, 9) else 1
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return 1, 1, 1  # the importer drops and counts it
