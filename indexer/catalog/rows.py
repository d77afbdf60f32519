"""Catalog rows of photos: the Arrow schema, and building tables from rows.

Letters: D vector width, R regions of a photo, h x w its patch grid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from indexer.photos.facts import Facts

IDS_PER_QUERY = 500
FILE_TYPE = pa.struct(
    [
        ("path", pa.string()),
        ("root", pa.string()),
        ("size", pa.int64()),
        ("mtime_ns", pa.int64()),
        ("ctime_ns", pa.int64()),
    ]
)
FACT_COLUMNS = [
    "id",
    "status",
    "reason",
    "revision",
    "files",
    "format",
    "width",
    "height",
    "bytes",
    "taken",
    "camera",
    "lens",
    "latitude",
    "longitude",
    "iso",
    "f_number",
    "exposure",
    "focal_length",
    "dated",
    "title",
    "description",
    "creator",
    "label",
    "rating",
    "keywords",
    "notes",
]
"""The columns without pixels and vectors: small, and enough for most readers."""


ADDED_COLUMNS = (
    ("dated", pa.string()),
    ("title", pa.string()),
    ("description", pa.string()),
    ("creator", pa.string()),
    ("label", pa.string()),
    ("rating", pa.int8()),
    ("keywords", pa.list_(pa.string())),
    ("notes", pa.list_(pa.string())),
    ("reader", pa.int16()),
    ("stamps", pa.list_(pa.int64())),
)
"""Columns that catalogs of version 0.1 lack. A writer adds them; to a reader they are null.
stamps: of the sidecars of each of `files`, 0 for none (null: all 0)."""
READ_COLUMNS = (
    *("format", "width", "height", "taken", "camera", "lens", "latitude", "longitude", "iso"),
    *("f_number", "exposure", "focal_length", "thumbnail"),
    *(name for name, _ in ADDED_COLUMNS if name != "stamps"),
)
"""The columns that come from reading a file, besides what identifies it."""
READER = 3
"""The version of what reads facts from files, kept in each row; rows of 0.1 have none."""


class FileRef(NamedTuple):
    """One file with a photo's content; path and root are texts (see `paths`). stamp: of the
    sidecars that were read with it (see `folders.sidecars`)."""

    path: str
    root: str
    size: int
    mtime_ns: int
    ctime_ns: int
    stamp: int = 0


def file_refs(row: dict[str, Any]) -> list[FileRef]:
    """The files of a row, of its `files` and `stamps`."""
    stamps = row["stamps"] or [0] * len(row["files"])
    return [FileRef(**file, stamp=n) for file, n in zip(row["files"], stamps, strict=True)]


def file_columns(files: Sequence[Sequence[FileRef]]) -> dict[str, pa.Array]:
    """The columns `files` and `stamps` of rows with these files."""
    stamps = [[file.stamp for file in each] for each in files]
    listed = [[file._asdict() for file in each] for each in files]
    return {
        "files": pa.array(listed, pa.list_(FILE_TYPE)),
        "stamps": pa.array([each if any(each) else None for each in stamps], pa.list_(pa.int64())),
    }


@dataclass(slots=True)
class Features:
    """The model's output for a photo: heads name -> (D,), regions (R, D), boxes (R, 4) fractions
    x0, y0, x1, y1, masks (R, h, w) bool."""

    heads: dict[str, npt.NDArray[np.floating[Any]]]
    regions: npt.NDArray[np.floating[Any]]
    boxes: npt.NDArray[np.floating[Any]]
    masks: npt.NDArray[np.bool_]


@dataclass(slots=True)
class PhotoRow:
    """A row to be written: for a failed photo `features` is None and `reason` is set."""

    id: str
    files: list[FileRef] = field(default_factory=list)
    reason: str | None = None
    format: str | None = None
    width: int | None = None
    height: int | None = None
    facts: Facts = field(default_factory=Facts)
    thumbnail: bytes | None = None
    features: Features | None = None
    notes: tuple[str, ...] = ()


class Link(NamedTuple):
    """New files and the resulting status of a row whose content stays the same."""

    id: str
    status: str
    files: tuple[FileRef, ...]


def photo_schema(heads: Sequence[str], dim: int) -> pa.Schema:
    """The columns of the table `photos` for a model with these heads of width `dim`."""
    vector = pa.list_(pa.float16(), dim)
    return pa.schema(
        [
            ("id", pa.string()),
            ("status", pa.string()),
            ("reason", pa.string()),
            ("revision", pa.int64()),
            ("files", pa.list_(FILE_TYPE)),
            ("format", pa.string()),
            ("width", pa.int32()),
            ("height", pa.int32()),
            ("bytes", pa.int64()),
            ("taken", pa.timestamp("us")),
            ("camera", pa.string()),
            ("lens", pa.string()),
            ("latitude", pa.float64()),
            ("longitude", pa.float64()),
            ("iso", pa.int32()),
            ("f_number", pa.float64()),
            ("exposure", pa.float64()),
            ("focal_length", pa.float64()),
            ("thumbnail", pa.binary()),
            *((f"vector_{head}", vector) for head in heads),
            ("region_vectors", pa.list_(vector)),
            ("region_boxes", pa.list_(pa.list_(pa.float32(), 4))),
            ("region_masks", pa.binary()),
            ("grid_h", pa.int16()),
            ("grid_w", pa.int16()),
            *ADDED_COLUMNS,
        ]
    )


def to_table(rows: Sequence[PhotoRow], schema: pa.Schema, dim: int) -> pa.Table:
    """A table of `photo_schema` (with revision 0; a commit sets its own)."""
    columns: dict[str, pa.Array] = file_columns([row.files for row in rows])
    for name in schema.names:
        if name in columns:
            continue
        type_ = schema.field(name).type
        if name.startswith("vector_"):
            head = name.removeprefix("vector_")
            vectors = [row.features.heads[head] if row.features else None for row in rows]
            columns[name] = _fixed(vectors, dim)
        elif name in ("region_vectors", "region_boxes"):
            columns[name] = _nested(rows, name, type_)
        else:
            columns[name] = pa.array([_value(row, name) for row in rows], type_)
    return pa.table(columns, schema=schema)


def with_facts(rows: pa.Table, photos: Sequence[PhotoRow]) -> pa.Table:
    """Rows of the catalog with the facts, notes and thumbnails of `photos`, one for each row, and
    the stamps of their files.
    """
    values = {
        name: pa.array([_value(photo, name) for photo in photos], rows.schema.field(name).type)
        for name in READ_COLUMNS
    }
    files = list[list[FileRef]]()
    for row, photo in zip(rows.select(["files", "stamps"]).to_pylist(), photos, strict=True):
        stamps = {file.path: file.stamp for file in photo.files}
        refs = file_refs(row)
        files.append([ref._replace(stamp=stamps.get(ref.path, ref.stamp)) for ref in refs])
    return with_columns(rows, values | file_columns(files))


def with_columns(rows: pa.Table, columns: Mapping[str, pa.Array]) -> pa.Table:
    """Rows with these columns instead of their own."""
    for name, values in columns.items():
        place = rows.schema.get_field_index(name)
        rows = rows.set_column(place, rows.schema.field(place), values)
    return rows


def unpack_masks(packed: bytes, regions: int, height: int, width: int) -> npt.NDArray[np.bool_]:
    """The masks (R, h, w) of a row's `region_masks`."""
    bits = np.unpackbits(np.frombuffer(packed, np.uint8), count=regions * height * width)
    return bits.reshape(regions, height, width).astype(bool)


