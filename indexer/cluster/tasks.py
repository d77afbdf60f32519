"""Short Ray tasks on blocks: extract the ledger's columns, and write rows as fragments.

Ray starts a process for each concurrent task, so this module does not import torch.
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
    """Write some of a block's rows as fragments of the catalog, if this machine can access it.

    files, revision: see `blocks.final_rows`. uri: of the table. token: a file that the driver put
    next to a table in a folder; empty for object storage, which every machine can access; None when
    the driver wants to write.
    Returns the fragments, or the rows themselves when this machine has a different folder there.
    """
    rows = ray_blocks.final_rows(block, files, revision)
    if token is None or (token and not os.path.exists(token)):
        return rows
    from indexer.catalog.fragments import write_fragment

    return write_fragment(rows, uri)
