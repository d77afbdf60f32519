"""Converts foreign Parquet columns to a training table's texts, names, scores, boxes and vectors.

A row's value may be one item or a list of them, so each function returns all values of a column in
one array, and how many belong to each row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tips_model.train.source import DataError

T = TypeVar("T")


def is_list(kind: pa.DataType) -> bool:
    """Whether an Arrow type is any kind of list."""
    types = pa.types
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def flatten(column: pa.Array) -> tuple[pa.Array, NDArray[np.int64]]:
    """All values (N,) of a column, and how many each row (B,) has; scalars count as
    lists of one.
    """
    if is_list(column.type):
        counts = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
        return pc.list_flatten(column), counts.astype(np.int64)
    counts = column.is_valid().to_numpy(zero_copy_only=False).astype(np.int64)
    return column.drop_null(), counts


def split(flat: Sequence[T], counts: NDArray[np.int64]) -> list[Sequence[T]]:
    """The flat values split by row (B of them)."""
    ends = np.cumsum(counts).tolist()
    return [flat[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def texts(column: pa.Array) -> list[list[str]]:
    """The texts of each row, without missing ones."""
    flat, counts = flatten(column)
    return [[t for t in row if t is not None] for row in split(flat.to_pylist(), counts)]


def names(
    column: pa.Array, listed: Sequence[str] | None, where: str
) -> tuple[list[str], NDArray[np.int64]]:
    """The names of all rows, and how many each has; numbers are indices into `listed`.

    Raises `DataError` for missing names, and for numbers outside the list.
    """
    flat, counts = flatten(column)
    if flat.null_count:
        raise DataError(f"{where} holds lists with missing names; remove these.")
    if listed is None:
        return [" ".join(name.split()) for name in flat.to_pylist()], counts
    index = flat.to_numpy(zero_copy_only=False)
    outside = index[(index < 0) | (index >= len(listed))]
    if outside.size:
        raise DataError(
            f"{where} holds the number {outside[0]}, but the file of its names has {len(listed)}, "
            "counted from 0."
        )
    return [listed[place] for place in index.tolist()], counts


def scores(column: pa.Array, expected: NDArray[np.int64], where: str) -> list[float | None]:
    """The scores of all rows, as many for each as `expected` (B,) says.

    Raises `DataError` for another number of scores, and for values that are not probabilities.
    """
    flat, counts = flatten(column)
    if not np.array_equal(counts, expected):
        raise DataError(f"{where} does not have one score for each name.")
    values = flat.to_numpy(zero_copy_only=False).astype(np.float64)
    if not ((values >= 0) & (values <= 1)).all():
        raise DataError(f"{where} holds scores that do not lie between 0 and 1.")
    result: list[float | None] = values.tolist()
    return result


def boxes(column: pa.Array, where: str) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Boxes (N, 4) of all rows from flat or nested lists, and how many each row (B,) has.

    Raises `DataError` unless they have four numbers each.
    """
    flat, counts = flatten(column)
    if is_list(flat.type):
        flat, sizes = flatten(flat)
        whole = bool((sizes == 4).all())
    else:
        whole = not (counts % 4).any()
        counts = counts // 4
    if not whole or flat.null_count:
        raise DataError(f"{where} holds boxes that are not four numbers each.")
    values = flat.to_numpy(zero_copy_only=False).astype(np.float64)
    return values.reshape(-1, 4), counts


def vectors(column: pa.Array, where: str) -> tuple[NDArray[np.float16], NDArray[np.bool_]]:
    """The existing vectors (N, D), and which rows (B,) have one; bytes are int8 numbers.

    Raises `DataError` for vectors of different widths, and for numbers that overflow float16.
    """
    flat: NDArray[Any]
    if is_list(column.type):
        values, counts = flatten(column)
        flat = values.to_numpy(zero_copy_only=False)
    else:
        contents = column.drop_null().to_pylist()
        flat = np.frombuffer(b"".join(contents), np.int8)
        counts = pc.fill_null(pc.binary_length(column), 0).to_numpy(zero_copy_only=False)
    present = counts > 0
    widths = np.unique(counts[present]).tolist()
    if len(widths) > 1:
        raise DataError(
            f"{where} holds vectors of {widths[0]} and of {widths[1]} numbers; all need one width."
        )
    with np.errstate(over="ignore"):
        small = flat.astype(np.float16)
    if not np.isfinite(small).all():
        raise DataError(f"{where} holds numbers that are missing, or too large for float16.")
    return small.reshape(-1, *widths) if widths else small.reshape(0, 0), present
