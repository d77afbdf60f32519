"""A tiny training world in memory: plain pictures named by their colour, and a small model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

import tips_model
from tips_model.config import TextConfig, TIPSConfig, VisionConfig
from tips_model.tokenizer import Tokenizer
from tips_model.train.config import Head, Objective, Optimizer, Stage, TrainConfig, Weights
from tips_model.train.source import RawBatch

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


def tokenizer() -> Tokenizer:
    """The tokenizer of the model in the package."""
    return Tokenizer(Path(tips_model.__file__).parent / "nano" / "tokenizer.model")


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
