"""Durability of the catalog's table files: detect torn writes, sync, undo a failed commit.

LanceDB does not sync what it writes, and does not notice when the last write to a data file fails:
it still commits the file, and the table becomes unreadable. So every commit is verified: the new
files must be whole and synced before the commit counts.
"""

from __future__ import annotations

import os
from pathlib import Path

_ENDING = b"LANC"  # at the end of every whole data file of the format
_PARTS = ("data", "_deletions", "_versions", "_indices")
_IN_FORMAT = (".lance", ".idx")


def table_files(table: Path) -> set[Path]:
    """All files of a table except its transactions, which are never read again."""
    return {
        Path(folder, name)
        for part in _PARTS
        for folder, _, names in os.walk(table / part)
        for name in names
    }


def drop_files(files: set[Path]) -> None:
    """Delete the files that a failed commit wrote; versions it may have created are kept."""
    for path in files:
        if path.parent.name != "_versions":
            path.unlink(missing_ok=True)


def torn(files: set[Path]) -> list[Path]:
    """The truncated ones of these files: their end marker is missing."""
    return sorted(
        path
        for path in files
        if path.suffix in _IN_FORMAT and path.exists() and not _is_whole(path)
    )


def _is_whole(path: Path) -> bool:
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(max(size - len(_ENDING), 0))
        return file.read() == _ENDING


def sync_files(files: set[Path]) -> None:
    """Sync files and their directory entries to disk."""
    for path in sorted({*files, *(path.parent for path in files)}):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:  # a version hint, just replaced
            continue
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
