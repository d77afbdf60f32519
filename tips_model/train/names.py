"""The names beside a training table: those of its objects and of its whole pictures, one a line."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

OBJECTS = "objects.txt"
LABELS = "labels.txt"


def write_names(folder: Path, objects: Counter[str], labels: Counter[str]) -> None:
    """Write `objects.txt` and `labels.txt`: names by falling count, then by the alphabet.

    A file that would have no names is not written, and removed if it is there.
    """
    for file, names in ((OBJECTS, objects), (LABELS, labels)):
        if names:
            ordered = sorted(names, key=lambda name: (-names[name], name))
            (folder / file).write_text("".join(f"{name}\n" for name in ordered), "utf-8")
        else:
            (folder / file).unlink(missing_ok=True)
