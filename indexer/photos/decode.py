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
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageFile, PsdImagePlugin, UnidentifiedImageError
from PIL.ExifTags import Base

from indexer.errors import DecodeError
from indexer.folders.ignore import RAW_EXTENSIONS, extension
from indexer.folders.paths import to_text
from indexer.photos.colour import adobe_to_srgb
from indexer.photos.content import content_id, read_content
from indexer.photos.exif import picture_facts, read_facts
from indexer.photos.facts import Facts, filled, unharmed
from indexer.photos.formats import FORMATS, formats_of, unread
from indexer.photos.jxl import jxl_size
from indexer.photos.limits import MAX_PIXELS
from indexer.photos.pixels import small_rgb
from indexer.photos.raw import looks_raw, raw_preview, tiff_facts
from indexer.photos.wide_tiff import MAGICS, wide_tiff
from indexer.photos.xmp import xmp_facts

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

_RESOURCES = {1058: "exif", 1060: "xmp"}  # of Photoshop documents
THUMBNAIL = 320  # pixels, long side
OUT_OF_MEMORY = "it needs more memory than allowed"
CUT_OFF = "cut off"
DAMAGED_EXTRAS = "damaged texts or colours beside the pixels are left out"
LEAST_SHOWN = 0.5
"""The share of a damaged picture that has to be there for it to be indexed."""
_JPEG, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_LARGE = 40_000_000  # pixels; larger pictures are decoded one at a time, to bound the memory
_one_large = threading.Lock()
_lenient = threading.Lock()  # Pillow's leniency with damage is a setting of the whole process

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
_UNDONE = {6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}  # others undo themselves


@dataclass(frozen=True, slots=True)
class Photo:
    """A decoded photo: `image` is upright RGB, possibly reduced; width and height are those of the
    upright original in pixels; `format` is lower case ("jpeg", "heif", "raw"); `thumbnail` is
    WebP. notes: what was left out or is missing, in words."""

    image: Image.Image
    width: int
    height: int
    format: str
    facts: Facts
    thumbnail: bytes
    notes: tuple[str, ...] = ()


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
        raise DecodeError(unread(stream)) from error
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
            photo = _from_image(preview.image, preview.facts, wanted)
            size = _upright((preview.width, preview.height), preview.orientation)
            return replace(photo, width=size[0], height=size[1], format="raw")
    try:
        return _opened(stream, wanted)
    except (DecodeError, MemoryError):
        raise
    except Exception as error:  # whatever a decoder raises: see `decode_stream`
        if isinstance(error, UnidentifiedImageError) and _head(stream).startswith(MAGICS):
            with wanted.one_large:
                image = wide_tiff(stream, partial(_check_size, max_pixels=wanted.max_pixels))
            return _from_image(image, filled(tiff_facts(stream), xmp_facts(image)), wanted)
        salvaged = _salvaged(stream, wanted, error)
        if salvaged is None:
            raise
        return salvaged


def _opened(stream: BinaryIO, wanted: _Wanted) -> Photo:
    names = formats_of(stream)
    if names == ("JXL",):  # opening decodes it
        _check_size(*jxl_size(stream), wanted.max_pixels)
        stream.seek(0)
    with Image.open(stream, formats=names) as image:
        _add_texts(image)
        return _from_image(image, None, wanted)


def _head(stream: BinaryIO) -> bytes:
    stream.seek(0)
    return stream.read(4)


def _add_texts(image: Image.Image) -> None:
    """EXIF and XMP of a Photoshop document, which Pillow leaves among its resources; and none of
    the EXIF orientation of a JPEG XL picture, whose decoder has turned it.
    """
    if isinstance(image, PsdImagePlugin.PsdImageFile):
        for number, _, data in image.resources:
            if number in _RESOURCES and data:
                image.info[_RESOURCES[number]] = data
    elif image.format == "JXL" and not getattr(image, "jpeg", False):
        unharmed(lambda: image.getexif().pop(Base.Orientation, None), lambda: None)


def _salvaged(stream: BinaryIO, wanted: _Wanted, error: Exception) -> Photo | None:
    """What can be shown of a damaged picture, with a note; None where nothing can. Raises
    `DecodeError`, with the error that reading it as it is gave, where it is little.
    """
    stream.seek(0)
    if stream.read(2) == _JPEG:
        stream.seek(0)
        stream = BytesIO(stream.read() + _JPEG_END)  # what is missing is grey then, not waited for
    with _lenient:
        ImageFile.LOAD_TRUNCATED_IMAGES = True
        try:
            photo = _opened(stream, wanted)
        except (DecodeError, MemoryError):
            raise
        except Exception:
            return None
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = False
    shown = _share_shown(photo.image, photo.facts.orientation)
    if shown < LEAST_SHOWN:
        raise DecodeError(f"{_reason(error)}; only {shown:.0%} of the picture can be read")
    whole = photo.format == "png" and shown == 1  # what is damaged is beside the pixels
    return replace(photo, notes=(*photo.notes, DAMAGED_EXTRAS if whole else CUT_OFF))


def _share_shown(image: Image.Image, orientation: int) -> float:
    """The share of a damaged picture's rows, as stored, before the first of the last rows that are
    of one colour: decoders fill so what is missing.
    """
    if orientation in _TRANSPOSE:
        image = image.transpose(_UNDONE.get(orientation, _TRANSPOSE[orientation]))
    pixels = np.asarray(image)
    plain = (pixels == pixels[:, :1]).all(axis=(1, 2))
    shown = np.flatnonzero(~plain)
    return 0.0 if not len(shown) else (int(shown[-1]) + 1) / len(pixels)


def _from_image(image: Image.Image, given: Facts | None, wanted: _Wanted) -> Photo:
    """given: what is known of it; None reads it from the picture."""
    size = image.size
    _check_size(*size, wanted.max_pixels)
    format = (image.format or "").lower()
    with wanted.one_large if _is_large(image, format) else nullcontext():
        # Pillow loads all pixels of a PNG for its EXIF, so its size is checked before.
        facts = given or picture_facts(image)
        orientation = facts.orientation
        if format == "tiff" and given is None:
            # Newer Pillow versions rotate these on load and remove the tag, so read the orientation
            # afterwards.
            image.load()
            orientation = read_facts(unharmed(image.getexif, Image.Exif)).orientation
            size = image.size
        least = _wanted_size(*size, wanted.target, wanted.thumbnail)
        image.draft(None, least)
        image.load()
        profile = image.info.get("icc_profile")
        factor = min(image.width // least[0], image.height // least[1])
        rgb, ignored = small_rgb(image, factor, profile=profile)
    if not profile and facts.adobe_rgb:
        rgb = adobe_to_srgb(rgb)
    if orientation in _TRANSPOSE:
        rgb = rgb.transpose(_TRANSPOSE[orientation])
    thumbnail = _thumbnail(rgb, wanted.thumbnail)
    notes = (ignored,) if ignored else ()
    return Photo(rgb, *_upright(size, orientation), format, facts, thumbnail, notes)


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
