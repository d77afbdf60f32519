"""The data source protocol, and the records that a source provides.

A source is a pure function of its arguments (and of its seed): it keeps no position. That makes
resuming exact and lets several threads request different steps at once. The items of a step are
numbered over all processes: rank r gets the items r * size to (r + 1) * size - 1 of the step's size
* world, so the number of processes changes nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tips_model.errors import TipsError
from tips_model.train.config import Stage


class DataError(TipsError):
    """Training data that is missing, damaged beyond the limit, or in another format."""


class BadItems:
    """Names of the skipped, unreadable items, and how many are allowed.

    Checkpoints store them and processes share them, so the limit applies to the whole run.
    """

    def __init__(self, limit: int, where: str = "the data") -> None:
        self.limit = limit
        self.where = where
        self._names: set[str] = set()
        self._lock = threading.Lock()

    def names(self) -> list[str]:
        """All names so far, sorted."""
        with self._lock:
            return sorted(self._names)

    def add(self, name: str) -> bool:
        """Record one item; returns whether it is new. Raises `DataError` beyond the limit."""
        with self._lock:
            if name in self._names:
                return False
            self._names.add(name)
        self._check(name)
        return True

    def merge(self, *others: Iterable[str]) -> None:
        """Add the items that other processes or an earlier part of the run skipped."""
        with self._lock:
            self._names.update(*others)
            last = max(self._names, default="")
        self._check(last)

    def _check(self, last: str) -> None:
        count = len(self._names)
        if count > self.limit:
            raise DataError(
                f"{count} items of {self.where} cannot be read, more than the limit of "
                f"{self.limit}, one of them {last}: import the data again, or raise the preset's "
                "`bad_limit`."
            )


class Thing(NamedTuple):
    """A named object of a picture. box: x0, y0, x1, y1 as fractions of its width and height.

    mask: a one-bit PNG of the picture's size. score: a probability, None where certain.
    """

    name: str
    box: tuple[float, float, float, float]
    mask: bytes | None = None
    score: float | None = None


class Label(NamedTuple):
    """A name of a whole picture. score: a probability, None where certain."""

    name: str
    score: float | None = None


@dataclass(frozen=True, slots=True)
class RawBatch:
    """Raw pictures and captions from the data, B of each.

    Fields that a source does not provide are empty (`webs` and below).
    """

    images: Tensor | Sequence[Tensor]
    """uint8 (B, 3, H, W), or B tensors uint8 (3, h, w) of any sizes."""
    web: Sequence[str]
    """The noisy caption of each picture, never empty."""
    synthetic: Sequence[Sequence[str]]
    """The synthetic captions of each picture (one or more, never empty); training draws one."""
    webs: Sequence[Sequence[str]] = ()
    """More noisy captions of each picture; training draws one of all of them."""
    things: Sequence[Sequence[Thing]] = ()
    labels: Sequence[Sequence[Label]] = ()
    features: Sequence[NDArray[np.float32] | None] = ()
    """A teacher's vector of each picture, or None."""

    def __len__(self) -> int:
        return len(self.web)


class Source(Protocol):
    """Training pairs on request; see the module docstring for the numbering of items."""

    def batch(self, stage: Stage, step: int, rank: int, world: int, size: int) -> RawBatch:
        """The `size` items of process `rank` of `world` in step `step` (counted within the stage).

        Must be pure and thread safe. `stage.data` and `stage.resolution` say what is requested;
        pictures may be larger than the resolution.
        """
        ...


def bad_items(source: Source) -> BadItems | None:
    """The items that a source has skipped, if it skips unreadable ones (`bad`)."""
    found = getattr(source, "bad", None)
    return found if isinstance(found, BadItems) else None
