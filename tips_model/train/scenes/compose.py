"""Renders scene plans: cut-outs rotated, tinted and pasted on backgrounds, with their visible
masks.

Letters: B scenes, K places in a scene, n objects of one group, P side of a group's patches.
All objects of a batch are transformed in a few groups of similar size, each with one `grid_sample`;
only the last step, pasting, is done per object.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import affine_grid, avg_pool2d, grid_sample

from tips_model.train.scenes.backgrounds import draw_backgrounds
from tips_model.train.scenes.colours import HUE_STEPS, hue_matrix, saturation_matrix
from tips_model.train.scenes.plan import ScenePlan
from tips_model.train.scenes.render import Bank

_LEVELS = 4  # each level of the pyramid halves the side, so that shrinking does not alias
_GROUP = 8  # patch sides are rounded up to multiples of this


@dataclass(frozen=True, slots=True)
class Picture:
    """images (B, 3, H, W) uint8; owner (B, H, W) int8, the topmost object's place or -1."""

    images: NDArray[np.uint8]
    owner: NDArray[np.int8]


class Composer:
    """Draws plans with one bank's cut-outs, which it keeps premultiplied in a pyramid."""

    def __init__(self, bank: Bank) -> None:
        pixels = torch.from_numpy(bank.pixels).permute(0, 3, 1, 2).float()
        pixels[:, :3] *= pixels[:, 3:] / 255
        self._levels = [pixels.round().byte()]
        for _ in range(_LEVELS - 1):
            pixels = avg_pool2d(pixels, 2)
            self._levels.append(pixels.round().byte())

    def draw(
        self,
        plan: ScenePlan,
        height: int,
        width: int,
        background: NDArray[np.float32] | None = None,
    ) -> Picture:
        """The pictures of a plan at one size in pixels.

        `background` (B, 3, height, width) in 0-255 overrides the plan's own.
        """
        canvas = (
            draw_backgrounds(plan.background, height, width)
            if background is None
            else background.copy()
        )
        owner = np.full((len(canvas), height, width), -1, np.int8)
        scene, place = np.nonzero(plan.drawing >= 0)  # scene by scene, bottom to top
        patches = self._patches(plan, scene, place, min(height, width))
        centre = plan.centre[scene, place] * (width, height)
        for b, k, (x, y), patch in zip(scene, place, centre, patches, strict=True):
            _paste(canvas[b], owner[b], patch, float(x), float(y), int(k))
        return Picture((canvas + 0.5).astype(np.uint8), owner)

    def _patches(
        self, plan: ScenePlan, scene: NDArray[np.intp], place: NDArray[np.intp], side: int
    ) -> list[NDArray[np.float32]]:
        """For each object its RGBA patch (4, P, P), premultiplied, 0-255 with alpha in [0, 1]."""
        at = (scene, place)
        pixels = plan.size[at] * side
        turn = np.abs(np.cos(plan.angle[at])) + np.abs(np.sin(plan.angle[at]))
        extent = np.ceil(pixels * turn * np.maximum(plan.stretch[at], 1) / _GROUP).astype(int)
        matrix, offset = _tints(plan.hue[at], plan.tone[at])
        base = self._levels[0].shape[-1]
        level = np.clip(np.log2(base / pixels).round(), 0, _LEVELS - 1).astype(int)
        patches: list[NDArray[np.float32]] = [np.empty(0, np.float32)] * len(scene)
        group = extent * _LEVELS + level
        for key in np.unique(group):
            members = np.flatnonzero(group == key)
            index = (scene[members], place[members])
            size = int(extent[members[0]]) * _GROUP
            source = self._levels[int(level[members[0]])][
                torch.from_numpy(plan.drawing[index])
            ].float()
            theta = _affine(plan, index, size / pixels[members])
            grid = affine_grid(theta, [len(members), 4, size, size], align_corners=False)
            sampled = grid_sample(source, grid, align_corners=False).numpy()
            sampled[:, 3] /= 255
            alpha = sampled[:, 3, None]
            flat = matrix[members] @ sampled[:, :3].reshape(len(members), 3, -1)
            tinted = flat.reshape(sampled[:, :3].shape) + offset[members, None, None, None] * alpha
            sampled[:, :3] = np.clip(tinted, 0, 255 * alpha)
            for row, member in enumerate(members):
                patches[member] = sampled[row]
        return patches


def _affine(
    plan: ScenePlan, at: tuple[NDArray[np.intp], NDArray[np.intp]], zoom: NDArray[np.float64]
) -> torch.Tensor:
    """(n, 2, 3) maps from patch to cut-out coordinates: rotate back, unstretch, unflip."""
    angle, stretch = plan.angle[at], plan.stretch[at]
    mirror = np.where(plan.flip[at], -1.0, 1.0)
    cos, sin = np.cos(angle) * zoom, np.sin(angle) * zoom
    theta = np.zeros((len(angle), 2, 3), np.float32)
    theta[:, 0, 0], theta[:, 0, 1] = mirror * cos / stretch, mirror * sin / stretch
    theta[:, 1, 0], theta[:, 1, 1] = -sin, cos
    return torch.from_numpy(theta)


def _tints(
    hue: NDArray[np.int64], tone: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Hue, grey, saturation, contrast and brightness as one matrix (n, 3, 3) and offset (n,)."""
    grey = hue == HUE_STEPS
    matrix = hue_matrix(np.where(grey, 0, hue))
    matrix = saturation_matrix(np.where(grey, 0.0, tone[:, 2])) @ matrix
    contrast = tone[:, 1]
    offset = 255 * tone[:, 0] * 0.5 + 128 * (1 - contrast)
    return (contrast[:, None, None] * matrix).astype(np.float32), offset.astype(np.float32)


def _paste(
    canvas: NDArray[np.float32],
    owner: NDArray[np.int8],
    patch: NDArray[np.float32],
    x: float,
    y: float,
    place: int,
) -> None:
    """Paste a patch (4, P, P) with its centre at pixel (x, y); parts outside are cut off."""
    side = patch.shape[-1]
    height, width = owner.shape
    left, top = round(x - side / 2), round(y - side / 2)
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + side, width), min(top + side, height)
    part = patch[:, y0 - top : y1 - top, x0 - left : x1 - left]
    target = canvas[:, y0:y1, x0:x1]
    target *= 1 - part[3]
    target += part[:3]
    owner[y0:y1, x0:x1][part[3] > 0.5] = place
