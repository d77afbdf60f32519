"""What one photo may cost. A file from a stranger can be made to cost anything: a few kilobytes
that say "a billion pixels", a picture of a thousand layers, a name that leads to a terabyte."""

from __future__ import annotations

from dataclasses import dataclass

MAX_PIXELS = 250_000_000  # the largest phone sensors have 200 megapixels
MAX_BYTES = 2_000_000_000  # a raw file has 100 MB, a stitched TIFF 1 GB
MAX_SECONDS = 60.0  # 250 megapixels take 10 on a slow processor
MAX_MEMORY = 4_000_000_000  # 250 megapixels take 1 GB, in formats that are copied twice that
LEAST_MEMORY = 100_000_000  # a process that decodes takes 60 MB before it does
_SLOWEST_DISK = 1_000_000  # bytes a second; a disk or a network that gives less is stuck


@dataclass(frozen=True, slots=True)
class Limits:
    """What is refused, or stopped, as a photo that cannot be read.

    pixels: width times height, looked at before decoding. bytes: of the file, looked at before
    reading. seconds: that decoding may take; reading may take as long, and a second more for each
    megabyte. memory: bytes of the process that decodes, itself included (60 MB).
    """

    pixels: int = MAX_PIXELS
    bytes: int = MAX_BYTES
    seconds: float = MAX_SECONDS
    memory: int = MAX_MEMORY

    def reading_seconds(self, size: int) -> float:
        """Seconds in which a file of `size` bytes must have been read."""
        return self.seconds + size / _SLOWEST_DISK
