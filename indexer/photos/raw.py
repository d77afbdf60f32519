"""Camera raw files: extract the embedded preview picture, through LibRaw."""

from __future__ import annotations

from dataclasses import dataclass, replace
from io import BytesIO
from typing import BinaryIO

from PIL import Image

from indexer.errors import DecodeError
from indexer.photos.exif import picture_facts, read_facts
from indexer.photos.facts import Facts, filled, unharmed
from indexer.photos.xmp import packet_facts

_TIFF_MAGICS = (
    b"II*\0",
    b"MM\0*",
    b"IIRO",
    b"IIRS",
    b"IIU\0",
)  # TIFF, and the formats of Olympus and Panasonic
_DNG_VERSION = 0xC612
# LibRaw's `flip` (1: left and right, 2: top and bottom, 4: rows and columns) -> EXIF orientation.
_ORIENTATION = {0: 1, 1: 2, 2: 4, 3: 3, 4: 5, 5: 8, 6: 6, 7: 7}
_XMP = 700


@dataclass(frozen=True, slots=True)
class RawPreview:
    """image: the embedded preview as stored. width, height: of the sensor's picture, unrotated.
    orientation: EXIF value 1..8 that makes both upright."""

    image: Image.Image
    width: int
    height: int
    orientation: int
    facts: Facts


def looks_raw(stream: BinaryIO) -> bool:
    """Whether a TIFF is marked as DNG, whatever its name; resets the stream to its start."""
    head = stream.read(4)
    stream.seek(0)
    return head in _TIFF_MAGICS and _DNG_VERSION in tiff_exif(stream)


def raw_preview(stream: BinaryIO) -> RawPreview | None:
    """The preview of a raw file; None when the content is not a raw file. Raises `DecodeError` when
    there is no preview."""
    import rawpy  # only raw files need LibRaw

    stream.seek(0)
    try:
        raw = rawpy.imread(stream)
    except (rawpy.LibRawFileUnsupportedError, rawpy.LibRawIOError):
        return None
    with raw:
        try:
            thumb = raw.extract_thumb()
        except (rawpy.LibRawNoThumbnailError, rawpy.LibRawUnsupportedThumbnailError) as error:
            raise DecodeError("a RAW file without a readable preview") from error
        sizes = raw.sizes
        if isinstance(thumb.data, bytes):
            image: Image.Image = Image.open(BytesIO(thumb.data), formats=("JPEG",))
            facts = picture_facts(image)
        else:
            image, facts = Image.fromarray(thumb.data), Facts()
    orientation = _ORIENTATION.get(sizes.flip, 1)
    facts = filled(tiff_facts(stream), facts)
    return RawPreview(
        image, sizes.width, sizes.height, orientation, replace(facts, orientation=orientation)
    )


def tiff_facts(stream: BinaryIO) -> Facts:
    """The facts in the tags of a TIFF-like file, XMP among them."""
    exif = tiff_exif(stream)
    packet = exif.get(_XMP)
    inside = unharmed(lambda: packet_facts(packet), Facts) if isinstance(packet, bytes) else Facts()
    return filled(read_facts(exif), inside)


def tiff_exif(stream: BinaryIO) -> Image.Exif:
    """The tags of a TIFF-like file; empty when unreadable. Resets the stream to its start."""
    exif = Image.Exif()
    stream.seek(0)
    head = stream.read(4)
    if head in _TIFF_MAGICS:
        block = (b"II*\0" if head[:2] == b"II" else b"MM\0*") + stream.read()

        def read() -> Image.Exif:
            exif.load(block)
            return exif

        exif = unharmed(read, Image.Exif)
    stream.seek(0)
    return exif
