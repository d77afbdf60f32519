"""The training table: a Lance table of pictures with captions, and its shuffled, resumable reader.

One row is one picture: its original bytes, the web caption, any number of synthetic captions, and
optionally the objects in it (name, box, mask), labels of the whole picture, and a teacher's vector.
Rows are read in a shuffled order that is a pure function of (seed, stage, step), so that a resumed
run continues with the very next items; the order needs no memory however many rows there are.
"""

from __future__ import annotations

import logging
import sys
import threading
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import lancedb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from tips_model.pictures import open_picture, upright_rgb
from tips_model.train.config import Stage, TrainConfig
from tips_model.train.source import BadItems, DataError, Label, RawBatch, Thing
from tips_model.train.supervision import Given, read_given

TABLE = "pairs"
SCHEMA = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("image", pa.large_binary(), nullable=False),
        pa.field("web", pa.string()),
        pa.field("webs", pa.list_(pa.string())),  # more web captions; training draws one of all
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
                        pa.field("score", pa.float32()),  # a probability; null means certain
                    ]
                )
            ),
        ),
        # names of the whole picture with their probabilities; null means certain
        pa.field(
            "labels",
            pa.list_(pa.struct([pa.field("name", pa.string()), pa.field("score", pa.float32())])),
        ),
        pa.field("features", pa.list_(pa.float16())),  # a teacher's vector of the picture
    ]
)
"""Columns of the table. `web` may be null and `synthetic` empty; a row without either has objects
or labels, from which `tips data describe` makes captions. Older tables lack `webs`, the last two
columns and the objects' scores.
"""

HELD = 1 << 30
"""Tables up to this size on disk, in bytes, are held in memory."""

_log = logging.getLogger(__name__)


def write_table(folder: Path, batches: Iterable[pa.RecordBatch]) -> int:
    """Create (or replace) the table in `folder` from batches of `SCHEMA`; returns its number of
    rows.

    Exceptions of the batch iterator propagate unchanged; then nothing has been written.
    """
    failures: list[Exception] = []

    def watched() -> Iterator[pa.RecordBatch]:
        try:
            yield from batches
        except Exception as error:  # kept, because Arrow only passes on its text
            failures.append(error)
            raise

    reader = pa.RecordBatchReader.from_batches(SCHEMA, watched())
    # Lance warns when it overwrites a table that does not exist.
    mode = "overwrite" if (folder / f"{TABLE}.lance").is_dir() else "create"
    try:
        table = lancedb.connect(folder).create_table(TABLE, reader, mode=mode)
    except (RuntimeError, OSError, ValueError):
        if failures:
            raise failures[0] from None
        raise
    return int(table.count_rows())


def open_table(folder: Path) -> Any:
    """The Lance table in `folder`. Raises `DataError` if there is none, or it is damaged."""
    check_table(folder)
    try:
        return lancedb.connect(folder).open_table(TABLE)
    except Exception as error:  # Lance's readers raise many kinds of exceptions
        raise DataError(
            f"The training table in {folder} cannot be opened, import it again ({_short(error)})."
        ) from error


