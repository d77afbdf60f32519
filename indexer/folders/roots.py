"""Check whether root folders and files of a collection currently exist."""

from __future__ import annotations

import os

from indexer.errors import StorageError
from indexer.folders.paths import to_bytes
from indexer.folders.storage import entries, facts, is_url

Identity = tuple[int, int] | None


def identity(root: str) -> Identity:
    """The identity of the folder now (device, inode); None when it is gone, unreadable, or empty
    like a mount point without its disk."""
    if is_url(root):
        return _identity_of_url(root)
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
    """The roots that do not exist."""
    return tuple(root for root in roots if identity(root) is None)


def is_gone(path: str) -> bool:
    """Whether the file does not exist; an inaccessible file is not gone."""
    if is_url(path):
        return _is_gone_from_storage(path)
    try:
        os.lstat(to_bytes(path))
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _identity_of_url(root: str) -> Identity:
    try:
        return (0, 0) if entries(root) else None  # a URL has no other folder of that name
    except (FileNotFoundError, StorageError):
        return None


def _is_gone_from_storage(path: str) -> bool:
    try:
        facts(path)
    except FileNotFoundError:
        return True
    except StorageError:
        return False
    return False
