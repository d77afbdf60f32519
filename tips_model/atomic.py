"""Files that are either old or whole, never half written."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO


@contextmanager
def replacing(path: Path, *, alone: bool = False) -> Iterator[BinaryIO]:
    """A file beside `path` that takes its place, on the disk, when the block ends well; a failed
    block leaves nothing behind.

    Its name is its own, so two writers cannot mix. alone: there is one writer, who holds a lock:
    the name is always the same, so that the next one overwrites what a killed one left.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    name = f"{path.name}.tmp" if alone else f".{path.name}.{token_hex(4)}.part"
    beside = path.with_name(name)
    try:
        with open(beside, "wb" if alone else "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_alone(path: Path, text: str) -> None:
    """Replace a file that one process at a time writes (see `replacing`) by this text."""
    with replacing(path, alone=True) as file:
        file.write(text.encode())


def sync_folder(folder: Path) -> None:
    """Let the names in a folder be on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
