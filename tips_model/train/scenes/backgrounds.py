"""Procedural backgrounds: flat, gradient, ground, noise, stripes, checks and blobs.

Every background is drawn in two named colours, so that a caption can describe it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate

from tips_model.train.scenes.colours import COLOUR_NAMES, COLOURS

KINDS: tuple[str, ...] = ("flat", "gradient", "ground", "noise", "stripes", "checks", "blobs")
_SHARES = np.array([0.25, 0.15, 0.15, 0.2, 0.1, 0.05, 0.1])
_GRIDS = (3, 6, 12)  # cells per side of the noise octaves
_WEIGHTS = (1.0, 0.5, 0.25)


@dataclass(frozen=True, slots=True)
class BackgroundPlan:
    """The parameters of B backgrounds.

    kind (B,) index into `KINDS`; colour (B, 2) indices into `COLOUR_NAMES`; rgb (B, 2, 3) float32
    in 0-255; numbers (B, 4) uniform in [0, 1): angle, phase, frequency, level; noise: per octave
    (B, 3, g, g) float32 in [-1, 1].
    """

    kind: NDArray[np.int64]
    colour: NDArray[np.int64]
    rgb: NDArray[np.float32]
    numbers: NDArray[np.float32]
    noise: tuple[NDArray[np.float32], ...]

    def part(self, rows: slice) -> BackgroundPlan:
        """The plan of some of the scenes."""
        return BackgroundPlan(
            self.kind[rows],
            self.colour[rows],
            self.rgb[rows],
            self.numbers[rows],
            tuple(octave[rows] for octave in self.noise),
        )


def plan_backgrounds(rng: np.random.Generator, count: int) -> BackgroundPlan:
    """Draw the plan of `count` backgrounds from a generator."""
    centroids = np.array(list(COLOURS.values()), np.float32)
    first = rng.integers(len(COLOURS), size=count)
    second = (first + rng.integers(1, len(COLOURS), size=count)) % len(COLOURS)
    colour = np.stack([first, second], axis=1)
    rgb = centroids[colour] + rng.uniform(-22, 22, (count, 2, 3)).astype(np.float32)
    return BackgroundPlan(
        kind=rng.choice(len(KINDS), size=count, p=_SHARES),
        colour=colour,
        rgb=np.clip(rgb, 0, 255).astype(np.float32),
        numbers=rng.random((count, 4), dtype=np.float32),
        noise=tuple(
            rng.uniform(-1, 1, (count, 3, grid, grid)).astype(np.float32) for grid in _GRIDS
        ),
    )


def draw_backgrounds(plan: BackgroundPlan, height: int, width: int) -> NDArray[np.float32]:
    """The pictures of a plan: (B, 3, height, width) float32 in 0-255."""
    rows = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    columns = np.linspace(0, 1, width, dtype=np.float32)[None, :]
    noise = _noise(plan, height, width)
    angle = 2 * np.pi * plan.numbers[:, 0, None, None]
    along = np.cos(angle) * (columns - 0.5) + np.sin(angle) * (rows - 0.5)  # (B, H, W), +-0.7
    across = -np.sin(angle) * (columns - 0.5) + np.cos(angle) * (rows - 0.5)
    phase, frequency, level = (plan.numbers[:, i, None, None] for i in (1, 2, 3))
    waves = 3 + 7 * frequency
    mix = np.zeros((len(plan.kind), height, width), np.float32)  # weight of the second colour
    kind = np.array(KINDS)[plan.kind][:, None, None]
    mix = np.where(kind == "gradient", np.clip(along + 0.5, 0, 1), mix)
    horizon = 0.45 + 0.3 * level + 0.05 * noise[:, 0]
    mix = np.where(kind == "ground", rows > horizon, mix)
    mix = np.where(kind == "noise", np.clip(0.5 + 0.8 * noise[:, 0], 0, 1), mix)
    wave = np.sin(2 * np.pi * (along * waves + phase))
    mix = np.where(kind == "stripes", wave > 0, mix)
    other = np.sin(2 * np.pi * (across * waves + phase))
    mix = np.where(kind == "checks", wave * other > 0, mix)
    mix = np.where(kind == "blobs", noise[:, 1] + 0.3 * (level - 0.5) > 0.1, mix)
    mix = mix.astype(np.float32)[:, None]
    picture = plan.rgb[:, 0, :, None, None] * (1 - mix) + plan.rgb[:, 1, :, None, None] * mix
    # A little texture everywhere except on flat ones; noise backgrounds get coloured noise.
    texture = np.where(plan.kind == 0, 0.0, np.where(plan.kind == 3, 40.0, 12.0))
    picture += texture.astype(np.float32)[:, None, None, None] * noise
    return np.clip(picture, 0, 255, out=picture)


def _noise(plan: BackgroundPlan, height: int, width: int) -> NDArray[np.float32]:
    """Smooth noise (B, 3, height, width) roughly in [-1, 1]: octaves of upsampled random grids."""
    total = torch.zeros(len(plan.kind), 3, height, width)
    for grid, weight in zip(plan.noise, _WEIGHTS, strict=True):
        total += weight * interpolate(
            torch.from_numpy(np.ascontiguousarray(grid)), (height, width), mode="bilinear"
        )
    field: NDArray[np.float32] = total.numpy()
    return field


def describe(kind: int, first: int, second: int) -> str:
    """A background in words, or "" if none fit (noise has no plain name)."""
    a, b = COLOUR_NAMES[first], COLOUR_NAMES[second]
    return {
        "flat": f"{a} background",
        "gradient": f"{a} and {b} gradient",
        "ground": f"{b} ground",
        "noise": "",
        "stripes": f"{a} and {b} stripes",
        "checks": f"{a} and {b} checks",
        "blobs": f"{a} and {b} spots",
    }[KINDS[kind]]
