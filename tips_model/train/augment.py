"""Crops: random resized crop and mirror, as in the papers, with an optional colour change.

All randomness comes from the generator given, one per picture, so a crop depends on the seed,
the step and the picture's number only.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
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


def crop(
    generator: np.random.Generator,
    image: Tensor,
    scale: tuple[float, float],
    size: int,
    flip: float,
) -> Tensor:
    """uint8 (3, h, w) -> random resized crop uint8 (3, size, size), mirrored with chance `flip`."""
    top, left, height, width = crop_box(generator, image.shape[1], image.shape[2], scale)
    part = image[:, top : top + height, left : left + width]
    if (height, width) != (size, size):
        part = F.interpolate(part[None], (size, size), mode="bilinear", antialias=True)[0]
    if flip and generator.random() < flip:
        part = part.flip(-1)
    return part


def jitter(generator: np.random.Generator, image: Tensor, strength: float) -> Tensor:
    """Change brightness, contrast and saturation of uint8 (3, h, w) by up to +-`strength`."""
    bright, contrast, saturation = 1 + generator.uniform(-strength, strength, 3)
    pixels = image.float() * float(bright)
    grey = pixels.mean(dim=0, keepdim=True)
    pixels = grey + (pixels - grey) * float(saturation)
    mean = grey.mean()
    return ((pixels - mean) * float(contrast) + mean).round().clamp(0, 255).to(torch.uint8)


def views(
    generator: np.random.Generator, image: Tensor, stage: Stage, local: bool
) -> tuple[Tensor, Tensor | None]:
    """The global crop (3, R, R) and, if `local`, the local ones (M, 3, r, r); all uint8."""
    if stage.jitter:
        image = jitter(generator, image, stage.jitter)
    whole = crop(generator, image, stage.global_scale, stage.resolution, stage.flip)
    if not local:
        return whole, None
    parts = [
        crop(generator, image, stage.crop_scale, stage.crop_resolution, stage.flip)
        for _ in range(stage.crops)
    ]
    return whole, torch.stack(parts)
