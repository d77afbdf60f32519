"""From the colours that a file means to sRGB, which models, thumbnails and the page expect.

A file says what its numbers mean by an ICC profile, or, in EXIF, by a single text (Adobe RGB). The
conversion is that of Little CMS: perceptual intent, with black point compensation.
"""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

_PERCEPTUAL = ImageCms.Intent.PERCEPTUAL
_BLACK_POINT = ImageCms.Flags.BLACKPOINTCOMPENSATION
_SPACES = {"RGB": "RGB", "L": "GRAY", "CMYK": "CMYK", "LAB": "Lab "}
"""Pillow's mode and what the ICC profile of such a picture calls it."""
_STEPS = 6  # of each channel in the colours by which a profile is compared with sRGB
# Adobe RGB (1998), section 4.3: gamma 563/256, D65; to linear sRGB (IEC 61966-2-1) by way of XYZ.
_ADOBE_GAMMA = 563 / 256
_ADOBE_TO_SRGB = np.array(
    [[1.3983557, -0.3983557, 0.0], [0.0, 1.0, 0.0], [0.0, -0.0429290, 1.0429290]], np.float32
)


def to_srgb(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, str]:
    """The picture (8 bits a channel: RGB, L, CMYK or LAB) in RGB, and why its profile was not used,
    "" when it was or there is none.
    """
    if image.mode not in _SPACES:
        image = image.convert("RGB")
    if not profile and image.mode != "LAB":
        return _plain(image), ""
    transform = _transform(profile or b"", image.mode)
    if isinstance(transform, str):
        return _plain(image), transform
    return _plain(image) if transform is None else _applied(image, transform), ""


def adobe_to_srgb(image: Image.Image) -> Image.Image:
    """An RGB picture of Adobe RGB values in sRGB."""
    values = np.asarray(image, np.float32) / 255
    linear = np.clip(values**_ADOBE_GAMMA @ _ADOBE_TO_SRGB.T, 0, 1)
    coded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return Image.fromarray((coded * 255).round().astype(np.uint8))


def _plain(image: Image.Image) -> Image.Image:
    return image if image.mode == "RGB" else image.convert("RGB")


def _applied(image: Image.Image, transform: ImageCms.ImageCmsTransform) -> Image.Image:
    made = ImageCms.applyTransform(image, transform)
    assert made is not None, "not in place"
    return made


@lru_cache(maxsize=16)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | str | None:
    """How to come to sRGB; None where nothing changes, a reason where that cannot be done."""
    try:
        own = _opened(profile)
        if own.profile.xcolor_space.strip() != _SPACES[mode].strip():
            return f"its colour profile is for {own.profile.xcolor_space.strip()}, not {mode}"
        made = ImageCms.buildTransform(
            own, ImageCms.createProfile("sRGB"), mode, "RGB", _PERCEPTUAL, _BLACK_POINT
        )
        if mode == "RGB" and _is_identity(made):
            return None
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return "its colour profile is damaged"
    return made


def _opened(profile: bytes) -> ImageCms.ImageCmsProfile:
    if not profile:  # a Lab picture needs none
        return ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB", 5000))
    return ImageCms.ImageCmsProfile(BytesIO(profile))


def _is_identity(transform: ImageCms.ImageCmsTransform) -> bool:
    """Whether a grid of all colours stays as it is, but for rounding."""
    steps: npt.NDArray[np.uint8] = np.linspace(0, 255, _STEPS).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(_STEPS, -1, 3)
    made = np.asarray(_applied(Image.fromarray(grid), transform))
    return int(np.abs(made.astype(int) - grid).max()) <= 1
