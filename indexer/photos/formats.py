"""The picture formats that are read, by Pillow's names, and names of others for error reasons.

Pillow opens dozens of formats, and some start other programs: PostScript runs Ghostscript on the
file's content. Only photo decoders are loaded here, and only these are used.
"""

from __future__ import annotations

from contextlib import suppress
from typing import BinaryIO

from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)
from pillow_heif import register_heif_opener

with suppress(ImportError):  # Pillow before 11.3
    from PIL import AvifImagePlugin  # noqa: F401

register_heif_opener()
_PLUGINS = (  # loading them registers them with `Image.open`
    BmpImagePlugin,
    GifImagePlugin,
    JpegImagePlugin,  # and MPO, through `MpoImagePlugin`
    MpoImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)
FORMATS = tuple(
    name
    for name in ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "DIB", "HEIF", "AVIF")
    if name in Image.OPEN
)
"""What `Image.open(..., formats=FORMATS)` may open; "JPEG" covers MPO."""

_BRANDS = 256  # bytes, of which a file of many brands says them all
_FOREIGN = (
    (b"%!PS", "PostScript"),
    (b"\xc5\xd0\xd3\xc6", "PostScript"),
    (b"%PDF", "PDF"),
    (b"8BPS", "Photoshop"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\xd7\xcd\xc6\x9a", "Windows Metafile"),
    (b"<svg", "SVG"),
    (b"\0\0\x01\0", "Windows icon"),
)


def formats_of(stream: BinaryIO) -> tuple[str, ...]:
    """Which of `FORMATS` to try on a stream, left at its start. HEIC and AVIF share a container and
    a first brand (`mif1`), and Pillow's openers take what they cannot read: all brands decide.
    """
    stream.seek(0)
    head = stream.read(_BRANDS)
    stream.seek(0)
    if head[4:8] != b"ftyp":
        return FORMATS
    brands = head[8 : int.from_bytes(head[:4])]
    other = "HEIF" if b"avif" in brands or b"avis" in brands else "AVIF"
    return tuple(name for name in FORMATS if name != other)


def foreign_format(stream: BinaryIO) -> str | None:
    """The name of a known unsupported format; None when the content is not recognised."""
    stream.seek(0)
    head = stream.read(16)
    return next((name for magic, name in _FOREIGN if head.startswith(magic)), None)
