"""Target tensors from names of pictures and boxes, for the losses on labels and places.

Letters: B pictures, K boxes, L label names, O object names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tips_model.train.augment import Cut
from tips_model.train.source import Label, Thing
from tips_model.train.supervision import Given

LEAST_SIDE = 0.12
"""Things smaller than this fraction of their picture's sides get no crop of their own."""
LEAST_SEEN = 0.3
"""A box counts as inside a crop only if at least this fraction of it is visible there."""


@dataclass(frozen=True, slots=True)
class Places:
    """The boxes of a batch: boxes float32 (K, 4), x0, y0, x1, y1 as fractions of the visible crop;
    pictures and names int64 (K,)."""

    boxes: Tensor
    pictures: Tensor
    names: Tensor


def choose_thing(generator: np.random.Generator, things: Sequence[Thing]) -> Thing | None:
    """A random thing that is large enough for its own crop, None if there is none."""
    large = [
        thing
        for thing in things
        if min(thing.box[2] - thing.box[0], thing.box[3] - thing.box[1]) >= LEAST_SIDE
    ]
    return large[int(generator.integers(len(large)))] if large else None


def seen_things(things: Sequence[Thing], cut: Cut, height: int, width: int) -> list[Thing]:
    """The things visible in a crop of a picture, with their boxes relative to the crop."""
    if not things:
        return []
    boxes = cut.place(np.array([thing.box for thing in things], np.float64), height, width)
    inside = boxes.clip(0, 1)
    areas = [(b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1]) for b in (inside, boxes)]
    kept = areas[0] >= LEAST_SEEN * np.maximum(areas[1], 1e-9)
    return [
        thing._replace(box=tuple(box))
        for thing, box, shown in zip(things, inside.tolist(), kept, strict=True)
        if shown
    ]


class Names:
    """Maps the names of a run's data to numbers."""

    def __init__(self, given: Given) -> None:
        self.objects = {name: number for number, name in enumerate(given.objects)}
        self.labels = {name: number for number, name in enumerate(given.labels)}

    def places(self, things: Sequence[Sequence[Thing]]) -> Places:
        """The boxes of all pictures."""
        flat = [(i, thing) for i, own in enumerate(things) for thing in own]
        return Places(
            torch.tensor([thing.box for _, thing in flat], dtype=torch.float32).reshape(-1, 4),
            torch.tensor([i for i, _ in flat], dtype=torch.int64),
            torch.tensor([self.objects[thing.name] for _, thing in flat], dtype=torch.int64),
        )

    def label_targets(self, labels: Sequence[Sequence[Label]]) -> Tensor:
        """float32 (B, L): the given probabilities of each picture, normalised to 1; 0 if it has
        none.
        """
        target = torch.zeros(len(labels), len(self.labels))
        for row, own in enumerate(labels):
            for label in own:
                target[row, self.labels[label.name]] += 1.0 if label.score is None else label.score
        return _to_one(target)

    def object_targets(self, things: Sequence[Sequence[Thing]]) -> Tensor:
        """float32 (B, O): each name's share of a picture's things, summing to 1; 0 if it has none.

        A thing is weighted by its score and the square root of its area, so that small ones count
        too.
        """
        target = torch.zeros(len(things), len(self.objects))
        for row, own in enumerate(things):
            for thing in own:
                x0, y0, x1, y1 = thing.box
                size = ((x1 - x0) * (y1 - y0)) ** 0.5
                score = 1.0 if thing.score is None else thing.score
                target[row, self.objects[thing.name]] += score * size
        return _to_one(target)


def _to_one(target: Tensor) -> Tensor:
    return target / target.sum(dim=1, keepdim=True).clamp_min(1e-9)
