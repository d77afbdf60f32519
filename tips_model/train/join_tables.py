"""Joins several training tables into one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from tips_model.train.dataset import SCHEMA, open_table, write_table
from tips_model.train.names import write_names
from tips_model.train.source import DataError


def join_tables(folders: Sequence[Path], out: Path) -> int:
    """Write the rows of the tables in `folders`, one after the other, to `out`; returns their
    number.

    Names are written beside the new table; sentence vectors are not and must be computed again.
    Raises `DataError` for a folder without a table, and when `out` is one of the folders.
    """
    if out.resolve() in [folder.resolve() for folder in folders]:
        raise DataError(f"{out} is one of the tables to join: choose another folder.")
    tables = [open_table(folder) for folder in folders]
    counts = {"objects": Counter[str](), "labels": Counter[str]()}

    def batches() -> Iterator[pa.RecordBatch]:
        for table in tables:
            for batch in table.search().limit(None).to_batches():
                columns = [_column(batch, field) for field in SCHEMA]
                for name, counter in counts.items():
                    things = columns[SCHEMA.get_field_index(name)].flatten()
                    counter.update(things.field("name").to_pylist())
                yield pa.RecordBatch.from_arrays(columns, schema=SCHEMA)

    out.mkdir(parents=True, exist_ok=True)
    rows = write_table(out, batches())
    write_names(out, **counts)
    return rows


def _column(batch: pa.RecordBatch, field: pa.Field) -> pa.Array:
    """A column cast to `field`; nulls where an older table lacks it or part of it."""
    if field.name not in batch.schema.names:
        return pa.nulls(len(batch), field.type)
    column = batch[field.name]
    if column.type == field.type:
        return column
    return pa.array(column.to_pylist(), type=field.type)
