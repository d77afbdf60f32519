"""The data loader: turns raw pairs into batches of crops, masks and tokens, prefetched in threads.

Every random choice comes from a generator seeded by (seed, step, number of the picture within the
step), so a batch is a pure function of its position in the run: resuming needs no loader state, and
the number of processes does not affect how a picture is augmented.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tips_model.tokenizer import Tokenizer
from tips_model.train.augment import around, draw_cut, views
from tips_model.train.batch import Batch, no_pictures
from tips_model.train.config import Stage, TrainConfig, Weights
from tips_model.train.masking import kept_patches, random_mask
from tips_model.train.name_targets import Names, choose_thing, seen_things
from tips_model.train.schedules import loss_weights
from tips_model.train.source import Label, RawBatch, Source, Thing
from tips_model.train.supervision import Given, given_of

TEXTS = 1 << 32
"""Takes the place of a picture's number in the seed for a step's texts; no picture has
this number.
"""


def caption_keys(texts: Sequence[str]) -> Tensor:
    """int64 (B,): the first eight bytes of each caption's hash; equal for identical captions."""
    digests = (hashlib.blake2b(text.encode(), digest_size=8).digest() for text in texts)
    return torch.tensor([int.from_bytes(d, "little", signed=True) for d in digests])


def is_chosen(number: int, share: float) -> bool:
    """Whether picture `number` of a step is among the evenly spread `share` of all."""
    return math.floor((number + 1) * share) > math.floor(number * share)


SIDES = re.compile(r"\b(left|right)\b", re.IGNORECASE)
"""Words that make a caption wrong for a mirrored picture."""


class Drawn(NamedTuple):
    """The random choices for one picture: its crops and masks, its captions and other data."""

    whole: Tensor
    crops: Tensor | None
    mask: Tensor | None
    kept: Tensor | None
    web: str
    caption: str
    things: list[Thing]
    labels: Sequence[Label]
    features: NDArray[np.float32] | None


