"""The list of known files, beside the catalog: an unchanged folder is decided without opening the
catalog.

It is written when a run has published everything, and dropped before the catalog changes; without
it a run asks the catalog, which takes a second or two to load.
"""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl

_NAME = "links.arrow"


def write_snapshot(folder: Path, links: pl.DataFrame) -> None:
    """Keep the links (`catalog.LINK_SCHEMA`) of a state that is wholly published."""
    temporary = folder / f"{_NAME}.tmp"
    with open(temporary, "wb") as file:
        links.write_ipc(file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / _NAME)


def read_snapshot(folder: Path) -> pl.DataFrame | None:
    """The links, or None when the catalog has to be asked."""
    try:
        with open(folder / _NAME, "rb") as file:
            return pl.read_ipc(file)
    except FileNotFoundError:
        return None


def drop_snapshot(folder: Path) -> None:
    """Forget the links; the catalog is about to change."""
    (folder / _NAME).unlink(missing_ok=True)
