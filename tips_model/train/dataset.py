"""A training set on disk: a Lance table of pictures with captions, and its reading in training.

One row is one picture: its bytes as they came, the web caption, any number of synthetic captions,
and optionally the objects in it (name, box, mask). Rows are read in a shuffled order that is a pure
function of (seed, stage, step), so that a resumed run goes on with the very next items; the order
needs no memory however many rows there are.
"""

from __future__ import annotations

import io
import logging
import threading
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import lancedb
import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from tips_model.errors import TipsError
from tips_model.train.config import Stage
from tips_model.train.source import RawBatch

TABLE = "pairs"
SCHEMA = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("image", pa.large_binary(), nullable=False),
        pa.field("web", pa.string()),
        pa.field("synthetic", pa.list_(pa.string()), nullable=False),
        pa.field(
            "objects",
            pa.list_(
                pa.struct(
                    [
                        pa.field("name", pa.string()),
                        # x0, y0, x1, y1 as fractions of width and height
                        pa.field("box", pa.list_(pa.float32(), 4)),
                        pa.field("mask", pa.binary()),  # a one-bit PNG of the picture's size
                    ]
                )
            ),
        ),
    ]
)
"""Columns of the table. `web` may be null and `synthetic` empty, but not both in one row."""

_log = logging.getLogger(__name__)


class DataError(TipsError):
    """Training data that is missing, damaged beyond the limit, or of another form."""


def write_table(folder: Path, batches: Iterable[pa.RecordBatch]) -> int:
    """Make (or replace) the table in `folder` from batches of `SCHEMA`; returns its rows.

    What making the batches raises comes out as it is; then nothing has been written.
    """
    failures: list[Exception] = []

    def watched() -> Iterator[pa.RecordBatch]:
        try:
            yield from batches
        except Exception as error:  # kept, because Arrow passes on its text only
            failures.append(error)
            raise

    reader = pa.RecordBatchReader.from_batches(SCHEMA, watched())
    try:
        table = lancedb.connect(folder).create_table(TABLE, reader, mode="overwrite")
    except (RuntimeError, OSError, ValueError):
        if failures:
            raise failures[0] from None
        raise
    return int(table.count_rows())


def open_table(folder: Path) -> Any:
    """The Lance table in `folder`. Raises `DataError` if there is none."""
    if not (folder / f"{TABLE}.lance").is_dir():
        raise DataError(f"{folder} holds no training table; make one with `tips data`.")
    return lancedb.connect(folder).open_table(TABLE)


def record_batches(rows: Iterable[dict[str, Any]], size: int = 256) -> Iterator[pa.RecordBatch]:
    """Rows as dictionaries, collected into record batches of `SCHEMA`."""
    part: list[dict[str, Any]] = []
    for row in rows:
        part.append(row)
        if len(part) == size:
            yield pa.RecordBatch.from_pylist(part, schema=SCHEMA)
            part = []
    if part:
        yield pa.RecordBatch.from_pylist(part, schema=SCHEMA)