def check_table(folder: Path) -> None:
    """Raises `DataError` if `folder` holds no training table; opens nothing."""
    if not (folder / f"{TABLE}.lance").is_dir():
        raise DataError(f"{folder} holds no training table; create one with `tips data`.")


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
    """The images of indices in [0, count) under the permutation identified by `key`.

    A four-round Feistel network on the next power of four, cycle-walked until the result is below
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

    Rows in damaged parts of the table, or with undecodable pictures, are logged, counted in `bad`,
    and replaced by the next row; more than `bad_limit` of them end the run with a `DataError`.
    """

    def __init__(self, folder: Path, *, seed: int = 0, bad_limit: int = 100) -> None:
        self._table = open_table(folder)
        self._folder = folder
        rows = int(self._table.count_rows())
        if not rows:
            raise DataError(f"The training table in {folder} is empty; import pairs into it.")
        self._silent = self._without_caption()
        self._count = rows - len(self._silent)
        if not self._count:
            raise DataError(
                f"No row of the training table in {folder} has a caption; `tips data describe "
                f"{folder}` makes them from labels and boxes."
            )
        self._columns = [
            name
            for name in (
                "key",
                "image",
                "web",
                "webs",
                "synthetic",
                "objects",
                "labels",
                "features",
            )
            if name in self._table.schema.names
        ]
        self._seed = seed
        self.given: Given | None = None
        """Names and vectors beside the table, once they are read."""
        self.bad = BadItems(bad_limit, str(folder))
        self._lost: set[int] = set()  # rows that the table cannot give
        self._held = self._hold()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self._count

    def _without_caption(self) -> NDArray[np.int64]:
        """The rows that have labels or boxes but no caption, which training skips; their number is
        printed on stderr. A table without labels has none: its importer dropped them."""
        if "labels" not in self._table.schema.names:
            return np.empty(0, np.int64)
        try:
            query = self._table.search().select(["web", "synthetic"]).limit(None)
            told = query.to_arrow()
        except Exception:  # damaged: each bad row is reported when it is read
            return np.empty(0, np.int64)
        silent = pc.and_(
            pc.equal(pc.fill_null(told["web"], ""), ""),
            pc.equal(pc.fill_null(pc.list_value_length(told["synthetic"]), 0), 0),
        )
        found = np.flatnonzero(silent.to_numpy())
        if len(found):
            say = f"{len(found)} of {len(told)} rows in {self._folder} have no caption"
            print(f"{say} and are left out.", file=sys.stderr, flush=True)
        return found

    def _hold(self) -> pa.Table | None:
        """A small table, held in memory as a whole: each read from disk costs a quarter of a
        second, however few rows it returns. None for a large table, and for a damaged one, whose
        good rows are read one by one."""
        files = (self._folder / f"{TABLE}.lance").rglob("*")
        if sum(file.stat().st_size for file in files if file.is_file()) > HELD:
            return None
        try:
            found = self._table.search().select(self._columns).limit(None).to_arrow()
            return found.combine_chunks()
        except Exception:  # any reader error; each lost row is reported later
            return None

    def read_given(self, config: TrainConfig) -> None:
        """Read the names and vectors that a run's losses need; see `supervision.read_given`."""
        self.given = read_given(self._folder, self._table, config)

    def batch(self, stage: Stage, step: int, rank: int, world: int, size: int) -> RawBatch:
        """The items of a process in a step; every row occurs once before any is repeated."""
        first = (step * world + rank) * size
        offsets = self._offsets(stage, np.arange(first, first + size))
        rows = self._rows(offsets.tolist())
        items = [self._readable(rows, offset, stage.resolution) for offset in offsets.tolist()]
        return RawBatch(
            images=[item.image for item in items],
            web=[item.web for item in items],
            synthetic=[item.synthetic for item in items],
            webs=[item.webs for item in items],
            things=[item.things for item in items],
            labels=[item.labels for item in items],
            features=[item.features for item in items],
        )

    def _offsets(self, stage: Stage, items: NDArray[np.int64]) -> NDArray[np.int64]:
        """Row numbers of a stage's items: a new permutation in each pass over the data."""
        result = np.empty_like(items)
        passes = items // self._count
        for number in np.unique(passes):
            inside = passes == number
            key = zlib.crc32(f"{self._seed}/{stage.name}/{number}".encode())
            result[inside] = shuffled(items[inside] % self._count, self._count, key)
        # The n-th row with a caption has index n plus the number of skipped rows before it.
        before = self._silent - np.arange(len(self._silent))
        return result + np.searchsorted(before, result, side="right")

    def _rows(self, offsets: Iterable[int]) -> dict[int, dict[str, Any]]:
        """The readable rows; the others are reported."""
        wanted = sorted(set(offsets) - self._lost)  # the table returns rows in its own order
        if not wanted:
            return {}
        try:
            found = (
                self._table.take_offsets(wanted).select(self._columns).to_arrow()
                if self._held is None
                else self._held.take(pa.array(wanted))
            )
            return dict(zip(wanted, found.to_pylist(), strict=True))
        except Exception as error:  # Lance and Arrow raise many kinds of exceptions
            if len(wanted) > 1:
                return {k: v for offset in wanted for k, v in self._rows([offset]).items()}
            with self._lock:
                self._lost.add(wanted[0])
            self._report(f"row {wanted[0]}", error)
            return {}

    def _readable(self, rows: dict[int, dict[str, Any]], offset: int, resolution: int) -> _Item:
        """The item at `offset`, or of the next readable row."""
        for _ in range(self._count):
            row = rows.get(offset) or self._rows([offset]).get(offset)
            if row is not None:
                try:
                    return _item(row, resolution)
                except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
                    self._report(row["key"] or f"row {offset}", error)
            offset = (offset + 1) % (self._count + len(self._silent))
        raise DataError(f"None of the {self._count} rows in {self._folder} can be read.")

    def _report(self, name: str, error: Exception) -> None:
        if self.bad.add(name):
            _log.warning("skipped %s, which cannot be read: %s", name, _short(error))


class _Item(NamedTuple):
    """One picture with its captions and other data, ready for a batch."""

    image: Tensor
    web: str
    webs: list[str]
    synthetic: list[str]
    things: list[Thing]
    labels: list[Label]
    features: NDArray[np.float32] | None


def _item(row: dict[str, Any], resolution: int) -> _Item:
    """A row as an item; a caption of a missing kind is taken from the other kind."""
    synthetic = [caption for caption in row["synthetic"] or () if caption]
    web = [caption for caption in (row["web"], *(row.get("webs") or ())) if caption]
    if not (web or synthetic) or not row["image"]:
        raise ValueError("it has no caption or no picture")
    features = row.get("features")
    return _Item(
        image=decode(row["image"], resolution),
        web=(web or synthetic)[0],
        webs=(web or synthetic)[1:],
        synthetic=synthetic or web,
        things=[
            Thing(thing["name"], tuple(thing["box"]), score=thing.get("score"))
            for thing in row.get("objects") or ()
        ],
        labels=[Label(label["name"], label["score"]) for label in row.get("labels") or ()],
        features=None if features is None else np.asarray(features, np.float32),
    )


def _short(error: Exception) -> str:
    """An error message in one line, without the paths of Lance's sources."""
    return str(error).partition(", /")[0].partition("\n")[0] or type(error).__name__


def decode(content: bytes, resolution: int) -> Tensor:
    """A picture as uint8 (3, h, w), upright, reduced as long as its shorter side stays 2 x
    `resolution`.

    Transparent areas become white.
    """
    with open_picture(content) as image:
        enough = 2 * resolution
        image.draft("RGB", (enough, enough))
        picture = upright_rgb(image)
    scale = enough / min(picture.size)
    if scale < 1:
        width, height = (max(1, round(side * scale)) for side in picture.size)
        picture = picture.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=2.0)
    return torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1).contiguous()
