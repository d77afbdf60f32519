"""Random plans for scenes: objects, sizes, positions and colours as arrays, before rendering.

Letters: B scenes, K places for objects in a scene (unused ones have drawing -1).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tips_model.train.scenes.backgrounds import BackgroundPlan, plan_backgrounds
from tips_model.train.scenes.colours import HUE_STEPS
from tips_model.train.scenes.concepts import CONCEPTS
from tips_model.train.scenes.render import Bank


@dataclass(frozen=True, kw_only=True, slots=True)
class SceneSpec:
    """The distribution of scenes to draw; every value is a range or a probability."""

    objects: tuple[int, int] = (1, 5)
    size: tuple[float, float] = (0.3, 0.6)
    """Side of an object as a fraction of the shorter side; scaled down when there are many."""
    even_sizes: bool = False
    """Sides are uniform in their logarithm, so that small things are as frequent as large ones."""
    solo: float = 0.0
    """Fraction of the scenes that show one large object instead, with a side in `solo_size`."""
    solo_size: tuple[float, float] = (0.55, 0.95)
    rotation: float = 25.0
    """Largest rotation in degrees, either way."""
    stretch: float = 0.15
    """Largest relative change of width against height."""
    flip: float = 0.5
    hue: float = 0.3
    """Probability of a rotated hue (a blue elephant)."""
    jitter: float = 0.2
    """Strength of brightness, contrast and saturation changes."""
    grey: float = 0.05
    """Probability of a drawing without colour."""
    junk: float = 0.4
    """Probability of junk in the web caption."""
    captions: str = "scenes"
    """"names": the web caption is the bare name; "scenes": noisy web and spatial captions."""


SPECS: dict[str, SceneSpec] = {
    "objects-plain": SceneSpec(
        objects=(1, 1), size=(0.6, 0.95), rotation=0, stretch=0, hue=0, jitter=0, grey=0,
        junk=0, captions="names",
    ),
    "objects": SceneSpec(
        objects=(1, 1), size=(0.55, 0.95), hue=0.15, junk=0, captions="names",
    ),
    "scenes-clean": SceneSpec(junk=0),
    "scenes-light": SceneSpec(junk=0.2),
    "scenes": SceneSpec(),
    "mixed": SceneSpec(objects=(1, 3), solo=0.4, junk=0.1),
    "mixed-many": SceneSpec(solo=0.25, junk=0.2),
    "library": SceneSpec(objects=(1, 6), size=(0.07, 0.75), even_sizes=True, hue=0.15, junk=0),
}  # fmt: skip
"""The values of `Stage.data` that a training stage can use."""


@dataclass(frozen=True, slots=True)
class ScenePlan:
    """The plan of B scenes with up to K objects each; later objects cover earlier ones.

    count (B,); drawing (B, K) index into the bank or -1; concept (B, K); hue (B, K) step, or
    HUE_STEPS for grey; size (B, K) fraction of the shorter side; centre (B, K, 2) x, y in [0, 1] of
    width and height; angle (B, K) radians; stretch (B, K) factor; flip (B, K) bool; tone (B, K, 3):
    brightness offset, contrast and saturation factors; seed (B,) for captions.
    """

    count: NDArray[np.int64]
    drawing: NDArray[np.int64]
    concept: NDArray[np.int64]
    hue: NDArray[np.int64]
    size: NDArray[np.float64]
    centre: NDArray[np.float64]
    angle: NDArray[np.float64]
    stretch: NDArray[np.float64]
    flip: NDArray[np.bool_]
    tone: NDArray[np.float64]
    seed: NDArray[np.int64]
    background: BackgroundPlan

    def part(self, rows: slice) -> ScenePlan:
        """The plan of some of the scenes."""
        parts: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            parts[field.name] = value.part(rows) if field.name == "background" else value[rows]
        return ScenePlan(**parts)


class Catalogue:
    """Which drawings show which concept: the inverse of the bank's index."""

    def __init__(self, bank: Bank) -> None:
        groups = [np.flatnonzero(bank.concept == index) for index in range(len(CONCEPTS))]
        self.count = np.array([len(group) for group in groups])
        self.present = np.flatnonzero(self.count)
        self.table = np.full((len(CONCEPTS), max(1, self.count.max())), -1, np.int64)
        for index, group in enumerate(groups):
            self.table[index, : len(group)] = group

    def draw(self, rng: np.random.Generator, concept: NDArray[np.int64]) -> NDArray[np.int64]:
        """A random drawing for each concept, same shape."""
        pick = (rng.random(concept.shape) * self.count[concept]).astype(np.int64)
        drawn: NDArray[np.int64] = self.table[concept, pick]
        return drawn


