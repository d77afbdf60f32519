"""All evaluators on one COCO-format set: `evaluate(model, data)` gives a polars table.

Tasks: `names` (is the nearest name one of the picture's), `retrieval` (captions and pictures, both
CLS tokens), `pointing` and `segmentation` (patches against names), `knn` (largest object by its
picture's vector) and `probe` (linear classifier on patches). The last two learn from the even
pictures and are scored on the odd ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import get_args

import numpy as np
import polars as pl
import torch
from torch import Tensor

from tips_model.embedder import group_by_size
from tips_model.eval.coco import (
    CocoSet,
    EvalDataError,
    fit_labels,
    label_map,
    load_pictures,
    mask_of,
)
from tips_model.eval.encode import PatchKind, encode_images, encode_texts
from tips_model.eval.knn import knn_accuracy
from tips_model.eval.linear_probe import linear_probe, patch_labels
from tips_model.eval.pointing import Questions, centred, pointing
from tips_model.eval.retrieval import caption_recall, recall
from tips_model.eval.segmentation import Confusion, class_scores, window_scores
from tips_model.model import TIPS
from tips_model.preprocess import prepare
from tips_model.templates import TEMPLATES

PATCH_KINDS: tuple[PatchKind, ...] = get_args(PatchKind)


@dataclass(frozen=True, slots=True)
class Encoded:
    """A set seen by a model.

    pictures: N of uint8 (3, H, W); labels: N maps (H, W) of categories or -1; cls_web and
    cls_caption (N, D); patches: N of (h, w, D); names (C, D). Vectors have unit norm.
    """

    data: CocoSet
    pictures: list[Tensor]
    labels: list[Tensor]
    cls_web: Tensor
    cls_caption: Tensor
    patches: list[Tensor]
    names: Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """patches: the dense feature, None for the model's own; templates for names; window: side of
    the sliding windows of segmentation in pixels, 0 for none (they step by 3/4 of it)."""

    patches: PatchKind | None = None
    templates: Sequence[str] = TEMPLATES["plain"]
    window: int = 0


def encode_set(model: TIPS, data: CocoSet, options: Options) -> Encoded:
    """Everything that the tasks need of a model, each picture encoded once."""
    patch = model.config.vision.patch
    size = model.config.image_size
    pictures = load_pictures(data.images, partial(prepare, image_size=size, patch=patch))
    web = torch.empty(len(pictures), model.config.vision.width)
    caption = torch.empty_like(web)
    patches: list[Tensor] = [torch.empty(0)] * len(pictures)
    for group in group_by_size(pictures, patch):
        batch = torch.stack([pictures[index] for index in group])
        out = encode_images(model, batch, patches=options.patches)
        web[list(group)], caption[list(group)] = out.cls_web, out.cls_caption
        for index, grid in zip(group, out.patches, strict=True):
            patches[index] = grid
    sizes = [picture.shape[1:] for picture in pictures]
    labels = [
        fit_labels(label_map(image), *size) for image, size in zip(data.images, sizes, strict=True)
    ]
    names = (
        encode_texts(model, data.categories, templates=options.templates)
        if data.categories
        else torch.empty(0, web.shape[1])
    )
    return Encoded(data, pictures, labels, web, caption, patches, names)


def names_task(model: TIPS, seen: Encoded, options: Options) -> dict[str, float]:
    """Whether the name nearest to a picture is one of its objects' (pictures without are out)."""
    with_objects = [i for i, image in enumerate(seen.data.images) if image.objects]
    positives = [
        sorted({entry.category for entry in seen.data.images[i].objects}) for i in with_objects
    ]
    result: dict[str, float] = {}
    for head, vectors in (("web", seen.cls_web), ("caption", seen.cls_caption)):
        found = recall(vectors[with_objects], seen.names, positives, (1, 5))
        result |= {f"{head} {key.replace('R@', 'top')}": value for key, value in found.items()}
    return result


def retrieval_task(model: TIPS, seen: Encoded, options: Options) -> dict[str, float]:
    """Recall of the first caption's picture and the picture's captions, for both heads."""
    owner = [i for i, image in enumerate(seen.data.images) for _ in image.captions]
    texts = encode_texts(model, [t for image in seen.data.images for t in image.captions])
    result: dict[str, float] = {}
    for head, vectors in (("web", seen.cls_web), ("caption", seen.cls_caption)):
        found = caption_recall(vectors, texts, owner)
        result |= {f"{head} {key}": value for key, value in found.items()}
    return result