def shuffled(index: NDArray[np.int64], count: int, key: int) -> NDArray[np.int64]:
    """The images of indices in [0, count) under the permutation named by `key`.

    A four-round Feistel network on the next power of four, walked until the result is below
    `count` (Black and Rogaway 2002): a bijection, without a table.
    """
    bits = max(1, (int(count - 1).bit_length() + 1) // 2)
    low = np.uint64((1 << bits) - 1)
    rounds = np.random.default_rng(key).integers(1 << 62, size=4, dtype=np.uint64)

    def step(value: NDArray[np.uint64]) -> NDArray[np.uint64]:
        left, right = value >> np.uint64(bits), value & low
        for number in rounds:
            left, right = right, left ^ (_mix(right + number) & low)
        mixed: NDArray[np.uint64] = (left << np.uint64(bits)) | right
        return mixed

    value = step(index.astype(np.uint64))
    while (outside := value >= np.uint64(count)).any():
        value[outside] = step(value[outside])
    return value.astype(np.int64)


def _mix(value: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of splitmix64 (Steele, Lea and Flood 2014)."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


class TableSource:
    """Training pairs from a table; see `Source`.

    A picture that cannot be decoded is named in the log, counted, and replaced by another row; more
    than `bad_limit` of them end the run with a `DataError`.
    """

    def __init__(self, folder: Path, *, seed: int = 0, bad_limit: int = 100) -> None:
        self._table = open_table(folder)
        self._folder = folder
        self._count = int(self._table.count_rows())
        if not self._count:
            raise DataError(f"The training table in {folder} is empty; import pairs into it.")
        self._seed = seed
        self._bad_limit = bad_limit
        self._bad: set[str] = set()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self._count

    def batch(self, stage: Stage, step: int, rank: int, world: int, size: int) -> RawBatch:
        """The items of a process in a step; every row comes once before any comes again."""
        first = (step * world + rank) * size
        offsets = self._offsets(stage, np.arange(first, first + size))
        rows = self._rows(offsets)
        images, web, synthetic = [], [], []
        for offset in offsets.tolist():
            row, image = self._decoded(rows, offset, stage.resolution)
            own = [caption for caption in row["synthetic"] if caption]
            web.append(row["web"] or own[0])
            synthetic.append(own or [row["web"]])
            images.append(image)
        return RawBatch(images, web, synthetic)

    def _offsets(self, stage: Stage, items: NDArray[np.int64]) -> NDArray[np.int64]:
        """Row numbers of a stage's items: a new permutation in each pass over the data."""
        result = np.empty_like(items)
        passes = items // self._count
        for number in np.unique(passes):
            inside = passes == number
            key = zlib.crc32(f"{self._seed}/{stage.name}/{number}".encode())
            result[inside] = shuffled(items[inside] % self._count, self._count, key)
        return result

    def _rows(self, offsets: NDArray[np.int64]) -> dict[int, dict[str, Any]]:
        wanted = np.unique(offsets)  # the table answers in the order of its rows
        query = self._table.take_offsets(wanted.tolist())
        found = query.select(["key", "image", "web", "synthetic"]).to_arrow().to_pylist()
        return dict(zip(wanted.tolist(), found, strict=True))

    def _decoded(
        self, rows: dict[int, dict[str, Any]], offset: int, resolution: int
    ) -> tuple[dict[str, Any], Tensor]:
        """The row at `offset` with its picture, or the next row whose picture can be decoded."""
        row = rows[offset]
        for _ in range(self._count):
            try:
                return row, decode(row["image"], resolution)
            except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
                self._report(row["key"], error)
            offset = (offset + 1) % self._count
            row = rows.get(offset) or self._rows(np.array([offset]))[offset]
        raise DataError(f"No picture of the training table in {self._folder} can be decoded.")

    def _report(self, key: str, error: Exception) -> None:
        with self._lock:
            if key in self._bad:
                return
            self._bad.add(key)
            count = len(self._bad)
        _log.warning("skipped picture %s, which cannot be decoded: %s", key, error)
        if count > self._bad_limit:
            raise DataError(
                f"{count} pictures of {self._folder} cannot be decoded, more than the limit of "
                f"{self._bad_limit}; the last was {key}. Import the data again."
            )


def decode(content: bytes, resolution: int) -> Tensor:
    """A picture as uint8 (3, h, w), reduced while its shorter side stays 2 x `resolution`."""
    with Image.open(io.BytesIO(content)) as image:
        enough = 2 * resolution
        image.draft("RGB", (enough, enough))
        picture = image.convert("RGB")
    scale = enough / min(picture.size)
    if scale < 1:
        width, height = (max(1, round(side * scale)) for side in picture.size)
        picture = picture.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=2.0)
    return torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1).contiguous()
