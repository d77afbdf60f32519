"""An anonymous memory file shared by two processes, for passing pictures without a pipe.

It vanishes when both processes are gone, however they ended, and no folder bounds its size.
"""

from __future__ import annotations

import os


class SharedFile:
    """Bytes at the start of a file; the two sides take turns."""

    def __init__(self, descriptor: int | None = None) -> None:
        """descriptor: of the other side's file; None makes a new one."""
        self.descriptor = os.memfd_create("tips-photo") if descriptor is None else descriptor

    def write(self, *parts: bytes) -> None:
        """Overwrite its start."""
        offset = 0
        for part in parts:
            view = memoryview(part)
            while view:
                written = os.pwrite(self.descriptor, view, offset)
                view, offset = view[written:], offset + written

    def read(self, size: int, offset: int = 0) -> bytearray:
        """`size` bytes from `offset`. Raises EOFError when it holds fewer."""
        if os.fstat(self.descriptor).st_size < offset + size:
            raise EOFError(f"it does not hold {size} bytes from {offset} on")
        data = bytearray(size)
        view = memoryview(data)
        while view:
            count = os.preadv(self.descriptor, [view], offset)
            view, offset = view[count:], offset + count
        return data

    def shrink(self, most: int) -> None:
        """Free its memory if it holds more than `most` bytes."""
        if os.fstat(self.descriptor).st_size > most:
            os.ftruncate(self.descriptor, 0)

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self.descriptor)
