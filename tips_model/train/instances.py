"""Reader for boxes in COCO instance files, and in the same format such as LVIS."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tips_model.train.source import DataError


class Annotation(NamedTuple):
    """An object as in the data set; the box has the data set's form and unit."""

    name: str
    box: tuple[float, ...]
    score: float | None = None


def load_coco(file: Path) -> Any:
    """The content of a JSON file. Raises `DataError` if it cannot be read."""
    try:
        return json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{file} cannot be read as COCO's JSON ({error}).") from error


def coco_name(image: Mapping[str, Any]) -> str:
    """The file name of an entry of `images`; LVIS gives only its original URL."""
    return str(image.get("file_name") or str(image["coco_url"]).rpartition("/")[2])


def read_instances(content: Any, file: Path) -> dict[int, list[Annotation]]:
    """The single objects by picture id, with boxes x, y, width, height in pixels.

    Raises `DataError` if the content of `file` has another format.
    """
    found: dict[int, list[Annotation]] = {}
    try:
        names = {
            category["id"]: " ".join(category["name"].replace("_", " ").split())
            for category in content.get("categories", ())
        }
        for note in content["annotations"]:
            if "bbox" in note and not note.get("iscrowd"):
                x, y, width, height = (float(side) for side in note["bbox"])
                thing = Annotation(
                    names[note["category_id"]], (x, y, width, height), note.get("score")
                )
                found.setdefault(int(note["image_id"]), []).append(thing)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{file} is not a COCO instance file ({error!r}).") from error
    return found
