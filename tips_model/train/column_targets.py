"""Which parts of a training pair a Parquet column can fill, and with which types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from tips_model.train.columns import is_list
from tips_model.train.source import DataError

TARGETS = {
    "image": "bytes, paths, or a struct of both",
    "key": "texts or whole numbers",
    "web": "texts or lists of texts",
    "synthetic": "texts or lists of texts",
    "labels": "names, whole numbers with a file of names, or lists of these",
    "label_scores": "numbers or lists of numbers",
    "boxes": "flat or nested lists of numbers",
    "box_names": "lists of names, or of whole numbers with a file of names",
    "box_scores": "lists of numbers",
    "features": "lists of numbers, or bytes",
}
"""The parts of a pair that a column can fill, and what the column may contain."""

_NEEDS = {
    "label_scores": "labels", "boxes": "box_names", "box_names": "boxes", "box_scores": "boxes",
}  # fmt: skip


def check_mapping(columns: Mapping[str, str]) -> None:
    """Raises `DataError` for a mapping of targets to columns that cannot form pairs, whatever the
    files contain.
    """
    if unknown := [target for target in columns if target not in TARGETS]:
        raise DataError(f"There is no {unknown[0]} to map to; there are {', '.join(TARGETS)}.")
    if "image" not in columns:
        raise DataError("No column is mapped to image.")
    for target, other in _NEEDS.items():
        if target in columns and other not in columns:
            raise DataError(f"A column mapped to {target} needs another mapped to {other}.")


def check_columns(file: str, schema: pa.Schema, paths: Iterable[str]) -> None:
    """Raises `DataError` if a column is missing, listing the existing ones."""
    for path in paths:
        if path not in schema.names and _type(schema, path) is None:
            raise DataError(f"{file} has no column {path}; it has {', '.join(schema.names)}.")


def check_type(file: str, schema: pa.Schema, target: str, path: str, *, numbered: bool) -> None:
    """Raises `DataError` if a column's type does not fit its target.

    numbered: names are numbers, indices into a file of names.
    """
    kind = _type(schema, path)
    if _fits(target, kind, numbered=numbered):
        return
    if not numbered and _fits(target, kind, numbered=True):
        raise DataError(
            f"The column {path} of {file} holds numbers; {target} needs the file of their names."
        )
    raise DataError(
        f"The column {path} of {file} is of type {kind}; {target} takes {TARGETS[target]}."
    )


def _type(schema: pa.Schema, path: str) -> pa.DataType | None:
    """The type of a column, or of the field of a struct; None if there is none."""
    name, _, inner = path.partition(".")
    if path in schema.names:
        kind = schema.field(path).type
    elif name in schema.names and pa.types.is_struct(struct := schema.field(name).type):
        place = struct.get_field_index(inner)
        kind = struct.field(place).type if place >= 0 else None
    else:
        return None
    return kind.value_type if kind is not None and pa.types.is_dictionary(kind) else kind


def column_of(batch: pa.RecordBatch, path: str) -> pa.Array:
    """A column, or the field of a struct, as plain values."""
    name, _, inner = path.partition(".")
    plain = path in batch.schema.names
    column = batch.column(path) if plain else pc.struct_field(batch.column(name), [inner])
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _fits(target: str, kind: pa.DataType, *, numbered: bool) -> bool:
    """Whether a column type can fill a target; `numbered`: names are numbers."""
    types, depth, inner = pa.types, 0, kind
    while is_list(inner):
        depth, inner = depth + 1, inner.value_type
    text = types.is_string(inner) or types.is_large_string(inner)
    data = types.is_binary(inner) or types.is_large_binary(inner)
    whole = types.is_integer(inner)
    number = whole or types.is_floating(inner)
    named = whole if numbered else text
    fits: dict[str, bool] = {
        "image": depth == 0 and (text or data or types.is_struct(inner)),
        "key": depth == 0 and (text or whole),
        "web": depth <= 1 and text,
        "synthetic": depth <= 1 and text,
        "labels": depth <= 1 and named,
        "label_scores": depth <= 1 and number,
        "boxes": depth in (1, 2) and number,
        "box_names": depth <= 1 and named,
        "box_scores": depth <= 1 and number,
        "features": (depth == 1 and number) or (depth == 0 and data),
    }
    return fits[target]
