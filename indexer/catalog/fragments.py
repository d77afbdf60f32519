"""Fragments of the catalog's table: many processes write them, one commit makes them visible.

A worker writes a fragment: files next to those of the table that no reader knows of. The process
that holds the collection's lock then commits fragments, rewritten rows and the removal of their old
versions in one transaction, equivalent to a merge by id. Fragments left uncommitted by a killed
worker or driver are removed by Lance a week later.

This needs pylance: LanceDB cannot commit what other processes have written.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import lance
import pyarrow as pa
from lance.fragment import FragmentMetadata, write_fragments

from indexer.catalog.rows import IDS_PER_QUERY
from indexer.chunks import chunks
from indexer.errors import CollectionBusyError


def write_fragment(rows: pa.Table, uri: str) -> list[str]:
    """Write rows (all columns, `revision` as it will be committed) next to the table at `uri`;
    returns the metadata that `commit_fragments` needs, as JSON."""
    fragments: list[FragmentMetadata] = write_fragments(rows, uri, schema=rows.schema)
    return [json.dumps(fragment.to_json()) for fragment in fragments]


def commit_fragments(uri: str, fragments: Sequence[str], replaced: Sequence[str], read: int) -> int:
    """Make fragments visible and drop the rows that they replace, in one atomic step.

    fragments: from `write_fragment`. replaced: ids that already have a row in the table. read: the
    table version this builds on. Returns the new version, `read` + 1. Raises `CollectionBusyError`
    when someone else has committed since; then nothing was changed.
    """
    table = lance.dataset(uri, version=read)
    updated, removed = _without(table, replaced)
    operation = lance.LanceOperation.Update(
        removed_fragment_ids=removed,
        updated_fragments=updated,
        new_fragments=[FragmentMetadata.from_json(text) for text in fragments],
    )
    try:
        # No retries: a commit on top of another one would get a different number than its rows
        # carry.
        committed = lance.LanceDataset.commit(table, operation, read_version=read, max_retries=0)
    except OSError as error:
        if "conflict" not in str(error).lower():
            raise
        raise _busy(uri) from error
    if committed.version != read + 1:
        raise _busy(uri)
    return int(committed.version)


def _busy(uri: str) -> CollectionBusyError:
    return CollectionBusyError(
        f"Another process has written the catalog {uri} meanwhile; a catalog has one collection "
        "folder and one writer: stop the other one, then rerun."
    )


def _without(table: Any, ids: Sequence[str]) -> tuple[list[FragmentMetadata], list[int]]:
    """The table's fragments that hold rows with these ids, without those rows; and the numbers of
    the fragments that became empty."""
    found: dict[int, list[int]] = {}
    for chunk in chunks(ids, IDS_PER_QUERY):
        quoted = ", ".join(f"'{key}'" for key in chunk)
        rows = table.to_table(columns=[], filter=f"id IN ({quoted})", with_row_address=True)
        for address in rows["_rowaddr"].to_pylist():
            found.setdefault(address >> 32, []).append(address)
    updated, removed = [], []
    for number, addresses in found.items():
        listed = ", ".join(map(str, addresses))
        left = table.get_fragment(number).delete(f"_rowaddr IN ({listed})")
        if left is None:
            removed.append(number)
        else:
            updated.append(left)
    return updated, removed
