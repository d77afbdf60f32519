"""Short tasks beside the blocks: what the driver must know of them, and writing their rows.

Ray starts a process for each that runs at a time, so this imports no torch.
"""

from __future__ import annotations

import os

import pyarrow as pa

from indexer.catalog.rows import FileRef
from indexer.cluster import blocks as ray_blocks


def ledger_part(block: pa.Table) -> pa.Table:
    """The small columns of a block, for the driver."""
    return block.select(ray_blocks.LEDGER_COLUMNS)


def write_rows(
    block: pa.Table, files: dict[str, list[FileRef]], revision: int, uri: str, token: str | None
) -> list[str] | pa.Table:
    """Write some of a block's rows as fragments of the catalog, where this machine sees it.

    files, revision: see `ray_blocks.final_rows`. uri: of the table. token: a file that the driver
    has put beside a table in a folder; empty for object storage, which every machine sees; None
    when the driver wants to write.
    Returns the fragments, or the rows themselves when the folder is another one here.
    """
    rows = ray_blocks.final_rows(block, files, revision)
    if token is None or (token and not os.path.exists(token)):
        return rows
    from indexer.catalog.fragments import write_fragment

    return write_fragment(rows, uri)
