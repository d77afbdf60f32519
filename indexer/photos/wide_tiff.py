"""TIFFs that Pillow does not read: floating-point colours, wide integers, 16-bit Lab."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image

from indexer.errors import DecodeError

MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_ICC, _XMP, _WHITE = 34675, 700, 318
_D50, _D65 = (0.3457, 0.3585), (0.3127, 0.3290)
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]], np.float32
)
# IEC 61966-2-1.
_XYZ_TO_SRGB = np.array(
    [[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]], np.float32
)
_PLAIN = {1: "L", 2: "RGB", 3: "RGB", 4: "RGB"}  # samples -> mode; alpha is left out
_CIE_LAB, _ICC_LAB, _SEPARATED = 8, 9, 5


def wide_tiff(stream: BinaryIO, check: Callable[[int, int], None]) -> Image.Image:
    """The first picture of a TIFF at 8 bits a channel (L, RGB or CMYK), with its profile.

    Integers are scaled by their bits, floats from 0 to 1, or from their least to their greatest
    value where they go beyond. check: called with width and height before a pixel is read. Raises
    `DecodeError` for what is no picture of that kind.
    """
    try:
        import tifffile  # only such files need it
    except ImportError as error:
        raise DecodeError("a TIFF of this kind needs the package tifffile") from error
    stream.seek(0)
    try:
        with tifffile.TiffFile(stream) as file:
            page: Any = file.pages[0]
            check(page.imagewidth, page.imagelength)
            image = _image(_values(page), int(page.photometric), _white(page))
            _add_texts(image, page)
    except DecodeError:
        raise
    except (ValueError, ArithmeticError, LookupError, TypeError, tifffile.TiffFileError) as error:
        raise DecodeError(f"a TIFF of a kind that is not read ({_kind(error)})") from error
    return image


def _values(page: Any) -> npt.NDArray[np.generic]:
    """(height, width, samples)."""
    values: npt.NDArray[np.generic] = page.asarray()
    if page.planarconfig == 2 and values.ndim == 3:
        values = np.moveaxis(values, 0, -1)
    return values.reshape(page.imagelength, page.imagewidth, -1)


def _image(
    values: npt.NDArray[np.generic], photometric: int, white: tuple[float, float]
) -> Image.Image:
    samples = values.shape[-1]
    if photometric in (_CIE_LAB, _ICC_LAB) and samples >= 3:
        return Image.fromarray(_lab(values[..., :3], photometric, white), "RGB")
    if photometric == _SEPARATED and samples >= 4:
        return Image.fromarray(_eight(values[..., :4]), "CMYK")
    mode = _PLAIN.get(samples)
    if mode is None or photometric not in (0, 1, 2):
        raise DecodeError(f"a TIFF of {samples} samples a pixel, which is no photo")
    shown = _eight(values[..., : len(mode)])
    if photometric == 0:  # white is zero
        shown = 255 - shown
    return Image.fromarray(shown[..., 0] if mode == "L" else shown, mode)


def _eight(values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    if values.dtype.kind == "u":
        most = np.iinfo(values.dtype).max
        return _whole(values / (most / 255))
    if values.dtype.kind not in "fi":
        raise DecodeError(f"a TIFF of {values.dtype} samples, which is no photo")
    shown = values.astype(np.float32)
    sound = shown[np.isfinite(shown)]
    low, high = (float(sound.min()), float(sound.max())) if sound.size else (0.0, 1.0)
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    scaled = np.nan_to_num((shown - low) / max(high - low, 1e-12), posinf=1.0, neginf=0.0)
    return _whole(scaled.clip(0, 1) * 255)


def _whole(values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    rounded: npt.NDArray[np.uint8] = values.round().astype(np.uint8)
    return rounded


def _lab(
    values: npt.NDArray[Any], photometric: int, white: tuple[float, float]
) -> npt.NDArray[np.uint8]:
    """CIE L*a*b* (TIFF 6.0, section 23: a and b are signed; in ICCLab they have an offset) to sRGB,
    from its white point (x, y) adapted to D65 (Bradford)."""
    if values.dtype.kind not in "ui" or values.dtype.itemsize > 2:
        raise DecodeError(f"a Lab TIFF of {values.dtype} samples, which is not read")
    bits = 8 * values.dtype.itemsize
    whole = np.asarray(values).astype(np.float32) % 2**bits
    light = whole[..., 0] * (100 / (2**bits - 1))
    half = 2 ** (bits - 1)
    colours = whole[..., 1:] - (
        half if photometric == _ICC_LAB else 2**bits * (whole[..., 1:] >= half)
    )
    colours /= 2 ** (bits - 8)
    middle = (light + 16) / 116
    cubes = np.stack((middle + colours[..., 0] / 500, middle, middle - colours[..., 1] / 200), -1)
    ratios = np.where(cubes > 6 / 29, cubes**3, 3 * (6 / 29) ** 2 * (cubes - 4 / 29))
    linear = np.clip(ratios * _xyz(white) @ _adapted(white).T @ _XYZ_TO_SRGB.T, 0, 1)
    coded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return _whole(coded * 255)


def _xyz(white: tuple[float, float]) -> npt.NDArray[np.float32]:
    x, y = white
    return np.array([x / y, 1, (1 - x - y) / y], np.float32)


def _adapted(white: tuple[float, float]) -> npt.NDArray[np.float32]:
    """The matrix from XYZ under this white to XYZ under D65."""
    gains = (_BRADFORD @ _xyz(_D65)) / (_BRADFORD @ _xyz(white))
    adapted: npt.NDArray[np.float32] = np.linalg.inv(_BRADFORD) @ np.diag(gains) @ _BRADFORD
    return adapted.astype(np.float32)


def _white(page: Any) -> tuple[float, float]:
    """The white point of a page; Adobe's notes on TIFF name D50 where none is stated."""
    found = page.tags.get(_WHITE)
    if found is None:
        return _D50
    across, under, up, below = found.value
    x, y = across / under, up / below
    if not (0 < x < 1 and 0 < y < 1):
        raise DecodeError("a Lab TIFF whose white point is no colour")
    return x, y


def _add_texts(image: Image.Image, page: Any) -> None:
    """What the reader of facts looks for in a picture that Pillow opened."""
    image.format = "TIFF"
    is_lab = int(page.photometric) in (_CIE_LAB, _ICC_LAB)  # which is its own profile
    for tag, name in ((_ICC, "icc_profile"), (_XMP, "xmp")):
        found = page.tags.get(tag)
        if found is not None and isinstance(found.value, bytes) and not (is_lab and tag == _ICC):
            image.info[name] = found.value


def _kind(error: Exception) -> str:
    text = " ".join(str(error).split())
    return "".join(char for char in text if char.isprintable())[:120]