def pointing_task(model: TIPS, seen: Encoded, options: Options) -> dict[str, float]:
    """Pointing at every object, averaged over objects; with the names as they are and centred."""
    sums, count = dict[str, float](), 0
    texts = {"": seen.names}
    if len(seen.names) > 1:
        texts["centred "] = centred(seen.names)
    for image, labels, grid in zip(seen.data.images, seen.labels, seen.patches, strict=True):
        masks = [fit_labels(mask_of(image, e).astype(np.int64), *labels.shape)
                 for e in image.objects]  # fmt: skip
        if not masks:
            continue
        questions = Questions(
            image=torch.zeros(len(masks), dtype=torch.int64),
            name=torch.tensor([entry.category for entry in image.objects]),
            mask=torch.stack(masks) > 0,
            foreground=(labels >= 0)[None],
        )
        for prefix, names in texts.items():
            for key, value in pointing(grid[None], names, questions).items():
                sums[prefix + key] = sums.get(prefix + key, 0.0) + value * len(masks)
        count += len(masks)
    result = {key: value / count for key, value in sums.items()}
    for prefix in texts:
        hit, hit_any = result[prefix + "hit"], result[prefix + "hit_any"]
        result[prefix + "right_given_hit"] = hit / max(hit_any, 1e-9)
    return result


def segmentation_task(model: TIPS, seen: Encoded, options: Options) -> dict[str, float]:
    """Mean IoU and accuracy over the pixels of objects, all names to choose from."""

    def dense(windows: Tensor) -> Tensor:
        return encode_images(model, windows, patches=options.patches).patches

    confusion = Confusion(len(seen.names))
    for picture, labels, grid in zip(seen.pictures, seen.labels, seen.patches, strict=True):
        if options.window:
            scores = window_scores(picture, dense, seen.names, options.window)
        else:
            scores = class_scores(grid, seen.names, *labels.shape)
        confusion.add(labels, scores.argmax(0))
    return dict(confusion.score()._asdict())


def knn_task(model: TIPS, seen: Encoded, options: Options) -> dict[str, float]:
    """The largest object's name from the nearest pictures, for both heads."""
    kept, classes = [], []
    for index, labels in enumerate(seen.labels):
        known = labels[labels >= 0]
        if len(known):
            kept.append(index)
            classes.append(int(known.bincount().argmax()))
    target = torch.tensor(classes)
    return {
        head: knn_accuracy(vectors[kept][::2], target[::2], vectors[kept][1::2], target[1::2], k=10)
        for head, vectors in (("web", seen.cls_web), ("caption", seen.cls_caption))
    }


def probe_task(model: TIPS, seen: Encoded, options: Options) -> dict[str, float]:
    """Mean IoU over patches of a linear classifier, background among its classes."""
    classes = len(seen.names)
    features = [grid.flatten(0, 1) for grid in seen.patches]
    labels = [
        patch_labels(map_, grid.shape[0], grid.shape[1], classes).flatten()
        for map_, grid in zip(seen.labels, seen.patches, strict=True)
    ]
    score = linear_probe(
        torch.cat(features[::2]), torch.cat(labels[::2]),
        torch.cat(features[1::2]), torch.cat(labels[1::2]), classes + 1,
    )  # fmt: skip
    return dict(score._asdict())


Task = Callable[[TIPS, Encoded, Options], dict[str, float]]
TASKS: dict[str, Task] = {
    "names": names_task,
    "retrieval": retrieval_task,
    "pointing": pointing_task,
    "segmentation": segmentation_task,
    "knn": knn_task,
    "probe": probe_task,
}


def evaluate(
    model: TIPS, data: CocoSet, tasks: Sequence[str] = tuple(TASKS), options: Options | None = None
) -> pl.DataFrame:
    """Run tasks on a set: columns task, metric, value (fractions).

    Raises `EvalDataError` for an unknown task or one that the set has no data for.
    """
    for task in tasks:
        _check(task, data)
    options = options or Options()
    seen = encode_set(model, data, options)
    rows = [
        (task, metric, value)
        for task in tasks
        for metric, value in TASKS[task](model, seen, options).items()
    ]
    schema = {"task": pl.String, "metric": pl.String, "value": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _check(task: str, data: CocoSet) -> None:
    if task not in TASKS:
        raise EvalDataError(f"There is no task {task!r}; there are {', '.join(TASKS)}.")
    if task == "retrieval":
        if not any(image.captions for image in data.images):
            raise EvalDataError("The task retrieval needs captions.json with captions.")
    elif sum(bool(image.objects) for image in data.images) < 2:
        raise EvalDataError(f"The task {task} needs instances.json with objects in two pictures.")


def possible_tasks(data: CocoSet) -> tuple[str, ...]:
    """The tasks for which the set has data."""
    captions = any(image.captions for image in data.images)
    objects = sum(bool(image.objects) for image in data.images) >= 2
    return tuple(task for task in TASKS if (captions if task == "retrieval" else objects))