def _value(row: PhotoRow, name: str) -> str | int | float | bytes | datetime | list[Any] | None:
    features = row.features
    match name:
        case "status":
            return "failed" if row.reason is not None else "ok"
        case "revision":
            return 0
        case "bytes":
            return row.files[0].size if row.files else None
        case "region_masks":
            return np.packbits(features.masks).tobytes() if features else None
        case "grid_h" | "grid_w":
            return features.masks.shape[1 if name == "grid_h" else 2] if features else None
        case "reader":
            return READER
        case "notes":
            return list(row.notes) or None
        case "keywords":
            return list(row.facts.keywords) or None
        case "id" | "reason" | "format" | "width" | "height" | "thumbnail":
            value: str | int | bytes | None = getattr(row, name)
            return value
        case _:
            fact: str | int | float | datetime | None = getattr(row.facts, name)
            return fact


def _fixed(vectors: Sequence[npt.NDArray[Any] | None], dim: int) -> pa.Array:
    """(N, dim) float16 with nulls."""
    filled = np.zeros((len(vectors), dim), np.float16)
    for index, vector in enumerate(vectors):
        if vector is not None:
            if not np.isfinite(vector).all():
                raise ValueError("the model gave a vector that is not finite")
            filled[index] = vector
    missing = pa.array([vector is None for vector in vectors], pa.bool_())
    return pa.FixedSizeListArray.from_arrays(pa.array(filled.ravel()), dim, mask=missing)


def _nested(rows: Sequence[PhotoRow], name: str, type_: pa.DataType) -> pa.Array:
    """Lists of R vectors or boxes; null for failed photos."""
    size = type_.value_type.list_size
    dtype = np.float16 if name == "region_vectors" else np.float32
    parts, lengths = [np.zeros((0, size), dtype)], []
    for row in rows:
        if row.features is not None:
            values = row.features.regions if name == "region_vectors" else row.features.boxes
            parts.append(np.asarray(values, dtype))
        lengths.append(len(parts[-1]) if row.features is not None else 0)
    flat = pa.FixedSizeListArray.from_arrays(pa.array(np.concatenate(parts).ravel()), size)
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))
    missing = pa.array([row.features is None for row in rows], pa.bool_())
    return pa.ListArray.from_arrays(offsets, flat, type=type_, mask=missing)
