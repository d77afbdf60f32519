"""Decode a photo's bytes to upright RGB pixels, a thumbnail and facts. Unreadable content raises
`DecodeError`.

The content decides the format, not the name; a name only hints that a TIFF may be a camera's raw
file. Large pictures are reduced during decoding (JPEG at 1/2, 1/4 or 1/8, others right after),
because an encoder sees a few hundred pixels and memory should not grow with the camera's
resolution.
"""

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

from indexer.errors import DecodeError
from indexer.folders.ignore import RAW_EXTENSIONS, extension
from indexer.folders.paths import to_text
from indexer.photos.content import content_id, read_content
from indexer.photos.exif import Facts, read_facts, unharmed
from indexer.photos.formats import FORMATS, foreign_format
from indexer.photos.limits import MAX_PIXELS
from indexer.photos.pixels import small_rgb
from indexer.photos.raw import looks_raw, raw_preview

__all__ = [
    "FORMATS",
    "MAX_PIXELS",
    "THUMBNAIL",
    "Photo",
    "content_id",
    "decode",
    "decode_stream",
    "quiet",
]

THUMBNAIL = 320  # pixels, long side
OUT_OF_MEMORY = "it needs more memory than allowed"
_LARGE = 40_000_000  # pixels; larger pictures are decoded one at a time, to bound the memory
_one_large = threading.Lock()

# Pillow's own limit is per process, warns first, and does not name the file; `_check_size` replaces
# it.
Image.MAX_IMAGE_PIXELS = None

_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, slots=True)
class Photo:
    """A decoded photo: `image` is upright RGB, possibly reduced; width and height are those of the
    upright original in pixels; `format` is lower case ("jpeg", "heif", "raw"); `thumbnail` is
    WebP."""

    image: Image.Image
    width: int
    height: int
    format: str
    facts: Facts
    thumbnail: bytes


@contextmanager
def quiet() -> Iterator[None]:
    """Hide Pillow's warnings about odd files. Enter it in one thread, around the others."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\..*")
        yield


def decode(
    path: bytes, *, max_pixels: int = MAX_PIXELS, thumbnail: int = THUMBNAIL, target: int = 448
) -> Photo:
    """Read and decode a file; see `decode_stream`. Raises `DecodeError`, also when the file is
    gone."""
    content = read_content(to_text(path))
    if content is None:
        raise DecodeError("the file is gone")
    with content[1] as stream:
        return decode_stream(
            stream,
            hint=extension(path),
            max_pixels=max_pixels,
            thumbnail=thumbnail,
            target=target,
        )


def decode_stream(
    stream: BinaryIO,
    *,
    hint: str = "",
    max_pixels: int = MAX_PIXELS,
    thumbnail: int = THUMBNAIL,
    target: int = 448,
    one_large: AbstractContextManager[object] = _one_large,
) -> Photo:
    """Decode a seekable stream; for untrusted bytes, `decoder_pool` does so in another process.

    hint: the file name extension. max_pixels: larger pictures are refused before decoding.
    thumbnail: long side in pixels. target: the image keeps an area of at least about target x
    target pixels. one_large: held while decoding a large picture, so that only one is decoded at a
    time.
    """
    if not stream.read(1):
        raise DecodeError("the file is empty")
    stream.seek(0)
    try:
        return _decode(stream, hint, _Wanted(max_pixels, thumbnail, target, one_large))
    except (DecodeError, MemoryError):
        raise
    except UnidentifiedImageError as error:
        name = foreign_format(stream)
        reason = f"{name} is not a supported format" if name else "not a picture in a known format"
        raise DecodeError(reason) from error
    except Exception as error:
        # Decoders meet hostile bytes here and raise all kinds of errors (struct.error, IndexError,
        # SyntaxError ...). Each means that this one photo is unreadable, and the row says why.
        raise DecodeError(_reason(error)) from error


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The arguments of `decode_stream`."""

    max_pixels: int
    thumbnail: int
    target: int
    one_large: AbstractContextManager[object]


def _decode(stream: BinaryIO, hint: str, wanted: _Wanted) -> Photo:
    if hint in RAW_EXTENSIONS or looks_raw(stream):
        preview = raw_preview(stream)
        if preview is not None:
            _check_size(preview.width, preview.height, wanted.max_pixels)
            photo = _from_image(preview.image, preview.orientation, preview.facts, wanted)
            size = _upright((preview.width, preview.height), preview.orientation)
            return Photo(photo.image, *size, "raw", preview.facts, photo.thumbnail)
    stream.seek(0)
    with Image.open(stream, formats=FORMATS) as image:
        facts = read_facts(_exif(image))
        return _from_image(image, facts.orientation, facts, wanted)


def _exif(image: Image.Image) -> Image.Exif:
    return unharmed(image.getexif, Image.Exif)


def _from_image(image: Image.Image, orientation: int, facts: Facts, wanted: _Wanted) -> Photo:
    width, height = image.size
    _check_size(width, height, wanted.max_pixels)
    upright_width, upright_height = _upright(image.size, orientation)
    format = (image.format or "").lower()
    least = _wanted_size(width, height, wanted.target, wanted.thumbnail)
    with wanted.one_large if _is_large(image, format) else nullcontext():
        if format == "tiff":
            # Newer Pillow versions rotate these on load and remove the tag, so read the orientation
            # afterwards.
            image.load()
            orientation = read_facts(_exif(image)).orientation
            upright_width, upright_height = _upright(image.size, orientation)
            least = _wanted_size(*image.size, wanted.target, wanted.thumbnail)
        image.draft(None, least)
        image.load()
        rgb = small_rgb(image, min(image.width // least[0], image.height // least[1]))
    if orientation in _TRANSPOSE:
        rgb = rgb.transpose(_TRANSPOSE[orientation])
    thumbnail = _thumbnail(rgb, wanted.thumbnail)
    return Photo(rgb, upright_width, upright_height, format, facts, thumbnail)


def _is_large(image: Image.Image, format: str) -> bool:
    """Whether decoding takes much memory: for JPEG only when progressive, since the decoder then
    holds the whole picture before producing a pixel."""
    if format == "jpeg" and "progression" not in image.info:
        return False
    return image.width * image.height > _LARGE


def _upright(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    width, height = size
    return (height, width) if orientation >= 5 else (width, height)


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise DecodeError(
            f"{width} x {height} pixels exceed the limit of {max_pixels / 1e6:g} megapixels"
        )


def _wanted_size(width: int, height: int, target: int, thumbnail: int) -> tuple[int, int]:
    # The smallest size that still serves the encoder (by area) and the thumbnail (by long side).
    scale = max(target / math.sqrt(width * height), thumbnail / max(width, height))
    scale = min(scale, 1.0)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _thumbnail(image: Image.Image, side: int) -> bytes:
    small = image.copy()
    small.thumbnail((side, side), Image.Resampling.BICUBIC, reducing_gap=2.0)
    out = BytesIO()
    small.save(out, "WEBP", quality=75, method=2)
    return out.getvalue()


def _reason(error: Exception) -> str:
    # Libraries quote the file in their messages, including terminal control characters.
    shown = "".join(char if char.isprintable() else " " for char in str(error))
    text = " ".join(shown.split())[:200]
    return f"damaged: {text}" if text else f"damaged ({type(error).__name__})"
