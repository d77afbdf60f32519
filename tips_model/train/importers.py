"""Importers of public data formats into training tables: COCO and file lists; see also `shards.py`.

Every importer yields `Pair`s and `Dropped`s; `import_pairs` writes the pairs, counts the dropped
items by reason, and stops when more items are corrupt than a limit allows.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from PIL import Image

from tips_model.pictures import open_picture
from tips_model.train.boxes import NO_AREA, BoxForm, BoxUnit, placed_things
from tips_model.train.dataset import record_batches, write_table
from tips_model.train.instances import Annotation, coco_name, load_coco, read_instances
from tips_model.train.names import write_names
from tips_model.train.source import DataError, Label, Thing

NO_CAPTION = "no caption"
_TIME = "time of this image"  # a name that no real column has


@dataclass(frozen=True, slots=True)
class Pair:
    """One picture with its captions and other data; `key` identifies it in its source."""

    key: str
    image: bytes
    web: str = ""
    synthetic: tuple[str, ...] = ()
    objects: tuple[Thing, ...] = ()
    labels: tuple[Label, ...] = ()
    features: NDArray[np.float16] | None = field(default=None, compare=False)
    """A teacher's vector (D,) of the picture."""
    webs: tuple[str, ...] = ()
    """More web captions; training draws one of all of them."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """A dropped item. Only `corrupt` ones count against the limit."""

    key: str
    reason: str
    corrupt: bool = True


Item = Pair | Dropped


@dataclass(slots=True)
class ImportReport:
    """How many rows were written, how many items were corrupt, and what was dropped."""

    rows: int = 0
    corrupt: int = 0
    features: int = 0
    """How many of the rows have a teacher's vector."""
    _dropped: list[Dropped] = field(default_factory=list)

    @property
    def dropped(self) -> pl.DataFrame:
        """One row for each dropped item: key, reason, corrupt."""
        schema = {"key": pl.String, "reason": pl.String, "corrupt": pl.Boolean}
        data = [(item.key, item.reason, item.corrupt) for item in self._dropped]
        return pl.DataFrame(data, schema=schema, orient="row")

    def summary(self) -> pl.DataFrame:
        """How often each reason occurred, most frequent first."""
        counts = self.dropped.group_by("reason").len("count")
        return counts.sort(["count", "reason"], descending=[True, False])

    def add(self, item: Dropped, limit: int) -> None:
        """Record a dropped item. Raises `DataError` when more are corrupt than `limit`."""
        self._dropped.append(item)
        self.corrupt += item.corrupt
        if self.corrupt > limit:
            raise DataError(
                f"{self.corrupt} items are corrupt, more than the limit of {limit}; the last was "
                f"{item.key}: {item.reason}."
            )


def import_pairs(
    items: Iterable[Item],
    folder: Path,
    *,
    limit: int = 100,
    progress: Callable[[int], None] | None = None,
) -> ImportReport:
    """Write pairs to the table in `folder`, and dropped items to `dropped.csv` beside it.

    Pairs without any caption, object or label and unreadable pictures are dropped. The names of
    objects and labels are written beside the table. `progress` is called with the number of rows so
    far.
    """
    report = ImportReport()
    objects, labels = Counter[str](), Counter[str]()

    def rows() -> Iterator[dict[str, Any]]:
        for item in items:
            checked = check(item)
            if isinstance(checked, Dropped):
                report.add(checked, limit)
                continue
            report.rows += 1
            report.features += checked.features is not None
            objects.update(thing.name for thing in checked.objects)
            labels.update(label.name for label in checked.labels)
            if progress is not None:
                progress(report.rows)
            yield {
                "key": checked.key,
                "image": checked.image,
                "web": checked.web or None,
                "webs": list(checked.webs) or None,
                "synthetic": list(checked.synthetic),
                "objects": [thing._asdict() for thing in checked.objects] or None,
                "labels": [label._asdict() for label in checked.labels] or None,
                "features": checked.features,
            }

    folder.mkdir(parents=True, exist_ok=True)
    write_table(folder, record_batches(rows()))
    report.dropped.write_csv(folder / "dropped.csv")
    write_names(folder, objects, labels)
    return report


