"""A process that decodes like `indexer.photos.decoder_worker`, and on some contents does what a
defect in a C library would: it stands in for that library.

A content that begins with "FAULT " names the fault, then a file in which each attempt leaves a
line, with the number of the process.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path
from typing import Any, BinaryIO

from indexer.photos.decode import Photo, decode_stream
from indexer.photos.decoder_worker import main as serve

MODULE = "tests.indexer.photos.faulty_worker"
MARK = b"FAULT "


def content(fault: str, log: Path, number: int = 0) -> bytes:
    """Bytes that make this process do what `fault` says; the number makes them another content."""
    return MARK + f"{fault} {log} {number}".encode()


def attempts(log: Path) -> list[int]:
    """The processes that have met a content with this log, in order."""
    return [int(line) for line in log.read_text().split()] if log.exists() else []


def decode(stream: BinaryIO, **options: Any) -> Photo:
    """`decode_stream`, or a fault."""
    head = stream.read(1000)
    stream.seek(0)
    if not head.startswith(MARK):
        return decode_stream(stream, **options)
    fault, log = head.decode().split()[1:3]
    if fault == "hang-at-pipe":  # its reader learns the number of this process, and when it hangs
        Path(log).write_text(str(os.getpid()))
        ctypes.PyDLL(None).sleep(1000)
    before = len(attempts(Path(log)))
    with open(log, "a") as file:
        file.write(f"{os.getpid()}\n")
    if fault == "crash" or (fault == "crash-once" and before == 0):
        ctypes.string_at(0)
    elif fault == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    elif fault == "exit":
        os._exit(3)
    elif fault == "hang":  # a loop that lets no Python run
        ctypes.PyDLL(None).sleep(1000)
    elif fault == "eat":
        eaten = [bytearray(1 << 20) for _ in range(1 << 20)]
        raise AssertionError(f"{len(eaten)} MB were to be had")
    elif fault == "lie":
        return _Liar()  # type: ignore[return-value]
    elif fault == "defect":
        raise_defect()
    return decode_stream(_picture(), **options)


def raise_defect() -> None:
    """What is wrong with the program, and not with the photo, is not the photo's failure."""
    raise LookupError("a mistake of ours")


def _picture() -> BinaryIO:
    from io import BytesIO

    from tests.photos import make

    return BytesIO(make.encode(make.scene(4), "PNG"))


class _Liar:
    """A photo whose pixels are not there."""

    def __init__(self) -> None:
        photo = decode_stream(_picture())
        self.facts, self.format, self.thumbnail = photo.facts, photo.format, photo.thumbnail
        self.width, self.height = photo.width, photo.height
        self.notes = photo.notes
        self.image = self
        self.size = (50_000, 50_000)

    def tobytes(self) -> bytes:
        """Fewer than it says."""
        return b"\0" * 300


def main(control: int, shared: int, lifeline: int) -> None:
    """As `indexer.photos.decoder_worker.main`."""
    serve(control, shared, lifeline, decode)


if __name__ == "__main__":
    sys.exit("started by `DecodeProcess` only")