def plan_scenes(
    rng: np.random.Generator, catalogue: Catalogue, spec: SceneSpec, scenes: int
) -> ScenePlan:
    """Draw `scenes` plans from a generator; the concepts of one scene are all different."""
    low, high = spec.objects
    shape = (scenes, high)
    count = rng.integers(low, high + 1, size=scenes)
    solo = rng.random(scenes) < spec.solo if spec.solo else np.zeros(scenes, bool)
    count = np.where(solo, 1, count)
    order = rng.random((scenes, len(catalogue.present))).argpartition(high - 1, axis=1)[:, :high]
    concept = catalogue.present[order]
    used = np.arange(high)[None, :] < count[:, None]
    hue = np.where(rng.random(shape) < spec.hue, rng.integers(1, HUE_STEPS, shape), 0)
    hue = np.where(rng.random(shape) < spec.grey, HUE_STEPS, hue)
    # With n objects the sides shrink as 1.35/sqrt(n), so that all fit.
    crowd = np.clip(1.35 / np.sqrt(np.maximum(count, 1)), None, 1.0)[:, None]
    size = _sides(rng, spec, shape) * (crowd if high > 1 else 1.0)
    size = np.where(solo[:, None], rng.uniform(*spec.solo_size, shape), size) if spec.solo else size
    angle = np.deg2rad(spec.rotation) * rng.uniform(-1, 1, shape)
    tone = spec.jitter * rng.uniform(-1, 1, (*shape, 3)) + np.array([0.0, 1.0, 1.0])
    return ScenePlan(
        count=count,
        drawing=np.where(used, catalogue.draw(rng, concept), -1),
        concept=np.where(used, concept, -1),
        hue=hue,
        size=size,
        centre=place(rng, size, used),
        angle=angle,
        stretch=1 + spec.stretch * rng.uniform(-1, 1, shape),
        flip=rng.random(shape) < spec.flip,
        tone=tone,
        seed=rng.integers(1 << 62, size=scenes),
        background=plan_backgrounds(rng, scenes),
    )


def _sides(
    rng: np.random.Generator, spec: SceneSpec, shape: tuple[int, ...]
) -> NDArray[np.float64]:
    if not spec.even_sizes:
        return rng.uniform(*spec.size, shape)
    low, high = spec.size
    sides: NDArray[np.float64] = low * (high / low) ** rng.random(shape)
    return sides


def place(
    rng: np.random.Generator, size: NDArray[np.float64], used: NDArray[np.bool_], tries: int = 12
) -> NDArray[np.float64]:
    """Centres (B, K, 2) in [0, 1]: for each object the best of several random places.

    The best one minimises the fraction of the object's box that overlaps earlier objects.
    """
    scenes, places = size.shape
    margin = np.minimum(size / 2, 0.5)[:, :, None, None]
    candidates = margin + (1 - 2 * margin) * rng.random((scenes, places, tries, 2))
    centre = np.empty((scenes, places, 2))
    for k in range(places):
        overlap = np.zeros((scenes, tries))
        for j in range(k):
            reach = (size[:, k] + size[:, j])[:, None, None] / 2
            gap = np.abs(candidates[:, k] - centre[:, None, j])
            both = np.minimum(size[:, k], size[:, j])[:, None, None]
            inside = np.clip(reach - gap, 0, both).prod(-1)
            overlap += np.where(used[:, j, None], inside, 0)
        best = overlap.argmin(1)
        centre[:, k] = candidates[np.arange(scenes), k, best]
    return centre