def draw(raw: RawBatch, i: int, config: TrainConfig, stage: Stage, step: int, number: int) -> Drawn:
    """Draw picture `i` of the raw batch, which is picture `number` of global step `step`."""
    generator = np.random.default_rng([config.seed, step, number])
    weights, objective = Weights(**loss_weights(config, step)), config.objective
    patches = (stage.resolution // config.model.vision.patch) ** 2
    image, things = raw.images[i], raw.things[i] if raw.things else ()
    height, width = image.shape[1:]
    caption = _one_of(generator, raw.synthetic[i])
    web = _one_of(generator, (raw.web[i], *raw.webs[i])) if raw.webs else raw.web[i]
    labels: Sequence[Label] = raw.labels[i] if raw.labels else ()
    features = raw.features[i] if raw.features else None
    thing = choose_thing(generator, things) if is_chosen(number, stage.box_crops) else None
    if thing is not None:  # a crop around one thing: captions and labels of the whole do not apply
        web = caption = thing.name
        labels, features, things = (), None, [thing]
        cut = around(generator, thing.box, height, width, stage.flip)
    else:
        sided = SIDES.search(web) or SIDES.search(caption)
        flip = 0.0 if sided else stage.flip
        cut = draw_cut(generator, height, width, stage.global_scale, flip)
    learns = is_chosen(number, stage.self_share)
    whole, crops = views(generator, image, stage, learns and weights.distill > 0, cut)
    ratio = objective.mask_ratio if learns and weights.masked > 0 else 0.0
    return Drawn(
        whole=whole,
        crops=crops,
        mask=random_mask(generator, patches, ratio) if ratio else None,
        kept=kept_patches(generator, patches, stage.patch_dropout) if stage.patch_dropout else None,
        web=web,
        caption=caption,
        things=seen_things(things, cut, height, width),
        labels=labels,
        features=features,
    )


def _one_of(generator: np.random.Generator, texts: Sequence[str]) -> str:
    return texts[int(generator.integers(len(texts)))]


def assemble(
    raw: RawBatch,
    config: TrainConfig,
    stage: Stage,
    step: int,
    first: int,
    tokenize: Tokenizer,
    given: Given | None = None,
) -> Batch:
    """Make the batch of global step `step`; `first` is the number of its first picture.

    Local crops, masks, and the data for names, boxes and features are made only if their losses
    have a weight at this step. `given` are the names and sentence vectors of the data.
    """
    weights = Weights(**loss_weights(config, step))
    numbers = range(first, first + len(raw))
    drawn = [draw(raw, i, config, stage, step, number) for i, number in enumerate(numbers)]
    chosen = [i for i, number in enumerate(numbers) if is_chosen(number, stage.self_share)]
    late = torch.tensor([is_chosen(number, stage.late_cls) for number in numbers])
    webs, captions = [one.web for one in drawn], [one.caption for one in drawn]
    pad = config.pad_captions or None
    web, caption = tokenize(webs, pad_to=pad), tokenize(captions, pad_to=pad)
    batch = Batch(
        images=torch.stack([one.whole for one in drawn]),
        chosen=torch.tensor(chosen),
        late=late if stage.late_cls else None,
        crops=_stacked([one.crops for one in drawn]),
        mask=_stacked([one.mask for one in drawn]),
        kept=_stacked([one.kept for one in drawn]),
        web_ids=web.ids,
        web_paddings=web.paddings,
        web_keys=caption_keys(webs),
        caption_ids=caption.ids,
        caption_paddings=caption.paddings,
        caption_keys=caption_keys(captions),
    )
    return batch if given is None else replace(batch, **_named(drawn, weights, config, given))


def _stacked(values: Sequence[Tensor | None]) -> Tensor | None:
    found = [value for value in values if value is not None]
    return torch.stack(found) if found else None


def _named(
    drawn: Sequence[Drawn], weights: Weights, config: TrainConfig, given: Given
) -> dict[str, Tensor]:
    """The batch fields that come from the data's names, features and sentence vectors."""
    names, found = Names(given), dict[str, Tensor]()
    if config.objective.captions == "sentences" and (weights.web or weights.caption):
        assert given.sentences is not None
        found["web_vectors"] = given.sentences.of([one.web for one in drawn])
        found["caption_vectors"] = given.sentences.of([one.caption for one in drawn])
    if weights.features:
        empty = np.zeros(given.features, np.float32)
        rows = [empty if one.features is None else one.features for one in drawn]
        found["features"] = torch.from_numpy(np.stack(rows))
    if weights.labels:
        found["label_targets"] = names.label_targets([one.labels for one in drawn])
        found["object_targets"] = names.object_targets([one.things for one in drawn])
    if weights.regions or weights.pointing:
        places = names.places([one.things for one in drawn])
        found |= {
            "boxes": places.boxes,
            "box_pictures": places.pictures,
            "box_names": places.names,
        }
    return found


def taught_texts(
    stage: Stage,
    config: TrainConfig,
    step: int,
    rank: int,
    world: int,
    tokenize: Tokenizer,
    given: Given,
) -> dict[str, Tensor]:
    """The texts of process `rank` that teach the text tower in global step `step`."""
    assert given.sentences is not None
    size = stage.texts // world
    generator = np.random.default_rng([config.seed, step, TEXTS])
    drawn = generator.integers(len(given.sentences.texts), size=stage.texts)
    texts = [given.sentences.texts[row] for row in drawn[rank * size : (rank + 1) * size]]
    tokens = tokenize(texts, pad_to=config.pad_captions or None)
    return {
        "text_ids": tokens.ids,
        "text_paddings": tokens.paddings,
        "text_vectors": given.sentences.of(texts),
    }


def load(
    config: TrainConfig, source: Source, tokenize: Tokenizer, rank: int, world: int, start: int
) -> Generator[Batch, None, None]:
    """The batches of this process from global step `start` to the end, in order.

    `config.workers` threads prefetch that many steps plus one.
    """

    def make(step: int) -> Batch:
        index, within = config.at(step)
        stage = config.stages[index]
        size = stage.batch // world
        if Weights(**loss_weights(config, step)).pictures:
            raw = source.batch(stage, within, rank, world, size)
            batch = assemble(raw, config, stage, step, rank * size, tokenize, given)
        else:
            batch = no_pictures()
        if stage.texts:
            assert given is not None
            batch = replace(
                batch, **taught_texts(stage, config, step, rank, world, tokenize, given)
            )
        return batch

    given = given_of(source)

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
