"""From raw pairs to batches: crops, masks, the caption draw, tokens; prepared ahead in threads.

Every random choice comes from a generator seeded by (seed, step, number of the picture within the
step), so a batch is a pure function of its place in the run: resuming needs no loader state, and
the number of processes does not change what a picture looks like.
"""

from __future__ import annotations

import hashlib
import math
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from tips_model.train.augment import views
from tips_model.train.config import Stage, TrainConfig
from tips_model.train.masking import random_mask
from tips_model.train.schedules import loss_weights
from tips_model.train.source import RawBatch, Source


class Tokens(Protocol):
    """Token ids and paddings as the tokenizer gives them."""

    @property
    def ids(self) -> Tensor: ...
    @property
    def paddings(self) -> Tensor: ...


class Tokenize(Protocol):
    """What is needed of a tokenizer."""

    def __call__(self, texts: Sequence[str], *, pad_to: int | None = None) -> Tokens: ...


@dataclass(frozen=True, slots=True)
class Batch:
    """What one process sees in one step: B pictures, M local crops of each, N patches.

    The self-supervised losses see S of the pictures (all, unless `Stage.self_share` is below 1).
    """

    images: Tensor
    """Global crops, uint8 (B, 3, R, R)."""
    chosen: Tensor
    """int64 (S,), the places of the pictures that the self-supervised losses see."""
    late: Tensor | None
    """bool (B,), the pictures whose CLS tokens enter at the last block; see `Stage.late_cls`."""
    crops: Tensor | None
    """Local crops, uint8 (S, M, 3, r, r)."""
    mask: Tensor | None
    """bool (S, N), True where the student's patch is masked."""
    web_ids: Tensor
    web_paddings: Tensor
    web_keys: Tensor
    """int64 (B,), equal for identical captions."""
    caption_ids: Tensor
    caption_paddings: Tensor
    caption_keys: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same batch on `device`."""
        moved = {
            f.name: value.to(device, non_blocking=True)
            for f in fields(self)
            if (value := getattr(self, f.name)) is not None
        }
        return replace(self, **moved)

    def split(self, parts: int) -> list[Batch]:
        """`parts` batches of equal size, for gradient accumulation."""
        size = len(self.images) // parts
        if parts == 1:
            return [self]
        return [self._part(i * size, (i + 1) * size) for i in range(parts)]

    def _part(self, begin: int, end: int) -> Batch:
        """The pictures from `begin` to before `end`."""
        inside = (self.chosen >= begin) & (self.chosen < end)
        cut = {
            f.name: value[inside] if f.name in ("crops", "mask") else value[begin:end]
            for f in fields(self)
            if (value := getattr(self, f.name)) is not None and f.name != "chosen"
        }
        return replace(self, chosen=self.chosen[inside] - begin, **cut)


def caption_keys(texts: Sequence[str]) -> Tensor:
    """int64 (B,): the first eight bytes of each caption's hash; equal for identical captions."""
    digests = (hashlib.blake2b(text.encode(), digest_size=8).digest() for text in texts)
    return torch.tensor([int.from_bytes(d, "little", signed=True) for d in digests])


def is_chosen(number: int, share: float) -> bool:
    """Whether picture `number` of a step is among the evenly spread `share` of all."""
    return math.floor((number + 1) * share) > math.floor(number * share)


def assemble(
    raw: RawBatch, config: TrainConfig, stage: Stage, step: int, first: int, tokenize: Tokenize
) -> Batch:
    """Make the batch of global step `step`; `first` is the number of its first picture.

    Local crops and masks are made only when their losses have a weight at this step.
    """
    weights, objective = loss_weights(config, step), config.objective
    patches = (stage.resolution // config.model.vision.patch) ** 2
    ratio = objective.mask_ratio if weights["masked"] > 0 else 0.0
    wholes, parts, masks, captions, chosen = [], [], [], [], []
    for i, (image, synthetic) in enumerate(zip(raw.images, raw.synthetic, strict=True)):
        generator = np.random.default_rng([config.seed, step, first + i])
        captions.append(synthetic[int(generator.integers(len(synthetic)))])
        learns = is_chosen(first + i, stage.self_share)
        whole, crops = views(generator, image, stage, learns and weights["distill"] > 0)
        wholes.append(whole)
        if learns:
            chosen.append(i)
            masks.append(random_mask(generator, patches, ratio))
        if crops is not None:
            parts.append(crops)
    numbers = range(first, first + len(wholes))
    late = torch.tensor([is_chosen(number, stage.late_cls) for number in numbers])
    pad = config.pad_captions or None
    web, caption = tokenize(raw.web, pad_to=pad), tokenize(captions, pad_to=pad)
    return Batch(
        images=torch.stack(wholes),
        chosen=torch.tensor(chosen),
        late=late if stage.late_cls else None,
        crops=torch.stack(parts) if parts else None,
        mask=torch.stack(masks) if ratio else None,
        web_ids=web.ids,
        web_paddings=web.paddings,
        web_keys=caption_keys(raw.web),
        caption_ids=caption.ids,
        caption_paddings=caption.paddings,
        caption_keys=caption_keys(captions),
    )


def load(
    config: TrainConfig, source: Source, tokenize: Tokenize, rank: int, world: int, start: int
) -> Generator[Batch, None, None]:
    """The batches of this process from global step `start` to the end, in order.

    `config.workers` threads prepare that many steps and one more ahead.
    """

    def make(step: int) -> Batch:
        index, within = config.at(step)
        stage = config.stages[index]
        size = stage.batch // world
        raw = source.batch(stage, within, rank, world, size)
        return assemble(raw, config, stage, step, rank * size, tokenize)

    with ThreadPoolExecutor(config.workers, thread_name_prefix="loader") as pool:
        ahead: deque[Future[Batch]] = deque()
        try:
            for step in range(start, config.steps):
                while len(ahead) <= config.workers and step + len(ahead) < config.steps:
                    ahead.append(pool.submit(make, step + len(ahead)))
                yield ahead.popleft().result()
        finally:
            for future in ahead:
                future.cancel()
