"""File locks that the operating system releases when the holding process ends."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def lock(descriptor: int, *, shared: bool = False, wait: bool = False) -> bool:
    """Lock an open file or folder until its descriptor is closed; False if another process holds
    the lock. shared: a shared lock. wait: block until it is free.
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
    """A descriptor that locks a file or folder with work in progress until it is closed; None if
    another process holds the lock. Raises `OSError` if it cannot be opened.
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
    """Serialise a short operation between processes; the lock file `path` is created if needed."""
    with open(path, "wb") as file:
        lock(file.fileno(), wait=True)
        yield