def check(item: Item) -> Item:
    """The item with empty captions removed, or why it cannot be used."""
    if isinstance(item, Dropped):
        return item
    web, *webs = _cleaned((item.web, *item.webs)) or ("",)
    synthetic = _cleaned(item.synthetic)
    if not (web or synthetic or item.objects or item.labels):
        return Dropped(item.key, NO_CAPTION, corrupt=False)
    try:
        with open_picture(item.image) as image:
            image.verify()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        kind = type(error).__name__
        return Dropped(item.key, f"picture cannot be read ({kind})")
    return replace(item, web=web, webs=tuple(webs), synthetic=synthetic)


def _cleaned(texts: Iterable[str]) -> tuple[str, ...]:
    """Texts with whitespace collapsed, without empty ones."""
    return tuple(filter(None, (" ".join(text.split()) for text in texts)))


def texts_of(value: Any) -> tuple[str, ...]:
    """One text, several or none as a tuple. Raises `ValueError` for anything else."""
    if value is None:
        return ()
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str | None) for text in texts):
        raise ValueError("the synthetic captions are neither a text nor a list of texts")
    return tuple(text for text in texts if text is not None)


def read_coco(captions: Path, images: Path, instances: Sequence[Path] = ()) -> Iterator[Item]:
    """COCO captions: a JSON of `images` and `annotations`, and the folder of the pictures.

    People wrote these captions while looking, so they count as synthetic ones. `instances` are JSON
    files with boxes for the same pictures, as in COCO or LVIS; `captions` may be one of these.
    Raises `DataError` if a file has another format.
    """
    try:
        content = json.loads(captions.read_text("utf-8"))
        files = {int(image["id"]): coco_name(image) for image in content["images"]}
        texts: dict[int, list[Any]] = {}
        for note in content["annotations"]:
            if "bbox" not in note:
                texts.setdefault(int(note["image_id"]), []).append(note["caption"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{captions} is not a COCO caption file ({error}).") from error
    boxes = read_instances(content, captions)
    del content
    for file in instances:
        for number, more in read_instances(load_coco(file), file).items():
            boxes.setdefault(number, []).extend(more)
    for number, name in files.items():
        try:
            synthetic = texts_of(texts.get(number))
        except ValueError as error:
            yield Dropped(name, f"captions cannot be read ({error})")
            continue
        item = _from_file(images / name, name, "", synthetic)
        yield from with_things(item, boxes.get(number, []), "xywh", "pixel")


def with_things(
    item: Item, given: Sequence[Annotation], form: BoxForm = "xyxy", unit: BoxUnit = "fraction"
) -> Iterator[Item]:
    """A pair with the objects given for its picture, preceded by its boxes without area as
    `Dropped`.
    """
    if isinstance(item, Pair) and given:
        owner = np.zeros(len(given), np.int64)
        names, boxes, scores = zip(*given, strict=True)
        array = np.array(boxes, np.float64).reshape(-1, 4)
        (things,), (lost,) = placed_things(names, array, scores, [item.image], owner, form, unit)
        yield from [Dropped(item.key, NO_AREA, corrupt=False)] * lost
        item = replace(item, objects=tuple(things))
    yield item


def read_list(listing: Path, images: Path | None = None) -> Iterator[Item]:
    """A CSV or JSON-lines list with the columns `image`, `caption` and optionally `synthetic`.

    `image` is a path relative to `images`, else to the list's own folder; `synthetic` in a CSV is
    one caption. A repeated picture gets the key `NAME#2`, and so on. Raises `DataError` if the list
    cannot be read or lacks a column.
    """
    folder = images or listing.parent
    try:
        if listing.suffix.lower() == ".csv":
            table = pl.read_csv(listing, infer_schema=False)
        else:
            table = pl.read_ndjson(listing)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(f"{listing} cannot be read as a list of pairs ({error}).") from error
    if not {"image", "caption"} <= set(table.columns):
        raise DataError(
            f"{listing} needs the columns image and caption; it has {', '.join(table.columns)}."
        )
    table = table.with_columns(pl.int_range(1, pl.len() + 1).over("image").alias(_TIME))
    for row in table.iter_rows(named=True):
        name = str(row["image"])
        key = name if row[_TIME] == 1 else f"{name}#{row[_TIME]}"
        try:
            texts = texts_of(row.get("synthetic"))
        except ValueError as error:
            yield Dropped(key, f"captions cannot be read ({error})")
            continue
        yield _from_file(folder / name, key, str(row["caption"] or ""), texts)


def _from_file(path: Path, key: str, web: str, synthetic: tuple[str, ...]) -> Item:
    try:
        return Pair(key, path.read_bytes(), web, synthetic)
    except OSError as error:
        return Dropped(key, f"file cannot be read ({type(error).__name__})")
