"""Models for workers of a Ray cluster; they are pickled by name."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from tests.indexer.colours import ColourEmbedder
from tips_model.errors import WeightsError
from tips_model.features import FeatureBatch


def colours(device: str) -> ColourEmbedder:
    """The embedder of most tests."""
    return ColourEmbedder()


def shades(device: str) -> ColourEmbedder:
    """Another model."""
    return ColourEmbedder("shades:2")


def nothing(device: str) -> ColourEmbedder:
    """A machine without weights."""
    raise WeightsError("There are no weights of colours; fetch them.")


class Mortal(ColourEmbedder):
    """Its process is killed in its second batch, unless another one was before it."""

    def __init__(self, grave: Path) -> None:
        super().__init__()
        self.grave, self.batches = grave, 0

    def embed_images(self, images: Sequence[Tensor]) -> Iterator[FeatureBatch]:
        """As of colours, or death."""
        self.batches += 1
        if self.batches == 2:
            try:
                with open(self.grave, "x") as file:
                    file.write(str(os.getpid()))
            except FileExistsError:
                pass
            else:
                os.kill(os.getpid(), signal.SIGKILL)
        yield from super().embed_images(images)


@dataclass(frozen=True)
class MortalColours:
    """Opens `Mortal`; `grave` is written by the one that dies."""

    grave: Path

    def __call__(self, device: str) -> Mortal:
        """The embedder."""
        return Mortal(self.grave)
