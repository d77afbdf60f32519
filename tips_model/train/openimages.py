"""Importer for Open Images: downloaded pictures, and the CSVs of boxes and class names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from tips_model.train.importers import Dropped, Item, Pair, with_things
from tips_model.train.instances import Annotation
from tips_model.train.shards import IMAGE_SUFFIXES
from tips_model.train.source import DataError

_COLUMNS = {
    "ImageID": pl.String, "LabelName": pl.String, "Confidence": pl.Float64, "XMin": pl.Float64,
    "YMin": pl.Float64, "XMax": pl.Float64, "YMax": pl.Float64, "IsGroupOf": pl.Int64,
}  # fmt: skip


def read_open_images(boxes: Path, classes: Path, images: Path) -> Iterator[Item]:
    """The pictures in the folder `images`, by name, with their objects.

    boxes: a CSV of boxes in Open Images format (version 4 or later); boxes around groups are
    skipped. classes: the CSV of its class descriptions. Pictures are named ID.jpg. Raises
    `DataError` for files in another format.
    """
    files = {
        path.stem: path
        for path in sorted(images.iterdir())
        if path.suffix.lower().removeprefix(".") in IMAGE_SUFFIXES
    }
    names = _names(classes)
    objects = _objects(boxes, list(files))
    unknown = objects.join(names, on="LabelName", how="anti")
    if len(unknown):
        raise DataError(f"{classes} does not name the class {unknown['LabelName'][0]} of {boxes}.")
    parts = objects.join(names, on="LabelName", maintain_order="left").partition_by(
        "ImageID", as_dict=True
    )
    for key, path in files.items():
        try:
            pair = Pair(key, path.read_bytes())
        except OSError as error:
            yield Dropped(key, f"file cannot be read ({type(error).__name__})")
            continue
        rows = parts[key,].select("name", "box", "score").rows() if (key,) in parts else []
        yield from with_things(
            pair, [Annotation(name, tuple(box), score) for name, box, score in rows]
        )


def _names(classes: Path) -> pl.DataFrame:
    """Columns LabelName and name."""
    try:
        table = pl.read_csv(classes, has_header=False, infer_schema=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(f"{classes} cannot be read as class descriptions ({error}).") from error
    if table.width != 2:
        raise DataError(
            f"{classes} has {table.width} columns in place of the two of class descriptions."
        )
    return table.rename(dict(zip(table.columns, ("LabelName", "name"), strict=True)))


def _objects(boxes: Path, keys: list[str]) -> pl.DataFrame:
    """Columns ImageID, LabelName, box (x0, y0, x1, y1) and score of the pictures `keys`."""
    try:
        table = pl.scan_csv(boxes, schema_overrides=_COLUMNS)
        missing = [name for name in _COLUMNS if name not in table.collect_schema().names()]
        if missing:
            raise DataError(f"{boxes} lacks the columns {', '.join(missing)} of Open Images.")
        certain = pl.col("Confidence")
        return (
            table.filter(pl.col("ImageID").is_in(keys) & (pl.col("IsGroupOf") != 1))
            .select(
                "ImageID",
                "LabelName",
                pl.concat_list("XMin", "YMin", "XMax", "YMax").alias("box"),
                pl.when(certain < 1).then(certain).alias("score"),
            )
            .collect(engine="streaming")
        )
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(f"{boxes} cannot be read as boxes of Open Images ({error}).") from error
