"""The teacher: EMA of the student, EMA of its head only, or a frozen model; and centring.

The teacher's state (weights and centres) is here; the maths of its targets is in `losses.py`.
"""

from __future__ import annotations

import copy
from typing import NamedTuple

import torch
from torch import Tensor, nn

from tips_model.train.config import Objective
from tips_model.train.distributed import all_mean
from tips_model.train.heads import Heads
from tips_model.train.losses import teacher_targets
from tips_model.vision import VisionOutput, VisionTower


class Targets(NamedTuple):
    """The student's targets: cls (B, K) and patches (B, N, K), or features of width D."""

    cls: Tensor
    patches: Tensor


class Teacher(nn.Module):
    """Sees the unmasked global crops; never receives a gradient.

    `vision` is None for the head-only EMA: then the student's own pass is the target. `heads` is
    None for plain features of a frozen teacher.
    """

    centre_cls: Tensor
    centre_patch: Tensor

    def __init__(self, objective: Objective, vision: VisionTower | None, heads: Heads | None):
        super().__init__()
        self.objective = objective
        self.vision = vision
        self.heads = heads
        self.register_buffer("centre_cls", torch.zeros(objective.head.prototypes))
        self.register_buffer("centre_patch", torch.zeros(objective.head.prototypes))
        self._pending: list[tuple[Tensor, Tensor]] = []
        self.requires_grad_(False)

    @torch.no_grad()
    def forward(self, pixels: Tensor, student: VisionOutput, tau: float) -> Targets:
        """Targets for pixels (B, 3, H, W); `student` is its pass over the same pixels."""
        seen = student if self.vision is None else self.vision(pixels)
        cls, patches = seen.cls_web.detach(), seen.patches.detach().flatten(1, 2)
        if self.heads is None:
            return Targets(cls.float(), patches.float())
        cls, patches = self.heads.cls(cls).float(), self.heads.patch(patches).float()
        self._pending.append((cls.mean(dim=0), patches.mean(dim=(0, 1))))
        return Targets(
            teacher_targets(cls, self.centre_cls, tau),
            teacher_targets(patches, self.centre_patch, tau),
        )

    @torch.no_grad()
    def update(self, vision: VisionTower, heads: nn.Module, momentum: float) -> None:
        """After the optimiser's step: update the weights (EMA) and the centres."""
        if self.objective.teacher == "ema":
            assert self.vision is not None
            lerp(self.vision, vision, momentum)
        if self.objective.teacher in ("ema", "head"):
            assert self.heads is not None
            lerp(self.heads, heads, momentum)
        if self._pending:
            cls, patch = zip(*self._pending, strict=True)
            self._move(self.centre_cls, all_mean(torch.stack(cls).mean(dim=0)))
            self._move(self.centre_patch, all_mean(torch.stack(patch).mean(dim=0)))
            self._pending.clear()

    def _move(self, centre: Tensor, mean: Tensor) -> None:
        """Running mean; starts at the first value, because from zero all pictures would start
        alike.
        """
        keep = self.objective.centre_momentum if centre.any() else 0.0
        centre.lerp_(mean, 1 - keep)


@torch.no_grad()
def lerp(teacher: nn.Module, student: nn.Module, momentum: float) -> None:
    """teacher <- momentum * teacher + (1 - momentum) * student, for all parameters."""
    for old, new in zip(teacher.parameters(), student.parameters(), strict=True):
        old.lerp_(new, 1 - momentum)


def make_teacher(objective: Objective, vision: VisionTower, heads: nn.Module) -> Teacher | None:
    """A teacher that starts as a copy of the student; None without one.

    A frozen teacher is made by `setup.py`.
    """
    if objective.teacher == "none":
        return None
    assert objective.teacher != "frozen", "a frozen teacher is loaded, not copied"
    assert isinstance(heads, Heads)
    copied = copy.deepcopy(vision) if objective.teacher == "ema" else None
    return Teacher(objective, copied, copy.deepcopy(heads))
