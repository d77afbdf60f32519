"""The source of endless training scenes: a pure function of seed, stage, step and rank.

`SceneSource()` uses all drawings except the held-out vendor's; `SceneSource(held_out=True)` uses
only those. The random plan of a step is drawn for all processes together and each renders its own
part, so the number of processes does not change a step's items.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
import torch
from numpy.typing import NDArray

from tips_model.errors import TipsError
from tips_model.train.config import Stage
from tips_model.train.scenes.backgrounds import describe
from tips_model.train.scenes.captions import (
    ObjectFacts,
    SceneFacts,
    name_captions,
    synthetic_captions,
    web_caption,
)
from tips_model.train.scenes.colours import COLOUR_NAMES, colour_table
from tips_model.train.scenes.compose import Composer, Picture
from tips_model.train.scenes.concepts import NAMES
from tips_model.train.scenes.plan import SPECS, Catalogue, ScenePlan, SceneSpec, plan_scenes
from tips_model.train.scenes.render import Bank, load_bank
from tips_model.train.source import RawBatch


class ScenesError(TipsError):
    """An unknown kind of scenes."""


def spec_of(kind: str) -> SceneSpec:
    """The named kind of scenes. Raises `ScenesError` for an unknown name."""
    if kind not in SPECS:
        raise ScenesError(f"There are no scenes {kind!r}; there are {', '.join(SPECS)}.")
    return SPECS[kind]


@dataclass(frozen=True, slots=True)
class Scenes:
    """B drawn scenes with everything known about them.

    images (B, 3, H, W) uint8; owner (B, H, W) int8 (place of the topmost object or -1); the plan;
    facts and captions of each scene.
    """

    images: NDArray[np.uint8]
    owner: NDArray[np.int8]
    plan: ScenePlan
    facts: list[SceneFacts]
    web: list[str]
    synthetic: list[list[str]]


class SceneSource:
    """Scenes for the trainer (`batch`) and for evaluation (`scenes`)."""

    def __init__(
        self,
        *,
        seed: int = 0,
        held_out: bool = False,
        bank: Bank | None = None,
        folder: Path | None = None,
    ) -> None:
        """`bank`: cut-outs to use unchanged; otherwise the cached ones in `folder` are split."""
        if bank is None:
            whole = load_bank(folder=folder)
            bank = whole.held_out() if held_out else whole.training()
        self.seed = seed
        self.bank = bank
        self._catalogue = Catalogue(bank)
        self._composer = Composer(bank)
        self._colours = colour_table(bank.pixels)

    def batch(self, stage: Stage, step: int, rank: int, world: int, size: int) -> RawBatch:
        """See `Source`. Raises `ScenesError` for an unknown `stage.data`."""
        spec = spec_of("scenes" if stage.data == "default" else stage.data)
        key = [self.seed, zlib.crc32(stage.name.encode()), step]
        rows = slice(rank * size, (rank + 1) * size)
        made = self._make(key, spec, size * world, rows, (stage.resolution,) * 2)
        return RawBatch(torch.from_numpy(made.images), made.web, made.synthetic)

    def scenes(self, spec: SceneSpec, count: int, size: tuple[int, int], key: int = 0) -> Scenes:
        """`count` scenes of `size` (height, width) with all known facts; `key` varies them."""
        return self._make([self.seed, 1 << 40, key], spec, count, slice(None), size)

    def _make(
        self, key: list[int], spec: SceneSpec, count: int, rows: slice, size: tuple[int, int]
    ) -> Scenes:
        rng = np.random.default_rng(key)
        plan = plan_scenes(rng, self._catalogue, spec, count).part(rows)
        picture: Picture = self._composer.draw(plan, *size)
        facts = [self._facts(plan, row) for row in range(len(plan.count))]
        web, synthetic = [], []
        for fact, seed in zip(facts, plan.seed.tolist(), strict=True):
            words = Random(seed)
            if spec.captions == "names":
                noisy, exact = name_captions(fact)
            else:
                noisy = web_caption(fact, words, spec.junk)
                exact = synthetic_captions(fact, words)
            web.append(noisy)
            synthetic.append(exact)
        return Scenes(picture.images, picture.owner, plan, facts, web, synthetic)

    def _facts(self, plan: ScenePlan, row: int) -> SceneFacts:
        objects = []
        for place in range(int(plan.count[row])):
            colour = self._colours[plan.drawing[row, place], plan.hue[row, place]]
            x, y = plan.centre[row, place]
            objects.append(
                ObjectFacts(
                    NAMES[plan.concept[row, place]],
                    COLOUR_NAMES[colour] if colour >= 0 else "",
                    float(x),
                    float(y),
                )
            )
        ground = plan.background
        words = describe(int(ground.kind[row]), *(int(c) for c in ground.colour[row]))
        return SceneFacts(objects, words)
