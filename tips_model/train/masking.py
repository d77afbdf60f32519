"""Random patch masks for masked image modelling, and random patch subsets for patch dropout."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def masked_count(patches: int, ratio: float) -> int:
    """How many of `patches` are masked at `ratio`; the same number in every picture."""
    return round(patches * ratio)


def random_mask(generator: np.random.Generator, patches: int, ratio: float) -> Tensor:
    """bool (patches,): uniformly random, exactly `masked_count` True (TIPS: 75 %, random)."""
    mask = np.zeros(patches, dtype=np.bool_)
    mask[generator.permutation(patches)[: masked_count(patches, ratio)]] = True
    return torch.from_numpy(mask)


def kept_patches(generator: np.random.Generator, patches: int, dropout: float) -> Tensor:
    """int64 (K,), ascending: a uniformly random choice of K = patches * (1 - dropout),
    at least 1.
    """
    count = max(1, round(patches * (1 - dropout)))
    chosen = np.sort(generator.permutation(patches)[:count])
    return torch.from_numpy(chosen.astype(np.int64))
