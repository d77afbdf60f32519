"""All evaluators on one COCO-format set: `evaluate(model, data)` returns a polars table.

The tasks are in `tasks.py`. Each picture is read and encoded once, and only a chunk of pictures
with its patches is held at a time, so COCO's 5,000 need no more memory than 500.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import get_args

import polars as pl
import torch
from torch import Tensor

from tips_model.eval.coco import (
    CocoSet,
    EvalDataError,
    fit_labels,
    label_map,
    load_pictures,
    shown_names,
)
from tips_model.eval.encode import PatchKind, encode_images, encode_texts
from tips_model.eval.ranking import FEWEST
from tips_model.eval.tasks import TASKS, Options, Setting, Vectors, View
from tips_model.features import group_by_size
from tips_model.model import TIPS
from tips_model.preprocess import prepare

PATCH_KINDS: tuple[PatchKind, ...] = get_args(PatchKind)
CHUNK = 128
"""Pictures held in memory at once."""


def evaluate(
    model: TIPS, data: CocoSet, tasks: Sequence[str] = tuple(TASKS), options: Options | None = None
) -> pl.DataFrame:
    """Run tasks on a set: columns task, metric, value (fractions).

    Raises `EvalDataError` for an unknown task or one that the set lacks data for.
    """
    for task in tasks:
        _check(task, data)
    setting = _setting(model, data, options or Options())
    running = {task: TASKS[task](setting) for task in tasks}
    vectors = Vectors(*(torch.empty(len(data.images), model.config.vision.width) for _ in range(2)))
    for view, web, caption in views(setting):
        vectors.web[view.index], vectors.caption[view.index] = web, caption
        for evaluator in running.values():
            evaluator.see(view)
    rows = [
        (task, metric, value)
        for task, evaluator in running.items()
        for metric, value in evaluator.result(vectors).items()
    ]
    schema = {"task": pl.String, "metric": pl.String, "value": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _setting(model: TIPS, data: CocoSet, options: Options) -> Setting:
    names = torch.empty(0, model.config.vision.width)
    if data.categories:
        names = encode_texts(model, data.categories, templates=options.templates)
    return Setting(model, data, options, names)


def views(setting: Setting) -> Iterator[tuple[View, Tensor, Tensor]]:
    """Every picture in order, with its vectors of both heads, (D,) each."""
    model, images = setting.model, setting.data.images
    patch = model.config.vision.patch
    ready = partial(prepare, image_size=model.config.image_size, patch=patch)
    for start in range(0, len(images), CHUNK):
        part = images[start : start + CHUNK]
        pictures = load_pictures(part, ready)
        seen: dict[int, tuple[Tensor, ...]] = {}
        for group in group_by_size(pictures, patch):
            batch = torch.stack([pictures[index] for index in group])
            out = encode_images(model, batch, patches=setting.options.patches)
            own = zip(out.cls_web, out.cls_caption, out.patches, strict=True)
            seen.update(zip(group, own, strict=True))
        for index, (image, pixels) in enumerate(zip(part, pictures, strict=True)):
            labels = fit_labels(label_map(image), *pixels.shape[1:])
            web, caption, grid = seen[index]
            yield View(start + index, image, pixels, labels, grid), web, caption


def _check(task: str, data: CocoSet) -> None:
    if task not in TASKS:
        raise EvalDataError(f"There is no task {task!r}; there are {', '.join(TASKS)}.")
    lacking = _lacking(task, data)
    if lacking:
        raise EvalDataError(f"The task {task} needs {lacking}.")


def _lacking(task: str, data: CocoSet) -> str:
    """What a set lacks for a task; "" if nothing."""
    if task == "retrieval":
        captions = any(image.captions for image in data.images)
        return "" if captions else "captions.json with captions"
    if task == "search":
        names = (shown_names(data).sum(axis=1) >= FEWEST).any()
        return "" if names else f"instances.json with a name that {FEWEST} pictures show"
    objects = sum(bool(image.objects) for image in data.images) >= 2
    return "" if objects else "instances.json with objects in two pictures"


def possible_tasks(data: CocoSet) -> tuple[str, ...]:
    """The tasks for which the set has data."""
    return tuple(task for task in TASKS if not _lacking(task, data))
