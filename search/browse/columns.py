"""The facts of all photos as in-memory columns, for browsing.

About 100 bytes per photo in numpy arrays; of texts, each different one is kept once. A photo keeps
its row through all updates of the columns; a deleted photo leaves a dead row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from indexer.catalog.table import Catalog
from indexer.fields import FIELDS, written
from indexer.vectors import KeyArray, PointArray, image_point_array, point_array, point_keys

Rows = npt.NDArray[np.int64]
Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
NUMBERS = written("number")
TEXTS = (*written("text"), "type", "folders")
BETWEEN = "\0"  # separates the folders or keywords of a photo; none contains it
MISSING = -1
_PLACE = ("latitude", "longitude")
_COLUMN = {name: FIELDS[name].columns[0] for name in (*written("text"), *NUMBERS)}
_READ = ("id", "status", "files", "format", "taken", *_PLACE, *_COLUMN.values())
_BATCH = 65_536
_LAST = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Texts:
    """A text column: photo i has `values[codes[i]]`, or none where the code is `MISSING`."""

    values: tuple[str, ...]
    codes: Ints


@dataclass(frozen=True, slots=True)
class Columns:
    """N rows, including dead ones. `taken` is NaT, and places and numbers are NaN, where unknown.

    numbers: each of `NUMBERS` (N,). texts: each of `TEXTS`; several of a photo, such as the
    "folders" that hold its files, are joined by `BETWEEN`.
    by_id: all rows in the order of their ids. newest: the live ones by date taken, newest first,
    undated ones last, ties by id. rank: each row's position in that order.
    """

    revision: int
    ids: PointArray
    live: Flags
    taken: npt.NDArray[np.datetime64]
    latitude: Floats
    longitude: Floats
    numbers: Mapping[str, npt.NDArray[np.float32]]
    texts: Mapping[str, Texts]
    by_id: Ints = field(init=False)
    newest: Ints = field(init=False)
    rank: Ints = field(init=False)

    def __post_init__(self) -> None:
        halves = self.ids.view(">u8").reshape(-1, 2).astype(np.uint64)
        by_id = np.lexsort((halves[:, 1], halves[:, 0])).astype(np.int32)
        moments = self.taken.astype(np.int64)
        age = np.where(np.isnat(self.taken), _LAST, -moments)[by_id]
        ordered = by_id[np.argsort(age, kind="stable")]
        rank = np.empty(len(ordered), np.int32)
        rank[ordered] = np.arange(len(ordered), dtype=np.int32)
        for name, value in (
            ("by_id", by_id),
            ("newest", ordered[self.live[ordered]]),
            ("rank", rank),
        ):
            object.__setattr__(self, name, value)

    @classmethod
    def none(cls) -> Columns:
        """No photos, as at revision 0."""
        texts = dict.fromkeys(TEXTS, Texts((), np.empty(0, np.int32)))
        numbers = dict.fromkeys(NUMBERS, np.empty(0, np.float32))
        floats = np.empty(0, np.float64)
        moments = np.empty(0, "datetime64[us]")
        ids, live = np.empty(0, "S16"), np.empty(0, np.bool_)
        return cls(0, ids, live, moments, floats, floats, numbers, texts)

    @property
    def nbytes(self) -> int:
        """The size of the arrays."""
        own = (getattr(self, each.name) for each in fields(self))
        arrays = [array for array in own if isinstance(array, np.ndarray)]
        arrays += [*self.numbers.values(), *(texts.codes for texts in self.texts.values())]
        return sum(array.nbytes for array in arrays)

    def find(self, keys: KeyArray) -> Rows:
        """The row (N,) of each key (N,), live or dead; `MISSING` for an unknown one."""
        if not len(self.ids) or not len(keys):
            return np.full(len(keys), MISSING, np.int64)
        # An image point has the smallest id that a photo with its key can have.
        places = np.searchsorted(self.ids, image_point_array(keys), sorter=self.by_id)
        rows = self.by_id[np.minimum(places, len(self.ids) - 1)].astype(np.int64)
        return np.where(point_keys(self.ids[rows]) == keys, rows, MISSING)


def read_columns(catalog: Catalog, known: Columns, *, all: bool) -> Columns:
    """The catalog's state as an update of the `known` rows.

    all: read every row, and mark rows not among them as dead; otherwise only read changes.
    """
    revision = catalog.revision  # first: later commits are read again next time
    texts = {name: _Vocabulary(known.texts[name].values) for name in TEXTS}
    batches = catalog.changed_since(0 if all else known.revision, _READ, _BATCH)
    parts = [_part(batch, texts) for batch in batches]
    if not parts:
        parts = [_part(pa.RecordBatch.from_pylist([], _schema(catalog)), texts)]
    new = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return _merged(revision, known, new, texts, all)


class _Vocabulary(dict[str, int]):
    """Text -> its code."""

    def __init__(self, values: Iterable[str]) -> None:
        super().__init__((value, code) for code, value in enumerate(values))

    def encode(self, texts: pa.Array) -> Ints:
        """The codes of a column; new texts get a new code."""
        coded = texts.dictionary_encode()
        codes = [self.setdefault(value, len(self)) for value in coded.dictionary.to_pylist()]
        table = np.array([*codes, MISSING], np.int32)  # nulls map to the last entry
        codes_of: Ints = table[coded.indices.fill_null(len(codes)).to_numpy(zero_copy_only=False)]
        return codes_of


def _part(batch: pa.RecordBatch, texts: dict[str, _Vocabulary]) -> dict[str, npt.NDArray[Any]]:
    """The rows of a batch as arrays, with texts as codes."""
    frame = pl.DataFrame(batch.select(["format", "files"])).select(
        pl.col("format").str.to_lowercase().alias("type"), _holders().alias("folders")
    )
    part: dict[str, npt.NDArray[Any]] = {
        name: texts[name].encode(_texts(batch, name)) for name in written("text")
    } | {name: texts[name].encode(frame[name].to_arrow()) for name in frame.columns}
    for name in NUMBERS:
        part[name] = batch[_COLUMN[name]].cast(pa.float32()).to_numpy(zero_copy_only=False)
    for name in ("taken", *_PLACE):
        part[name] = batch[name].to_numpy(zero_copy_only=False)
    nowhere = np.isnan(part["latitude"]) | np.isnan(part["longitude"])
    for name in _PLACE:
        part[name] = np.where(nowhere, np.nan, part[name])
    part["ids"] = point_array(batch["id"].to_pylist())
    part["live"] = (pl.Series(batch["status"]) == "ok").to_numpy()
    return part


def _texts(batch: pa.RecordBatch, name: str) -> pa.Array:
    """A column of texts, or of lists of texts, joined."""
    column = batch[_COLUMN[name]]
    if pa.types.is_list(column.type):
        column = pl.Series(column).list.join(BETWEEN).to_arrow()
    return column


def _holders() -> pl.Expr:
    """The distinct folders that hold the files of each row."""
    holder = pl.element().struct.field("path").str.replace(r"/[^/]*$", "")
    holder = pl.when(holder == "").then(pl.lit("/")).otherwise(holder)
    return pl.col("files").list.eval(holder).list.unique().list.sort().list.join(BETWEEN)


def _merged(
    revision: int,
    known: Columns,
    new: dict[str, npt.NDArray[Any]],
    texts: dict[str, _Vocabulary],
    all: bool,
) -> Columns:
    rows = known.find(point_keys(new["ids"]))
    wanted = new["live"] | (rows != MISSING)  # a failed photo only has a row if it was sound before
    rows, new = rows[wanted], {name: values[wanted] for name, values in new.items()}
    fresh = rows == MISSING
    rows[fresh] = len(known.ids) + np.arange(np.count_nonzero(fresh))

    def merged(name: str, old: npt.NDArray[Any]) -> Any:
        values = np.concatenate([old, np.empty(np.count_nonzero(fresh), old.dtype)])
        values[rows] = new[name]
        return values

    lived = np.zeros_like(known.live) if all else known.live
    return Columns(
        revision,
        merged("ids", known.ids),
        merged("live", lived),
        merged("taken", known.taken),
        merged("latitude", known.latitude),
        merged("longitude", known.longitude),
        numbers={name: merged(name, old) for name, old in known.numbers.items()},
        texts={
            name: Texts(tuple(texts[name]), merged(name, old.codes))
            for name, old in known.texts.items()
        },
    )


def _schema(catalog: Catalog) -> pa.Schema:
    return pa.schema([catalog.schema.field(name) for name in _READ])
