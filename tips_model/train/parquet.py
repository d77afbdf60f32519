"""Importer for Parquet files with any columns, reading a few rows at a time.

A mapping says which column fills which part of a pair (`column_targets.py`). Everything but the
pictures is read and checked once before the first pair is yielded, so that mistakes are found
before anything is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tips_model.train import columns as read
from tips_model.train.boxes import NO_AREA, BoxForm, BoxUnit, placed_things
from tips_model.train.column_targets import check_columns, check_mapping, check_type, column_of
from tips_model.train.importers import Dropped, Item, Pair
from tips_model.train.source import DataError, Label

_ROWS = 256  # rows read at once
_SCORES = {"labels": "label_scores", "box_names": "box_scores"}
_Part = dict[str, pa.Array]  # the columns of some rows, by target


@dataclass(frozen=True, slots=True)
class ParquetSource:
    """Pairs from Parquet `files`, in their order.

    columns: a column, or `COLUMN.FIELD` of a struct, for some of `TARGETS`; image is required. From
    a list for `web`, training draws one text. Without a key, rows are named by file and number.
    images: the folder of pictures given as paths, else that of their Parquet file. where: an SQL
    condition on the files' columns; other rows are skipped.
    """

    files: Sequence[Path]
    columns: Mapping[str, str]
    label_names: Sequence[str] | None = None
    box_names: Sequence[str] | None = None
    form: BoxForm = "xyxy"
    unit: BoxUnit = "fraction"
    images: Path | None = None
    where: str | None = None

    def __iter__(self) -> Iterator[Item]:
        """The pairs, and boxes without area as `Dropped`.

        Raises `DataError`, before yielding the first pair, for a mapping that does not fit the
        files, and for contents that do not fit their target.
        """
        check_mapping(self.columns)
        for target, listed in self._listed.items():
            if listed is not None and target not in self.columns:
                raise DataError(f"A file of names needs a column mapped to {target}.")
        condition = self._condition()
        width = 0
        for file in self.files:
            for part, _ in self._parts(file, condition, pictures=False):
                width = self._check_part(file, part, width)
        for file in self.files:
            for part, numbers in self._parts(file, condition, pictures=True):
                yield from self._pairs(file, part, numbers)

    def _condition(self) -> pl.Expr | None:
        if self.where is None:
            return None
        try:
            condition = pl.sql_expr(self.where)
        except pl.exceptions.PolarsError as error:
            raise DataError(f"The condition {self.where} cannot be read ({error}).") from error
        if not condition.meta.root_names():
            raise DataError(f"The condition {self.where} names no column.")
        return condition

    def _parts(
        self, file: Path, condition: pl.Expr | None, *, pictures: bool
    ) -> Iterator[tuple[_Part, NDArray[np.int64]]]:
        """The mapped columns of a few rows at a time, and the rows' numbers (B,) from 0."""
        try:
            opened = pq.ParquetFile(file)
            wanted = self._wanted(file, opened.schema_arrow, pictures)
            asked = [] if condition is None else sorted(set(condition.meta.root_names()))
            check_columns(file.name, opened.schema_arrow, asked)
            first = 0
            paths = sorted({*wanted.values(), *asked})
            for batch in opened.iter_batches(_ROWS, columns=paths, use_threads=False):
                numbers = first + np.arange(batch.num_rows)
                first += batch.num_rows
                if condition is not None:
                    met = self._met(batch.select(asked), condition)
                    batch, numbers = batch.filter(pa.array(met)), numbers[met]
                found = {target: column_of(batch, path) for target, path in wanted.items()}
                yield found, numbers
        except (pa.ArrowException, OSError) as error:
            reason = str(error).partition("\n")[0]
            raise DataError(f"{file} cannot be read as Parquet ({reason}).") from error

    @property
    def _listed(self) -> dict[str, Sequence[str] | None]:
        return {"labels": self.label_names, "box_names": self.box_names}

    def _wanted(self, file: Path, schema: pa.Schema, pictures: bool) -> dict[str, str]:
        """The columns to read by target. Raises `DataError` if one is missing or does not fit."""
        check_columns(file.name, schema, self.columns.values())
        for target, path in self.columns.items():
            numbered = self._listed.get(target) is not None
            check_type(file.name, schema, target, path, numbered=numbered)
        return {t: path for t, path in self.columns.items() if pictures or t != "image"}

    def _met(self, batch: pa.RecordBatch, condition: pl.Expr) -> NDArray[np.bool_]:
        """Which rows (B,) satisfy the condition; unknown (NULL) counts as false."""
        frame = pl.DataFrame(pa.Table.from_batches([batch]))
        try:
            met = frame.select(condition).to_series()
        except pl.exceptions.PolarsError as error:
            raise DataError(f"The condition {self.where} does not work ({error}).") from error
        if met.dtype != pl.Boolean:
            raise DataError(f"The condition {self.where} is neither true nor false.")
        return met.fill_null(False).to_numpy()

    def _check_part(self, file: Path, part: _Part, width: int) -> int:
        """Read all but the pictures; returns the width of the features, `width` so far (0:
        unknown).
        """
        self._named(file, part, "labels")
        self._boxes(file, part)
        if "features" not in part:
            return width
        found, _ = read.vectors(part["features"], self._place(file, "features"))
        if width and found.size and found.shape[1] != width:
            raise DataError(
                f"{self._place(file, 'features')} holds vectors of {width} and of "
                f"{found.shape[1]} numbers; all need one width."
            )
        return found.shape[1] if found.size else width

    def _named(
        self, file: Path, part: _Part, target: str
    ) -> tuple[list[str], list[float | None], NDArray[np.int64]]:
        """The names of all rows and their scores, and how many each row (B,) has."""
        count = len(next(iter(part.values())))
        if target not in part:
            return [], [], np.zeros(count, np.int64)
        names, counts = read.names(part[target], self._listed[target], self._place(file, target))
        scored = _SCORES[target]
        if scored not in part:
            return names, [None] * len(names), counts
        return names, read.scores(part[scored], counts, self._place(file, scored)), counts

    def _boxes(
        self, file: Path, part: _Part
    ) -> tuple[NDArray[np.float64], list[str], list[float | None], NDArray[np.int64]]:
        """All boxes (N, 4) as stored, their names and scores, and the row of each."""
        names, scores, counts = self._named(file, part, "box_names")
        boxes = np.zeros((0, 4))
        if "boxes" in part:
            boxes, sizes = read.boxes(part["boxes"], self._place(file, "boxes"))
            if not np.array_equal(sizes, counts):
                raise DataError(f"{self._place(file, 'boxes')} does not have one box a name.")
        return boxes, names, scores, np.repeat(np.arange(len(counts)), counts)

    def _pairs(self, file: Path, part: _Part, numbers: NDArray[np.int64]) -> Iterator[Item]:
        """The pairs of a few rows."""
        pictures = self._pictures(file, part["image"])
        rows = len(numbers)
        none: list[list[str]] = [[] for _ in range(rows)]
        web = read.texts(part["web"]) if "web" in part else none
        synthetic = read.texts(part["synthetic"]) if "synthetic" in part else none
        names, scores, counts = self._named(file, part, "labels")
        labels = read.split(list(map(Label, names, scores)), counts)
        boxes, nouns, certain, owner = self._boxes(file, part)
        contents = [b"" if isinstance(picture, str) else picture for picture in pictures]
        objects, lost = placed_things(nouns, boxes, certain, contents, owner, self.form, self.unit)
        features = self._features(file, part, rows)
        for row, key in enumerate(self._keys(file, part, numbers)):
            picture = pictures[row]
            if isinstance(picture, str):
                yield Dropped(key, picture)
                continue
            yield from [Dropped(key, NO_AREA, corrupt=False)] * lost[row]
            first, *others = web[row] or [""]
            yield Pair(
                key,
                picture,
                web=first,
                webs=tuple(others),
                synthetic=tuple(synthetic[row]),
                objects=tuple(objects[row]),
                labels=tuple(labels[row]),
                features=features[row],
            )

    def _features(self, file: Path, part: _Part, rows: int) -> list[NDArray[np.float16] | None]:
        """The vector of each row that has one."""
        if "features" not in part:
            return [None] * rows
        vectors, present = read.vectors(part["features"], self._place(file, "features"))
        given = iter(vectors)
        return [next(given) if there else None for there in present.tolist()]

    def _keys(self, file: Path, part: _Part, numbers: NDArray[np.int64]) -> list[str]:
        """The key of each row; for rows without one, their file's name and number."""
        same = sum(other.stem == file.stem for other in self.files)
        stem = file.stem if same == 1 else str(file)
        given = part["key"].to_pylist() if "key" in part else [None] * len(numbers)
        return [
            f"{stem}-{number:06d}" if key is None else str(key)
            for key, number in zip(given, numbers.tolist(), strict=True)
        ]

    def _pictures(self, file: Path, column: pa.Array) -> list[bytes | str]:
        """The content of each row's picture, or why there is none."""
        folder = self.images or file.parent
        if pa.types.is_struct(column.type):
            given = {field.name: column.field(field.name) for field in column.type}
            contents, paths = (_values(given.get(part), len(column)) for part in ("bytes", "path"))
            return [_picture(c, p, folder) for c, p in zip(contents, paths, strict=True)]
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            return [_picture(None, path, folder) for path in column.to_pylist()]
        return [_picture(content, None, folder) for content in column.to_pylist()]

    def _place(self, file: Path, target: str) -> str:
        return f"The column {self.columns[target]} of {file.name}"


def _values(column: pa.Array | None, rows: int) -> list[Any]:
    return [None] * rows if column is None else column.to_pylist()


def _picture(content: bytes | None, path: str | None, folder: Path) -> bytes | str:
    """A picture's content, read from its path if not given; or why there is none."""
    if content is not None:
        return content
    if not path:
        return "no picture"
    try:
        return (folder / path).read_bytes()
    except OSError as error:
        return f"file cannot be read ({type(error).__name__})"
