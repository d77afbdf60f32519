"""Errors of indexing: the ones a user can fix, and the reasons why a photo cannot be read."""

from __future__ import annotations

import errno
import os
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tips_model.errors import TipsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from indexer.progress import IndexReport


class CollectionError(TipsError):
    """The collection is missing, unreadable, or not the expected one."""


class CollectionBusyError(CollectionError):
    """Another process is writing the collection."""


class ModelMismatchError(CollectionError):
    """The collection was made with another model."""


class SwitchError(CollectionError):
    """The collection cannot switch to another model now."""


class RootError(TipsError):
    """A folder to index cannot be used."""


class WatchError(TipsError):
    """Folders cannot be watched."""


class CatalogDamagedError(CollectionError):
    """The current state of the catalog is unreadable."""


class StorageError(TipsError):
    """Photos on object storage cannot be read."""


class RayError(TipsError):
    """A Ray cluster is unreachable or fails."""


class DiskError(TipsError):
    """The disk of the collection fails; committed data is safe."""


class DiskFullError(DiskError):
    """The disk of the collection is full; committed data is safe."""


class DecoderError(TipsError):
    """No decoder process can be started."""


class BackupError(TipsError):
    """A backup cannot be written, or there is no valid backup to restore."""


class InterruptedIndexError(TipsError):
    """The user stopped indexing; `report` says how far it got."""

    def __init__(self, message: str, report: IndexReport) -> None:
        super().__init__(message)
        self.report = report


class DecodeError(Exception):
    """One photo cannot be read; its row in the catalog stores `reason`. Never stops a run."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


# LanceDB and Qdrant report a failing disk as text inside a RuntimeError or a bare Exception.
_FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FAILING_DISK = (errno.EIO, errno.EROFS, errno.ESTALE, errno.ENODEV, errno.ENXIO)


def is_disk_full(error: BaseException) -> bool:
    """Whether the error or one of its causes reports a full disk or quota."""
    return _says(error, _FULL_DISK) is not None


def _says(error: BaseException, numbers: tuple[int, ...]) -> int | None:
    """Which of these errno values the error or one of its causes reports."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in numbers:
            return seen.errno
        text = str(seen).lower()
        for number in numbers:
            if f"os error {number})" in text or os.strerror(number).lower() in text:
                return number
        seen = seen.__cause__ or seen.__context__
    return None


def _is_full(folder: Path) -> bool:
    """Whether writing a small file in the folder fails because the disk is full.

    The engine drops the cause of some errors ("Failed to create mmap payload storage directory").
    """
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(1 << 16))
    except OSError as error:
        return error.errno in _FULL_DISK
    return False


def is_disk_failing(error: BaseException) -> bool:
    """Whether the error or one of its causes reports a failing disk."""
    return _says(error, _FAILING_DISK) is not None


@contextmanager
def explain_full_disk(folder: Path) -> Iterator[None]:
    """Turn a full disk into `DiskFullError` and a failing one into `DiskError`; other errors pass
    unchanged.
    """
    try:
        yield
    except BaseException as error:
        # An engine's panic is not an `Exception`.
        if isinstance(error, TipsError | KeyboardInterrupt | SystemExit | GeneratorExit):
            raise
        number = _says(error, (*_FULL_DISK, *_FAILING_DISK))
        if number in _FULL_DISK or (number is None and _is_full(folder)):
            raise DiskFullError(
                f"The disk that holds {folder} is full or nearly full; free some space, then "
                "rerun to resume (nothing committed is lost)."
            ) from error
        if number not in _FAILING_DISK:
            raise
        raise DiskError(
            f"The disk that holds {folder} fails ({os.strerror(number)}); check the disk, then "
            "rerun to resume (nothing committed is lost)."
        ) from error
