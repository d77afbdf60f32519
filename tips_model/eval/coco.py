"""COCO-format evaluation data: pictures, captions, and named masks.

Takes `instances.json` and `captions.json` with `images/` in one folder, as `tips scenes coco`
writes them, or COCO's own files under these names. Masks are polygons or uncompressed run lengths;
without one, the annotation's box is used. An annotation's `texts`, if any, describe that object.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from tips_model.errors import TipsError
from tips_model.pictures import open_picture
from tips_model.run_lengths import mask_of_runs


class EvalDataError(TipsError):
    """Evaluation data that is missing or has another format."""


@dataclass(frozen=True, slots=True)
class CocoObject:
    """A named object of a picture: category is an index into `CocoSet.categories`.

    segmentation: polygons or run lengths, None if only the box is known. box: x, y, width and
    height in pixels. texts: referring expressions for this object, if any.
    """

    category: int
    segmentation: Any
    box: tuple[float, float, float, float]
    texts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CocoImage:
    """A picture's file and size, its captions and its objects."""

    path: Path
    width: int
    height: int
    captions: tuple[str, ...]
    objects: tuple[CocoObject, ...]


@dataclass(frozen=True, slots=True)
class CocoSet:
    """All pictures, and the category names in use."""

    images: tuple[CocoImage, ...]
    categories: tuple[str, ...]


def read_coco_set(folder: Path) -> CocoSet:
    """Read a folder; either of the two JSON files may be missing. Raises `EvalDataError`."""
    files = [folder / name for name in ("instances.json", "captions.json")]
    present = [file for file in files if file.is_file()]
    if not present:
        raise EvalDataError(f"{folder} has neither instances.json nor captions.json.")
    try:
        return _assemble(folder, [json.loads(file.read_text("utf-8")) for file in present])
    except (ValueError, KeyError, TypeError) as error:
        raise EvalDataError(f"{folder} is not in COCO's format ({error!r}).") from error


def _assemble(folder: Path, contents: list[dict[str, Any]]) -> CocoSet:
    infos: dict[int, dict[str, Any]] = {}
    captions: dict[int, list[str]] = {}
    objects: dict[int, list[CocoObject]] = {}
    named = {c["id"]: c["name"] for content in contents for c in content.get("categories", ())}
    index = {number: place for place, number in enumerate(sorted(named))}
    for content in contents:
        infos |= {info["id"]: info for info in content["images"]}
        for note in content["annotations"]:
            if "caption" in note:
                captions.setdefault(note["image_id"], []).append(note["caption"])
            elif not note.get("iscrowd"):
                entry = _object(note, index[note["category_id"]])
                objects.setdefault(note["image_id"], []).append(entry)
    images = tuple(
        CocoImage(
            folder / "images" / info["file_name"],
            info["width"],
            info["height"],
            tuple(captions.get(number, ())),
            tuple(objects.get(number, ())),
        )
        for number, info in sorted(infos.items())
    )
    return CocoSet(images, tuple(named[number] for number in sorted(named)))


def _object(note: dict[str, Any], category: int) -> CocoObject:
    x, y, width, height = (float(edge) for edge in note["bbox"])
    segmentation = note.get("segmentation") or None
    return CocoObject(category, segmentation, (x, y, width, height), tuple(note.get("texts", ())))


def fractions(entry: CocoImage, thing: CocoObject) -> tuple[float, float, float, float]:
    """An object's box as x0, y0, x1, y1 fractions of its picture."""
    x, y, width, height = thing.box
    return (
        x / entry.width,
        y / entry.height,
        (x + width) / entry.width,
        (y + height) / entry.height,
    )


def shown_names(data: CocoSet) -> NDArray[np.bool_]:
    """Which names each picture shows: (categories, pictures)."""
    shows = np.zeros((len(data.categories), len(data.images)), bool)
    for number, image in enumerate(data.images):
        shows[[thing.category for thing in image.objects], number] = True
    return shows


def mask_of(image: CocoImage, thing: CocoObject) -> NDArray[np.bool_]:
    """A mask (height, width) from polygons or uncompressed run lengths, or else of the box."""
    segmentation = thing.segmentation
    if segmentation is None:
        x, y, width, height = (round(edge) for edge in thing.box)
        filled = np.zeros((image.height, image.width), bool)
        filled[max(y, 0) : y + max(height, 1), max(x, 0) : x + max(width, 1)] = True
        return filled
    if isinstance(segmentation, dict):
        counts = segmentation["counts"]
        if isinstance(counts, str):
            raise EvalDataError(
                f"{image.path.name} has compressed run lengths; convert its masks to polygons or "
                "plain run lengths."
            )
        return mask_of_runs(counts, image.width, image.height)
    canvas = Image.new("1", (image.width, image.height))
    draw = ImageDraw.Draw(canvas)
    for polygon in segmentation:
        draw.polygon(list(polygon), fill=1)
    return np.asarray(canvas)


def label_map(image: CocoImage) -> NDArray[np.int64]:
    """(height, width) category indices, -1 without an object; later objects cover earlier ones."""
    labels = np.full((image.height, image.width), -1, np.int64)
    for entry in image.objects:
        labels[mask_of(image, entry)] = entry.category
    return labels


def load_pictures(
    images: Sequence[CocoImage], prepare: Callable[[Image.Image], Tensor]
) -> list[Tensor]:
    """Pictures in the model's input format: uint8 (3, H, W), each with its own shape, by its
    `prepare`.
    """
    pictures = []
    for entry in images:
        try:
            with open_picture(entry.path) as picture:
                # Without EXIF orientation: COCO's boxes refer to the stored pixels.
                pictures.append(prepare(picture.convert("RGB")))
        except OSError as error:
            raise EvalDataError(f"{entry.path} cannot be read ({error}).") from error
    return pictures


def fit_labels(labels: NDArray[np.int64], height: int, width: int) -> Tensor:
    """A label map resized by nearest neighbour: (height, width) int64."""
    rows = ((np.arange(height) + 0.5) * labels.shape[0] / height).astype(int)
    columns = ((np.arange(width) + 0.5) * labels.shape[1] / width).astype(int)
    return torch.from_numpy(labels[rows][:, columns])
