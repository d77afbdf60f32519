"""The list of known files, beside the catalog: an unchanged folder is decided without opening the
catalog.

It is written when a run has published everything, and dropped before the catalog changes; without
it a run asks the catalog, which takes a second or two to load.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from indexer.folders.scan import FILE_SCHEMA
from tips_model.atomic import replacing, sync_folder

LINK_SCHEMA = pl.Schema([*FILE_SCHEMA.items(), ("id", pl.String()), ("status", pl.String())])
"""The columns of links: each file of each row."""
_NAME = "links.arrow"


def write_snapshot(folder: Path, links: pl.DataFrame) -> None:
    """Keep the links (`LINK_SCHEMA`) of a state that is wholly published."""
    with replacing(folder / _NAME, alone=True) as file:
        links.write_ipc(file)


def read_snapshot(folder: Path) -> pl.DataFrame | None:
    """The links, or None when the catalog has to be asked: when there are none, or they are
    damaged, since they can be made again."""
    import pyarrow as pa

    # Not by Polars, which believes a damaged file and crashes on it.
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
    """Forget the links, durably: the catalog is about to change."""
    try:
        (folder / _NAME).unlink()
    except FileNotFoundError:
        return
    sync_folder(folder)
