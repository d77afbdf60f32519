"""Whether folders and files of a collection are there now."""

from __future__ import annotations

import os

from indexer.paths import to_bytes

Identity = tuple[int, int] | None


def identity(root: str) -> Identity:
    """Which folder is there now (device, inode); None when it is gone, cannot be read, or is empty
    as a mount point without its disk."""
    path = to_bytes(root)
    try:
        with os.scandir(path) as entries:
            if next(entries, None) is None:
                return None
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def absent(roots: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the roots that are not there."""
    return tuple(root for root in roots if identity(root) is None)


def is_gone(path: str) -> bool:
    """Whether there is no such file; one that may not be looked at is not gone."""
    try:
        os.lstat(to_bytes(path))
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False
