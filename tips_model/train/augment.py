"""Image augmentation: random crops and mirroring, as in the papers, with optional colour jitter.

All randomness comes from the given generator, one per picture, so a crop depends only on the seed,
the step and the picture's number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from tips_model.train.config import Stage

ASPECT = (3 / 4, 4 / 3)


def crop_box(
    generator: np.random.Generator, height: int, width: int, scale: tuple[float, float]
) -> tuple[int, int, int, int]:
    """A random box (top, left, height, width) in pixels.

    Its area is a uniform fraction of the picture's in `scale`, its aspect log-uniform in 3/4 to
    4/3; after ten draws that do not fit, the largest centred box of an allowed aspect.
    """
    if scale == (1.0, 1.0):
        return 0, 0, height, width
    low, high = math.log(ASPECT[0]), math.log(ASPECT[1])
    for _ in range(10):
        area = height * width * generator.uniform(*scale)
        aspect = math.exp(generator.uniform(low, high))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            top = int(generator.integers(0, height - h + 1))
            left = int(generator.integers(0, width - w + 1))
            return top, left, h, w
    h = min(height, round(width / ASPECT[0]))
    w = min(width, round(height * ASPECT[1]))
    return (height - h) // 2, (width - w) // 2, h, w


class Cut(NamedTuple):
    """A part of a picture, in pixels, and whether it is mirrored."""

    top: int
    left: int
    height: int
    width: int
    mirrored: bool

    def take(self, image: Tensor, size: int) -> Tensor:
        """uint8 (3, h, w) -> the part, uint8 (3, size, size)."""
        part = image[:, self.top : self.top + self.height, self.left : self.left + self.width]
        if (self.height, self.width) != (size, size):
            part = F.interpolate(part[None], (size, size), mode="bilinear", antialias=True)[0]
        return part.flip(-1) if self.mirrored else part

    def place(self, boxes: NDArray[np.float64], height: int, width: int) -> NDArray[np.float64]:
        """Boxes (K, 4) as fractions of the picture of `height` x `width` -> of the part.

        They may extend beyond 0 and 1.
        """
        x = (boxes[:, 0::2] * width - self.left) / self.width
        y = (boxes[:, 1::2] * height - self.top) / self.height
        if self.mirrored:
            x = 1 - x[:, ::-1]
        return np.stack((x[:, 0], y[:, 0], x[:, 1], y[:, 1]), axis=1)


def draw_cut(
    generator: np.random.Generator,
    height: int,
    width: int,
    scale: tuple[float, float],
    flip: float,
) -> Cut:
    """A random resized crop of a picture of `height` x `width`, mirrored with
    probability `flip`.
    """
    box = crop_box(generator, height, width, scale)
    return Cut(*box, mirrored=bool(flip and generator.random() < flip))


def crop(
    generator: np.random.Generator,
    image: Tensor,
    scale: tuple[float, float],
    size: int,
    flip: float,
) -> Tensor:
    """uint8 (3, h, w) -> random resized crop uint8 (3, size, size), mirrored with probability
    `flip`.
    """
    return draw_cut(generator, image.shape[1], image.shape[2], scale, flip).take(image, size)


MARGIN = (1.0, 1.6)
"""Range of the factor by which a crop around a box is larger than the box."""


def around(
    generator: np.random.Generator, box: Sequence[float], height: int, width: int, flip: float
) -> Cut:
    """A crop around a box (x0, y0, x1, y1 as fractions): as square as the picture allows, with a
    random margin."""
    x0, y0, x1, y1 = box[0] * width, box[1] * height, box[2] * width, box[3] * height
    side = max(x1 - x0, y1 - y0) * generator.uniform(*MARGIN)
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    left, right = max(0, round(x - side / 2)), min(width, round(x + side / 2))
    top, bottom = max(0, round(y - side / 2)), min(height, round(y + side / 2))
    mirrored = bool(flip and generator.random() < flip)
    return Cut(top, left, max(1, bottom - top), max(1, right - left), mirrored)


def jitter(generator: np.random.Generator, image: Tensor, strength: float) -> Tensor:
    """Change brightness, contrast and saturation of uint8 (3, h, w) by up to +-`strength`."""
    bright, contrast, saturation = 1 + generator.uniform(-strength, strength, 3)
    pixels = image.float() * float(bright)
    grey = pixels.mean(dim=0, keepdim=True)
    pixels = grey + (pixels - grey) * float(saturation)
    mean = grey.mean()
    return ((pixels - mean) * float(contrast) + mean).round().clamp(0, 255).to(torch.uint8)


def local_crops(generator: np.random.Generator, image: Tensor, stage: Stage) -> Tensor:
    """The local crops of a picture uint8 (3, h, w): uint8 (M, 3, r, r)."""
    parts = [
        crop(generator, image, stage.crop_scale, stage.crop_resolution, stage.flip)
        for _ in range(stage.crops)
    ]
    return torch.stack(parts)


def views(
    generator: np.random.Generator,
    image: Tensor,
    stage: Stage,
    local: bool,
    cut: Cut | None = None,
) -> tuple[Tensor, Tensor | None]:
    """The global crop (3, R, R) and, if `local`, the local ones (M, 3, r, r); all uint8.

    `cut` fixes the global crop instead of drawing it here.
    """
    if cut is None:
        height, width = image.shape[1:]
        cut = draw_cut(generator, height, width, stage.global_scale, stage.flip)
    if stage.jitter:
        image = jitter(generator, image, stage.jitter)
    whole = cut.take(image, stage.resolution)
    return whole, local_crops(generator, image, stage) if local else None
