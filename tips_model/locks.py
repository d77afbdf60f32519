"""Locks on files and folders: they end with the process that holds them, however it ends."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def lock(descriptor: int, *, shared: bool = False, wait: bool = False) -> bool:
    """Hold an open file or folder until its descriptor is closed; False when another process has
    it. shared: with others who hold it so. wait: until it is free.
    """
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(descriptor, kind if wait else kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EAGAIN):
            raise
        return False
    return True


def claim(path: Path) -> int | None:
    """A descriptor that holds a file or folder, work in progress, until it is closed; None when
    another process holds it. Raises `OSError` when it cannot be opened.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if lock(descriptor):
            return descriptor
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


@contextmanager
def turn(path: Path) -> Iterator[None]:
    """Take turns with other processes at what takes them a moment; `path` is made if need be."""
    with open(path, "wb") as file:
        lock(file.fileno(), wait=True)
        yield
