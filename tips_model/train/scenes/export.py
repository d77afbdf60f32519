"""Exports scenes as a Lance training table, or as a COCO-format evaluation set.

The COCO folder contains `images/`, `instances.json` (boxes, masks as uncompressed run lengths,
names) and `captions.json` (per picture the full caption first, then the others).
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tips_model.run_lengths import run_lengths
from tips_model.train.dataset import record_batches, write_table
from tips_model.train.names import write_names
from tips_model.train.scenes.attribution import attribution_text
from tips_model.train.scenes.boxes import visible_boxes
from tips_model.train.scenes.concepts import CONCEPTS, NAMES
from tips_model.train.scenes.drawings import DRAWING_SETS, HELD_OUT
from tips_model.train.scenes.plan import SceneSpec
from tips_model.train.scenes.source import Scenes, SceneSource

_CHUNK = 128  # scenes drawn at once


def write_training_table(
    folder: Path, source: SceneSource, spec: SceneSpec, count: int, size: tuple[int, int]
) -> int:
    """Write a training table of `count` scenes of `size` (height, width); returns its number of
    rows.

    The objects' names are written beside it.
    """
    names = Counter[str]()

    def rows() -> Iterator[dict[str, Any]]:
        for start, scenes in _chunks(source, spec, count, size):
            boxes = visible_boxes(scenes.owner, scenes.plan.concept.shape[1])
            for row in range(len(scenes.web)):
                places = visible_places(scenes, row)
                names.update(NAMES[scenes.plan.concept[row, place]] for place in places)
                yield {
                    "key": f"scene-{start + row:06d}",
                    "image": png(scenes.images[row].transpose(1, 2, 0)),
                    "web": scenes.web[row],
                    "synthetic": scenes.synthetic[row],
                    "objects": [
                        {
                            "name": NAMES[scenes.plan.concept[row, place]],
                            "box": boxes[row, place].tolist(),
                            "mask": png(scenes.owner[row] == place),
                        }
                        for place in places
                    ],
                }

    count = write_table(folder, record_batches(rows()))
    write_names(folder, names, Counter())
    return count


def write_coco(
    folder: Path, source: SceneSource, spec: SceneSpec, count: int, size: tuple[int, int]
) -> int:
    """Write a COCO-format set of `count` scenes of `size` (height, width); returns its number of
    objects.
    """
    (folder / "images").mkdir(parents=True, exist_ok=True)
    images: list[dict[str, Any]] = []
    objects: list[dict[str, Any]] = []
    captions: list[dict[str, Any]] = []
    height, width = size
    for start, scenes in _chunks(source, spec, count, size):
        for row in range(len(scenes.web)):
            number = start + row + 1
            name = f"{number:06d}.png"
            (folder / "images" / name).write_bytes(png(scenes.images[row].transpose(1, 2, 0)))
            images.append({"id": number, "file_name": name, "height": height, "width": width})
            for text in scenes.synthetic[row]:
                captions.append({"id": len(captions) + 1, "image_id": number, "caption": text})
            for place in visible_places(scenes, row):
                mask = scenes.owner[row] == place
                category = int(scenes.plan.concept[row, place]) + 1
                objects.append(_annotation(len(objects) + 1, number, category, mask))
    categories = [
        {"id": index + 1, "name": concept.name, "supercategory": concept.group}
        for index, concept in enumerate(CONCEPTS)
    ]
    instances = {"images": images, "annotations": objects, "categories": categories}
    (folder / "instances.json").write_text(json.dumps(instances), "utf-8")
    texts = {"images": images, "annotations": captions}
    (folder / "captions.json").write_text(json.dumps(texts), "utf-8")
    return len(objects)


def write_attribution(folder: Path, *, held_out: bool) -> None:
    """Write `ATTRIBUTION.md` beside exported scenes, for the drawing sets that they use."""
    sets = [s for s in DRAWING_SETS if (s.family == HELD_OUT) == held_out]
    (folder / "ATTRIBUTION.md").write_text(attribution_text(sets, "These pictures"), "utf-8")


def _chunks(
    source: SceneSource, spec: SceneSpec, count: int, size: tuple[int, int]
) -> Iterator[tuple[int, Scenes]]:
    for start in range(0, count, _CHUNK):
        yield start, source.scenes(spec, min(_CHUNK, count - start), size, key=start)


def visible_places(scenes: Scenes, row: int) -> list[int]:
    """The places of a scene's objects that have at least one visible pixel."""
    places = np.unique(scenes.owner[row])
    return [int(place) for place in places if place >= 0]


def _annotation(number: int, image: int, category: int, mask: NDArray[np.bool_]) -> dict[str, Any]:
    ys, xs = np.nonzero(mask)
    x, y = int(xs.min()), int(ys.min())
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "bbox": [x, y, int(xs.max()) + 1 - x, int(ys.max()) + 1 - y],
        "area": len(xs),
        "iscrowd": 0,
        "segmentation": {"size": list(mask.shape), "counts": run_lengths(mask).tolist()},
    }


def png(pixels: NDArray[Any]) -> bytes:
    """An array (H, W, 3) uint8 or (H, W) bool as PNG bytes."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()
