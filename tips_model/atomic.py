"""Atomic file writes: a file is either the old one or the complete new one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO


@contextmanager
def replacing(path: Path, *, alone: bool = False) -> Iterator[BinaryIO]:
    """A temporary file that atomically and durably replaces `path` when the block succeeds; if the
    block fails, it is removed.

    Its name is unique, so two writers cannot mix. alone: there is one writer, who holds a lock: the
    name is fixed, so that the next writer overwrites what a killed one left.
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
    """Replace a file that one process at a time writes (see `replacing`) with this text."""
    with replacing(path, alone=True) as file:
        file.write(text.encode())


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to disk (fsync)."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
