"""Convert a decoder's pixels to 8-bit sRGB, downscaling on the way with bounded memory.

A picture may have 250 megapixels in a mode that has to be converted first. The conversion works in
tiles, so that besides the decoded picture (1 GB at 4 bytes a pixel; decoders that do not write into
it hold as much again) there are only the small result and less than `WORKING_BYTES`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from PIL import Image, TiffImagePlugin

from indexer.photos.colour import to_srgb

WORKING_BYTES = 64 << 20
_TILE = 1024  # pixels, side of a tile: as floats it takes 8 MB
_PLAIN = frozenset(["RGB", "L", "CMYK", "YCbCr", "LAB", "HSV"])
_TO_EIGHT = ((np.arange(65536) * 255 + 32767) // 65535).astype(np.uint8)
Range = tuple[float, float]


def small_rgb(
    image: Image.Image, factor: int, *, profile: bytes | None = None
) -> tuple[Image.Image, str]:
    """The loaded picture in sRGB, `factor` times smaller, transparent pixels over white; and why
    its ICC profile was not used, "" when it was or there is none.
    """
    small = _reduced(image, factor)
    if small.mode not in ("RGBA", "LA", "La", "RGBa"):
        return to_srgb(small, profile)
    if small.mode in ("La", "RGBa"):
        small = small.convert(small.mode.upper())
    opaque = small.convert("L" if small.mode == "LA" else "RGB")
    colours, ignored = to_srgb(opaque, profile)
    white = Image.new("RGB", small.size, "white")
    white.paste(colours, mask=small.getchannel("A"))
    return white, ignored


def _reduced(image: Image.Image, factor: int) -> Image.Image:
    """8 bits a channel, palettes resolved, transparency kept, `factor` times smaller."""
    if image.mode in _PLAIN and not image.has_transparency_data:
        return image.reduce(factor) if factor > 1 else image
    values = _value_range(image) if image.mode in ("I", "F") else _declared_range(image)
    size = math.ceil(image.width / factor), math.ceil(image.height / factor)
    small: Image.Image | None = None
    for left, top, tile in _tiles(image, factor):
        part = _eight_bit(tile, values)
        if factor > 1:
            part = part.reduce(factor)
        if small is None:
            small = Image.new(part.mode, size)
        small.paste(part, (left // factor, top // factor))
    assert small is not None, "a picture has pixels"
    return small


def _tiles(image: Image.Image, factor: int) -> Iterator[tuple[int, int, Image.Image]]:
    """Left, top and pixels of the tiles: whole blocks of `factor`, so that no seam shows."""
    side = max(_TILE // factor, 1) * factor
    for top in range(0, image.height, side):
        for left in range(0, image.width, side):
            right, bottom = min(left + side, image.width), min(top + side, image.height)
            yield left, top, image.crop((left, top, right, bottom))


def _eight_bit(image: Image.Image, values: Range | None) -> Image.Image:
    """Convert to a mode that Pillow reduces well. values: the range of samples wider than 16
    bits."""
    if image.mode in ("P", "PA"):
        transparent = image.mode == "PA" or "transparency" in image.info
        return image.convert("RGBA" if transparent else "RGB")
    if image.mode == "1":
        return image.convert("L")
    if image.mode.startswith("I;16") and values is None:  # Pillow would clip at 255
        return Image.fromarray(_TO_EIGHT[np.asarray(image)])
    if values is not None:
        low, high = values
        scaled = (np.asarray(image, np.float64) - low) / max(high - low, 1e-12)
        scaled = np.nan_to_num(scaled, posinf=1.0, neginf=0.0).clip(0, 1)
        return Image.fromarray((scaled * 255).round().astype(np.uint8))
    if image.mode in ("RGB", "L"):  # with one transparent colour
        return image.convert("RGBA")
    return image


def _declared_range(image: Image.Image) -> Range | None:
    """Black and white of a TIFF whose samples have 9 to 15 bits; Pillow unpacks them to 16."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return None
    bits = image.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (16,))[0]
    return (0.0, float(2**bits - 1)) if 8 < bits < 16 else None


def _value_range(image: Image.Image) -> Range:
    """The black and white levels of a picture of wide integers or floats."""
    lows, highs = list[float](), list[float]()
    for _, _, tile in _tiles(image, 1):
        values: npt.NDArray[np.float64] = np.asarray(tile, np.float64)
        finite = values[np.isfinite(values)]
        if finite.size:
            lows.append(float(finite.min()))
            highs.append(float(finite.max()))
    if not lows:
        return 0.0, 1.0
    low, high = min(lows), max(highs)
    if low >= 0 and high <= 65535 and high > 255:
        return 0.0, 65535.0
    return (0.0, 1.0) if low >= 0 and high <= 1 else (min(low, 0.0), max(high, 255.0))
