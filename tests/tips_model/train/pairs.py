"""A tiny training world in memory: plain pictures named by their colour, and a small model."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from tips_model.config import TextConfig, TIPSConfig, VisionConfig
from tips_model.tokenizer import Tokenizer
from tips_model.train.config import Head, Objective, Optimizer, Stage, TrainConfig, Weights
from tips_model.train.scenes.vocabulary import train_tokenizer
from tips_model.train.source import Label, RawBatch, Thing
from tips_model.train.supervision import Given, Sentences

COLOURS = {
    "red": (220, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 220),
    "yellow": (230, 230, 40), "black": (10, 10, 10), "white": (245, 245, 245),
    "orange": (250, 140, 20), "pink": (250, 150, 200),
}  # fmt: skip
FULL = Weights(distill=1.0, masked=2.0)


class ColourSource:
    """Item n of a step is a picture of one colour with noise, named in both captions."""

    def __init__(self, seed: int = 0, fixed: bool = False) -> None:
        self.seed = seed
        self.fixed = fixed

    def batch(self, stage: Stage, step: int, rank: int, world: int, size: int) -> RawBatch:
        names, images = list(COLOURS), []
        chosen = []
        for n in range(rank * size, (rank + 1) * size):
            generator = np.random.default_rng([self.seed, 0 if self.fixed else step, n])
            name = names[n % 8 if self.fixed else int(generator.integers(8))]
            noise = generator.integers(-10, 11, (3, stage.resolution, stage.resolution))
            pixels = np.array(COLOURS[name])[:, None, None] + noise
            images.append(torch.from_numpy(pixels.clip(0, 255).astype(np.uint8)))
            chosen.append(name)
        synthetic = [[f"a {name} wall", f"{name} and more {name}"] for name in chosen]
        return RawBatch(torch.stack(images), chosen, synthetic)


class LabelledSource(ColourSource):
    """The same with a box, a label and features for most pictures, and a sentence model's vectors.

    Every third picture has no box, every fourth no features.
    """

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        names = tuple(COLOURS)
        texts = [t for n in names for t in (n, f"a {n} wall", f"{n} and more {n}")]
        vectors = np.random.default_rng(0).standard_normal((len(texts), 6))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        sentences = Sentences(texts, vectors.astype(np.float16))
        self.given = Given(objects=names, labels=names, sentences=sentences, features=5)

    def batch(self, stage: Stage, step: int, rank: int, world: int, size: int) -> RawBatch:
        raw = super().batch(stage, step, rank, world, size)
        things: list[list[Thing]] = []
        features: list[NDArray[np.float32] | None] = []
        for name, n in zip(raw.web, range(rank * size, (rank + 1) * size), strict=True):
            generator = np.random.default_rng([1, step, n])
            x, y = generator.random(2) / 2
            things.append([Thing(name, (x, y, x + 0.5, y + 0.5), score=0.7)] if n % 3 else [])
            features.append(generator.random(5).astype(np.float32) if n % 4 else None)
        labels = [[Label(name, 0.5)] for name in raw.web]
        return replace(raw, things=things, labels=labels, features=features)


GIVEN = Weights(features=1, labels=0.5, regions=0.5, pointing=0.5, sentences=0.5)


@cache
def tokenizer() -> Tokenizer:
    """A tokenizer of 1,024 pieces, of the captions of drawn scenes."""
    return Tokenizer(train_tokenizer())


def tiny_model() -> TIPSConfig:
    return TIPSConfig(
        name="tiny",
        vision=VisionConfig(width=32, depth=2, heads=2, mlp_hidden=64, patch=8, grid=2),
        text=TextConfig(width=32, depth=1, heads=2, mlp_hidden=64, vocab=1024),
        image_size=16,
    )


def tiny_config(weights: Weights = FULL, **changes: object) -> TrainConfig:
    """Five steps of batch 8 at 16 px, with every loss unless `weights` says otherwise."""
    stage = Stage(
        name="only", steps=5, batch=8, resolution=16, crops=2, crop_resolution=8, weights=weights
    )
    config = TrainConfig(
        name="tiny",
        model=tiny_model(),
        stages=(stage,),
        objective=Objective(head=Head(layers=2, hidden=16, bottleneck=8, prototypes=12)),
        optimizer=Optimizer(kind="muon", lr=1e-3, matrix_lr=0.02, warmup=2),
        precision="fp32",
        log_every=1,
        save_every=100,
    )
    return replace(config, **changes)  # type: ignore[arg-type]


def with_stage(config: TrainConfig, **changes: object) -> TrainConfig:
    """The configuration with fields of its only stage changed."""
    return replace(config, stages=(replace(config.stages[0], **changes),))  # type: ignore[arg-type]
