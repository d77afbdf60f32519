"""Where training pairs come from: the protocol between data and training.

A source is a pure function of its arguments (and of the seed it was made with): it keeps no
position. That makes resuming exact and lets several threads ask for different steps at once.
The items of a step are numbered over all processes: rank r holds the items r * size to
(r + 1) * size - 1 of the step's size * world, so the number of processes changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from tips_model.train.config import Stage


@dataclass(frozen=True, slots=True)
class RawBatch:
    """Pictures and captions as they come from the data, B of each."""

    images: Tensor | Sequence[Tensor]
    """uint8 (B, 3, H, W), or B tensors uint8 (3, h, w) of any sizes."""
    web: Sequence[str]
    """The noisy caption of each picture, never empty."""
    synthetic: Sequence[Sequence[str]]
    """The synthetic captions of each picture (one or more, never empty); training draws one."""

    def __len__(self) -> int:
        return len(self.web)


class Source(Protocol):
    """Training pairs on request; see the module's text for the numbering of items."""

    def batch(self, stage: Stage, step: int, rank: int, world: int, size: int) -> RawBatch:
        """The `size` items of process `rank` of `world` in step `step` (counted within the stage).

        Must be pure and safe to call from several threads. `stage.data` and `stage.resolution`
        say what is wanted; larger pictures than the resolution are fine.
        """
        ...
