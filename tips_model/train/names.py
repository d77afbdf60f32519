"""Files of names beside a training table: those of its objects and of its whole pictures."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tips_model.train.source import DataError

OBJECTS = "objects.txt"
LABELS = "labels.txt"


def write_names(folder: Path, objects: Counter[str], labels: Counter[str]) -> None:
    """Write `objects.txt` and `labels.txt`: names by descending count, then alphabetically.

    A file without names is not written, and removed if it exists.
    """
    for file, names in ((OBJECTS, objects), (LABELS, labels)):
        if names:
            ordered = sorted(names, key=lambda name: (-names[name], name))
            (folder / file).write_text("".join(f"{name}\n" for name in ordered), "utf-8")
        else:
            (folder / file).unlink(missing_ok=True)


def read_names(folder: Path, file: str) -> tuple[str, ...]:
    """The names in `OBJECTS` or `LABELS` of a table's folder; empty if the file is missing."""
    path = folder / file
    return tuple(path.read_text("utf-8").splitlines()) if path.is_file() else ()


def listed_names(file: Path) -> list[str]:
    """The names in a user's file, one per line. Raises `DataError` for empty lines and non-text
    files.
    """
    try:
        names = [" ".join(line.split()) for line in file.read_text("utf-8").splitlines()]
    except UnicodeDecodeError as error:
        raise DataError(f"{file} is not UTF-8 text with one name per line.") from error
    if "" in names:
        raise DataError(f"Line {names.index('') + 1} of {file} is empty; each must hold a name.")
    return names
