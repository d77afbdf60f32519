"""Exports a training table as a COCO-format folder for evaluation: pictures, objects
and captions.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import ExifTags, Image

from tips_model.pictures import open_picture, upright_rgb
from tips_model.run_lengths import run_lengths
from tips_model.train.dataset import open_table
from tips_model.train.source import DataError

CaptionKind = Literal["all", "web", "synthetic"]
_ROWS = 128  # rows read at once
_NEEDED = ("key", "image", "web", "webs", "synthetic", "objects")


@dataclass(slots=True)
class WrittenFolder:
    """How many pictures, objects and captions were written, and the keys of broken pictures."""

    images: int = 0
    objects: int = 0
    captions: int = 0
    broken: list[str] = field(default_factory=list)


def write_coco_folder(
    table: Path,
    out: Path,
    *,
    min_score: float = 0.0,
    captions: CaptionKind = "all",
    progress: Callable[[int], None] | None = None,
) -> WrittenFolder:
    """Write the rows of the table in folder `table` to `out`, a new or empty folder.

    Objects with a score below `min_score` are left out. Pictures keep their bytes, except those
    with an EXIF rotation: they are saved upright, to match boxes and masks. Unreadable pictures are
    left out. `progress` is called with the number of rows so far. Raises `DataError` if `out` is
    not empty.
    """
    if out.is_dir() and any(out.iterdir()):
        raise DataError(f"{out} is not empty; choose a new folder.")
    rows = _rows(table)
    (out / "images").mkdir(parents=True, exist_ok=True)
    report = WrittenFolder()
    infos: list[dict[str, Any]] = []
    objects: list[dict[str, Any]] = []
    texts: list[dict[str, Any]] = []
    categories: dict[str, int] = {}
    for number, row in enumerate(rows, 1):
        try:
            content, suffix, width, height = _upright(row["image"])
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
            report.broken.append(row["key"])
            continue
        name = f"{number:06d}.{suffix}"
        (out / "images" / name).write_bytes(content)
        info = {"id": number, "file_name": name, "width": width, "height": height}
        infos.append(info | {"key": row["key"]})
        for text in _captions(row, captions):
            texts.append({"id": len(texts) + 1, "image_id": number, "caption": text})
        for thing in row["objects"] or ():
            score = thing.get("score")
            if score is not None and score < min_score:
                continue
            category = categories.setdefault(thing["name"], len(categories) + 1)
            note = {"id": len(objects) + 1, "image_id": number, "category_id": category}
            objects.append(
                note | _shape(thing, width, height) | ({} if score is None else {"score": score})
            )
        if progress is not None:
            progress(number)
    named = [{"id": number, "name": name} for name, number in categories.items()]
    _write(out / "instances.json", infos, objects, categories=named)
    _write(out / "captions.json", infos, texts)
    report.images, report.objects, report.captions = len(infos), len(objects), len(texts)
    return report


def _rows(folder: Path) -> Iterator[dict[str, Any]]:
    """The rows of a table in their order, with the columns that an older table has."""
    table = open_table(folder)
    columns = [name for name in _NEEDED if name in table.schema.names]
    found = table.search().select(columns).limit(table.count_rows())
    return (row for batch in found.to_batches(_ROWS) for row in batch.to_pylist())


def _captions(row: dict[str, Any], kind: CaptionKind) -> list[str]:
    web = [row["web"], *(row.get("webs") or ())] if kind != "synthetic" else []
    synthetic = row["synthetic"] if kind != "web" else []
    return [text for text in (*web, *synthetic) if text]


def _upright(content: bytes) -> tuple[bytes, str, int, int]:
    """An upright picture's bytes, file suffix, width and height."""
    with open_picture(content) as image:
        if image.getexif().get(ExifTags.Base.Orientation, 1) == 1:
            image.verify()
            return content, str(image.format).lower().replace("jpeg", "jpg"), *image.size
        turned = upright_rgb(image)
    out = io.BytesIO()
    turned.save(out, "PNG")
    return out.getvalue(), "png", *turned.size


def _shape(thing: dict[str, Any], width: int, height: int) -> dict[str, Any]:
    """Box and area in pixels, and the mask as run lengths if there is one."""
    x0, y0, x1, y1 = thing["box"]
    sides = ((x1 - x0) * width, (y1 - y0) * height)
    shape: dict[str, Any] = {
        "bbox": [round(side, 2) for side in (x0 * width, y0 * height, *sides)],
        "area": round(sides[0] * sides[1], 2),
        "iscrowd": 0,
    }
    if thing["mask"] is not None:
        with Image.open(io.BytesIO(thing["mask"]), formats=("PNG",)) as image:
            mask = np.asarray(image.convert("1"))
        shape["area"] = int(mask.sum())
        counts = run_lengths(mask).tolist()
        shape["segmentation"] = {"size": list(mask.shape), "counts": counts}
    return shape


def _write(
    file: Path, images: list[dict[str, Any]], annotations: list[dict[str, Any]], **more: Any
) -> None:
    file.write_text(json.dumps({"images": images, "annotations": annotations} | more), "utf-8")
