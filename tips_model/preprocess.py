"""Image preprocessing: the only place that defines sizes, the resize filter and the value range.

TIPS takes RGB in [0,1] without mean or deviation. The official code squashes every picture to a
square; here the aspect is kept and the position table is resampled instead, at the same number of
patches, so that objects in a panorama keep their shape.
"""

import math

import numpy as np
import torch
from PIL import Image
from torch import Tensor

# Part of the model id: vectors made under another version are not comparable.
PREPROCESS_VERSION = "fit1"

# Larger aspects are squashed to this: a strip one patch high would lose the picture.
MAX_ASPECT = 4.0
# A picture is enlarged at most by this factor: a thumbnail has no detail for a full grid.
MAX_ENLARGEMENT = 4.0


def fit_size(width: int, height: int, image_size: int, patch: int) -> tuple[int, int]:
    """The (width, height) in pixels to which a picture of this size is resized.

    Both are multiples of `patch`; there are at most (image_size / patch)^2 patches and about that
    many unless the picture is tiny; the aspect is the nearest that whole patches allow.
    """
    if width < 1 or height < 1:
        raise ValueError(f"a picture of {width} x {height} has no pixels")
    limit = (image_size // patch) ** 2
    aspect = min(max(width / height, 1 / MAX_ASPECT), MAX_ASPECT)
    area = min(limit, width * height * MAX_ENLARGEMENT**2 / patch**2)
    columns, rows = math.sqrt(area * aspect), math.sqrt(area / aspect)
    choices = [
        (c, r)
        for c in _neighbours(columns)
        for r in _neighbours(rows)
        if c * r <= limit or (c, r) == (1, 1)
    ]
    best = min(choices, key=lambda grid: (_misfit(grid, columns, rows), -grid[0] * grid[1]))
    return best[0] * patch, best[1] * patch


def prepare(image: Image.Image, image_size: int, patch: int) -> Tensor:
    """A picture as uint8 (3,H,W), RGB, by the antialiased bilinear filter. Thread safe."""
    rgb = image if image.mode == "RGB" else image.convert("RGB")
    size = fit_size(rgb.width, rgb.height, image_size, patch)
    if rgb.size != size:
        rgb = rgb.resize(size, Image.Resampling.BILINEAR)
    pixels = np.array(rgb, dtype=np.uint8)  # a copy: torch needs writable memory
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def to_float(pixels: Tensor) -> Tensor:
    """uint8 (...) in 0..255 -> float32 in [0,1]."""
    if pixels.dtype != torch.uint8:
        raise ValueError(f"pixels are uint8 here, not {pixels.dtype}")
    return pixels.to(torch.float32) / 255


def _neighbours(side: float) -> tuple[int, int]:
    # A side that is whole up to rounding errors stays unchanged.
    low = max(math.floor(side + 1e-6), 1)
    return low, max(math.ceil(side - 1e-6), 1)


def _misfit(grid: tuple[int, int], columns: float, rows: float) -> float:
    """How far whole patches deviate from the wanted sides: first the aspect, then the area."""
    aspect = abs(math.log(grid[0] / grid[1]) - math.log(columns / rows))
    area = abs(math.log(grid[0] * grid[1]) - math.log(columns * rows))
    return round(aspect + area / 4, 9)
