"""Limits per photo: pixels, bytes, time and memory. An untrusted file can cost anything: a few
kilobytes that claim a billion pixels, a picture of a thousand layers, a name that leads to a
terabyte."""

from __future__ import annotations

from dataclasses import dataclass

MAX_PIXELS = 250_000_000  # the largest phone sensors have 200 megapixels
MAX_BYTES = 2_000_000_000  # a raw file has 100 MB, a stitched TIFF 1 GB
MAX_SECONDS = 60.0  # 250 megapixels take 10 on a slow processor
MAX_MEMORY = 4_000_000_000  # 250 megapixels take 1 GB, in formats that are copied twice that
LEAST_MEMORY = 100_000_000  # a decoder process takes 60 MB before its first photo
_SLOWEST_DISK = 1_000_000  # bytes a second; a disk or a network that gives less is stuck


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits beyond which a photo is refused or stopped, as unreadable.

    pixels: width times height, checked before decoding. bytes: of the file, checked before reading.
    seconds: for decoding; reading may take as long, plus a second per megabyte. memory: bytes of
    the decoding process, itself included (60 MB).
    """

    pixels: int = MAX_PIXELS
    bytes: int = MAX_BYTES
    seconds: float = MAX_SECONDS
    memory: int = MAX_MEMORY

    def reading_seconds(self, size: int) -> float:
        """Maximum seconds for reading a file of `size` bytes."""
        return self.seconds + size / _SLOWEST_DISK
