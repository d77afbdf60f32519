"""Agreement of two rankings of the same photos: overlap and rank correlation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.stats import spearmanr

DEPTHS = (1, 5, 10, 20, 50, 100)


@dataclass(frozen=True, slots=True)
class Agreement:
    """overlap: depth k -> the fraction of the first k photos that both have, 0..1; no deeper than
    the longer of the two. correlation: Spearman's, of the ranks of the photos that both have,
    -1..1; None with fewer than three of them, or with constant ranks. shared: how many they are."""

    overlap: dict[int, float]
    correlation: float | None
    shared: int

    def to_dict(self) -> dict[str, Any]:
        """A JSON-serialisable dict, whose keys are strings."""
        return asdict(self) | {"overlap": {str(k): share for k, share in self.overlap.items()}}


def agreement(first: Sequence[str], second: Sequence[str]) -> Agreement:
    """Compare two lists of distinct photo ids, best first."""
    longest = max(len(first), len(second))
    depths = [k for k in DEPTHS if k < longest] + ([longest] if longest else [])
    overlap = {k: len(set(first[:k]) & set(second[:k])) / k for k in depths}
    ranks = {key: rank for rank, key in enumerate(second)}
    pairs = np.array([(rank, ranks[key]) for rank, key in enumerate(first) if key in ranks])
    correlation = None
    if len(pairs) >= 3:
        correlation = float(spearmanr(pairs[:, 0], pairs[:, 1]).statistic)
    return Agreement(overlap, correlation, len(pairs))
