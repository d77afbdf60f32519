"""Cache of the known files next to the catalog: detects an unchanged folder without opening it.

It is written when a run has published everything, and dropped before the catalog changes; without
it a run reads the catalog, which takes a second or two to load.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from indexer.folders.scan import FILE_SCHEMA
from tips_model.atomic import replacing, sync_folder

LINK_SCHEMA = pl.Schema(
    [
        *((name, kind) for name, kind in FILE_SCHEMA.items() if name != "sidecars"),
        ("id", pl.String()),
        ("status", pl.String()),
    ]
)
"""The columns of links: each file of each row; the stamp is that of the sidecars that were read."""
_NAME = "links.arrow"


def write_snapshot(folder: Path, links: pl.DataFrame) -> None:
    """Save the links (`LINK_SCHEMA`) of a fully published state."""
    with replacing(folder / _NAME, alone=True) as file:
        links.write_ipc(file)


def read_snapshot(folder: Path) -> pl.DataFrame | None:
    """The links; None when they are missing or damaged, and the caller must read the catalog."""
    import pyarrow as pa

    # Not with Polars, which trusts a damaged file and crashes on it.
    try:
        with pa.OSFile(str(folder / _NAME)) as file, pa.ipc.open_file(file) as reader:
            table = reader.read_all()
        table.validate(full=True)
    except (OSError, pa.ArrowException):
        return None
    if table.schema.names != LINK_SCHEMA.names():
        return None
    links = pl.DataFrame(table)
    return links if links.schema == LINK_SCHEMA else None


def drop_snapshot(folder: Path) -> None:
    """Delete the snapshot, durably: the catalog is about to change."""
    try:
        (folder / _NAME).unlink()
    except FileNotFoundError:
        return
    sync_folder(folder)
