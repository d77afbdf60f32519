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
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    PsdImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)
from pillow_heif import register_heif_opener

from indexer.errors import DecodeError
from indexer.photos.jxl import CODESTREAM, CONTAINER

with suppress(ImportError):  # Pillow before 11.3
    from PIL import AvifImagePlugin  # noqa: F401

register_heif_opener()
_PLUGINS = (  # loading them registers them with `Image.open`
    BmpImagePlugin,
    GifImagePlugin,
    Jpeg2KImagePlugin,
    JpegImagePlugin,  # and MPO, through `MpoImagePlugin`
    MpoImagePlugin,
    PngImagePlugin,
    PsdImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)
_NAMES = "JPEG PNG WEBP TIFF GIF BMP DIB HEIF AVIF JPEG2000 PSD"
FORMATS = tuple(name for name in _NAMES.split() if name in Image.OPEN)
"""What `Image.open(..., formats=FORMATS)` may open; "JPEG" covers MPO."""

_HEAD = 256  # bytes, of which a file of many brands says them all
_MORE = 1 << 16  # bytes, in which a container says what is in it
_MISSING = "JPEG XL needs the package pillow-jxl-plugin"

# What a file begins with -> what it is, with its article where it has one.
_FOREIGN = (
    (b"%!PS", "PostScript"),
    (b"\xc5\xd0\xd3\xc6", "PostScript"),
    (b"%PDF", "PDF"),
    (b"8BPS\0\2", "a large Photoshop document (PSB)"),
    (b"8BPS", "Photoshop of this kind"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000 of this kind"),
    (b"\xff\x4f\xff\x51", "JPEG 2000 of this kind"),
    (b"\xff\xd8\xff\xf7", "JPEG-LS"),
    (b"\xd7\xcd\xc6\x9a", "Windows Metafile"),
    (b"\0\0\1\0", "a Windows icon"),
    (b"v/1\1", "OpenEXR"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"#?RGBE", "Radiance HDR"),
    (b"DDS ", "DirectDraw (DDS)"),
    (b"\x1aE\xdf\xa3", "a video (Matroska or WebM)"),
    (b"\0\0\1\xba", "a video (MPEG)"),
    (b"PK\3\4", "a ZIP archive"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"SQLite format 3", "a database (SQLite)"),
    (b"\x00\x05\x16\x07", "an AppleDouble file, which holds no picture"),
    (b"\x00\x05\x16\x00", "an AppleSingle file, which holds no picture"),
)
_MARKUP = ((b"<svg", "SVG"), (b"<!doctype html", "a web page"), (b"<html", "a web page"))
# How a picture in a HEIF is coded (ISO/IEC 23008-12 and its amendments) -> in words.
_CODED = (
    (b"unci", "an uncompressed HEIF"),
    (b"avc1", "a HEIF coded as H.264"),
    (b"vvc1", "a HEIF coded as H.266"),
    (b"evc1", "a HEIF coded as EVC"),
    (b"j2k1", "a HEIF coded as JPEG 2000"),
    (b"jpeg", "a HEIF coded as JPEG"),
)
_PICTURES = (b"heic", b"heix", b"mif1", b"mif2", b"msf1", b"hevc", b"avif", b"avis", b"unif")


def formats_of(stream: BinaryIO) -> tuple[str, ...]:
    """Which of `FORMATS` to try on a stream, left at its start, or ("JXL",). HEIC and AVIF share a
    container and a first brand (`mif1`), and Pillow's openers take what they cannot read: all
    brands decide. Raises `DecodeError` for JPEG XL without its package.
    """
    stream.seek(0)
    head = stream.read(_HEAD)
    stream.seek(0)
    if head.startswith((CODESTREAM, CONTAINER)):
        _load_jxl()
        return ("JXL",)
    if head[4:8] != b"ftyp":
        return FORMATS
    brands = head[8 : int.from_bytes(head[:4])]
    other = "HEIF" if b"avif" in brands or b"avis" in brands else "AVIF"
    return tuple(name for name in FORMATS if name != other)


def _load_jxl() -> None:
    """Only JPEG XL files need the plugin, which registers itself with Pillow."""
    try:
        from pillow_jxl import JpegXLImagePlugin
    except ImportError as error:
        raise DecodeError(_MISSING) from error
    JpegXLImagePlugin.DECODE_THREADS = 1  # there is a decoder for each processor


def unread(stream: BinaryIO) -> str:
    """Why a stream that no opener takes is not read: what it is, as far as its first bytes say."""
    stream.seek(0)
    head = stream.read(_MORE)
    if not head.strip(b"\0") and not any(stream.read().strip(b"\0")[:1]):
        return "the file holds nothing but zeros"
    name = _name(head)
    if name is None:
        unknown = "not a picture in a known format"
        return f"{unknown}, but plain text" if _is_text(head[:1024]) else unknown
    return f"{name} is not a supported format"


def _name(head: bytes) -> str | None:
    for magic, name in _FOREIGN:
        if head.startswith(magic):
            return name
    if head[4:8] == b"ftyp":
        return _container(head)
    if head.startswith(b"RIFF"):
        return {b"AVI ": "a video (AVI)", b"WAVE": "a sound (WAV)"}.get(head[8:12])
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1024].lower()
    for magic, name in _MARKUP:
        if text.startswith(magic) or (text.startswith(b"<?xml") and magic in text):
            return name
    return None


def _container(head: bytes) -> str:
    """What an ISO base media file holds: a picture coded in another way, or a video."""
    brands = head[8 : int.from_bytes(head[:4])]
    if any(brand in brands for brand in _PICTURES):
        return next((name for code, name in _CODED if code in head), "a HEIF of this kind")
    return "a video (QuickTime)" if brands.startswith(b"qt") else "a video (MP4)"


def _is_text(head: bytes) -> bool:
    try:
        shown = head.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return bool(shown.strip()) and all(char.isprintable() or char.isspace() for char in shown)
