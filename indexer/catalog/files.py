"""The files of the catalog's table, as far as its engine leaves them to chance.

The engine does not sync what it writes, and it does not notice when the last write to a data file
fails: it commits the file all the same, and the table cannot be read any more. So each commit is
looked after: are the new files whole? Then they are synced, and only then the commit counts.
"""

from __future__ import annotations

import os
from pathlib import Path

_ENDING = b"LANC"  # of every whole data file of the format
_PARTS = ("data", "_deletions", "_versions", "_indices")
_IN_FORMAT = (".lance", ".idx")


def table_files(table: Path) -> set[Path]:
    """All files of a table but its transactions, which nobody reads again."""
    return {
        Path(folder, name)
        for part in _PARTS
        for folder, _, names in os.walk(table / part)
        for name in names
    }


def drop_files(files: set[Path]) -> None:
    """Delete what a commit that failed has written; the versions it may have made are kept."""
    for path in files:
        if path.parent.name != "_versions":
            path.unlink(missing_ok=True)


def torn(files: set[Path]) -> list[Path]:
    """Those that are cut off: their end is missing."""
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
    """Let files and the names they have be on the disk."""
    for path in sorted({*files, *(path.parent for path in files)}):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:  # a version hint, replaced meanwhile
            continue
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
