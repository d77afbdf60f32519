"""Readings as Arrow blocks, the format in which they stay on a Ray cluster.

A block holds the catalog rows of some photos (`rows.photo_schema`) plus the ledger's columns for
each reading. The rows are large and stay on the machine that made them; the driver fetches only the
ledger's columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
import pyarrow as pa

from indexer.catalog.rows import (
    FILE_TYPE,
    FileRef,
    PhotoRow,
    file_columns,
    file_refs,
    photo_schema,
    to_table,
    with_columns,
)
from indexer.photo_reader import Reading
from tips_model.errors import TipsError

_TEXTS = pa.list_(pa.string())
FOUND = pa.schema(
    [("file", FILE_TYPE), ("stamp", pa.int64()), ("sidecars", _TEXTS), ("old_ids", _TEXTS)]
)
LEDGER_COLUMNS = ["id", "reason", "files", "stamps", "old_ids", "outcome"]
_PIXELS = ["pixels", "pixel_height", "pixel_width"]
_NEW, _KNOWN, _GONE, _PROBLEM = "new", "known", "gone", "problem"


def found_tables(candidates: pl.DataFrame, rows: int) -> list[pa.Table]:
    """The candidates of `changes.Changes` in tables (`FOUND`) of at most `rows` rows."""
    file = pl.struct(field.name for field in FILE_TYPE).alias("file")
    table = candidates.select(file, "stamp", "sidecars", "old_ids").to_arrow().cast(FOUND)
    return [table.slice(start, rows) for start in range(0, len(table), rows)]


def found_readings(table: pa.Table) -> list[Reading]:
    """Readings for the files of such a table."""
    return [
        Reading(
            FileRef(**row["file"], stamp=row["stamp"]),
            tuple(row["old_ids"] or ()),
            sidecars=tuple(row["sidecars"]),
        )
        for row in table.to_pylist()
    ]


def read_block(readings: Sequence[Reading], heads: Sequence[str], dim: int) -> pa.Table:
    """A block from readings, including the pixels for the model.

    heads, dim: of the model's vectors, which are still null.
    """
    rows = [reading.row or PhotoRow(reading.id, [reading.file]) for reading in readings]
    pixels = [reading.pixels for reading in readings]
    shapes = [(None, None) if image is None else tuple(image.shape[1:]) for image in pixels]
    added: dict[str, pa.Array] = {
        "old_ids": pa.array([reading.old_ids for reading in readings], FOUND.field("old_ids").type),
        "outcome": pa.array([_outcome(reading) for reading in readings], pa.string()),
        "pixels": pa.array(
            [None if image is None else image.numpy().tobytes() for image in pixels],
            pa.large_binary(),
        ),
        "pixel_height": pa.array([height for height, _ in shapes], pa.int32()),
        "pixel_width": pa.array([width for _, width in shapes], pa.int32()),
    }
    block = to_table(rows, photo_schema(heads, dim), dim)
    for name, column in added.items():
        block = block.append_column(name, column)
    return block


def problem_block(sentence: str, heads: Sequence[str], dim: int) -> pa.Table:
    """A block that tells the driver why a worker cannot work, since Ray loses the origin of errors.
    `light_readings` raises it."""
    block = read_block([Reading(FileRef("", "", 0, 0, 0))], heads, dim)
    for name, value in (("outcome", _PROBLEM), ("reason", sentence)):
        place = block.schema.get_field_index(name)
        block = block.set_column(place, block.schema.field(name), pa.array([value]))
    return block


def without_pixels(block: pa.Table) -> pa.Table:
    """The block without pixels, as after embedding."""
    return block.drop_columns(_PIXELS)


def is_problem(block: pa.Table) -> bool:
    """Whether it is a `problem_block`."""
    return _PROBLEM in block["outcome"].to_pylist()


def pixel_readings(block: pa.Table) -> list[Reading]:
    """One reading per row of a block, with its pixels and an empty row for its features."""
    import torch  # tasks without pixels do not import torch

    readings = light_readings(block)
    columns = (block[name].to_pylist() for name in _PIXELS)
    for reading, data, height, width in zip(readings, *columns, strict=True):
        if data is not None:
            # A copy: torch needs writable memory.
            pixels = np.frombuffer(data, np.uint8).reshape(3, height, width).copy()
            reading.pixels = torch.from_numpy(pixels)
    return readings


def with_features(
    block: pa.Table, readings: Sequence[Reading], heads: Sequence[str], dim: int
) -> pa.Table:
    """The block with the features of the readings' rows, and without pixels."""
    schema = photo_schema(heads, dim)
    features = to_table([reading.row or PhotoRow(reading.id) for reading in readings], schema, dim)
    for name in schema.names:
        if name.startswith(("vector_", "region_", "grid_")):
            place = block.schema.get_field_index(name)
            block = block.set_column(place, schema.field(name), features[name])
    return without_pixels(block)


def light_readings(block: pa.Table) -> list[Reading]:
    """The readings of a block (its `LEDGER_COLUMNS`) without pictures and vectors. Raises the
    `TipsError` of a `problem_block`."""
    readings = []
    for value in block.select(LEDGER_COLUMNS).to_pylist():
        if value["outcome"] == _PROBLEM:
            raise TipsError(value["reason"])
        reading = Reading(file_refs(value)[0], tuple(value["old_ids"] or ()), value["id"])
        if value["outcome"] == _NEW:
            reading.row = PhotoRow(reading.id, [reading.file], value["reason"])
        readings.append(reading)
    return readings


def final_rows(block: pa.Table, files: Mapping[str, Sequence[FileRef]], revision: int) -> pa.Table:
    """The catalog rows of some ids in a block: the first one of each.

    files: id -> all files with that content. revision: of the upcoming commit.
    """
    places: dict[str, int] = {}
    for place, (key, outcome) in enumerate(
        zip(block["id"].to_pylist(), block["outcome"].to_pylist(), strict=True)
    ):
        if outcome == _NEW and key in files:
            places.setdefault(key, place)
    # Replace the files of the `Reading`s by those of the ledger.
    rows = block.drop_columns(["old_ids", "outcome"]).take(pa.array(places.values(), pa.int64()))
    numbers = pa.array([revision] * len(rows), pa.int64())
    return with_columns(rows, {"revision": numbers, **file_columns([files[key] for key in places])})


def _outcome(reading: Reading) -> str:
    if not reading.id:
        return _GONE
    return _KNOWN if reading.row is None else _NEW
