"""Ranking metrics: precision at 1, average precision, and their chance levels.

Letters: T names, N pictures.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32] | npt.NDArray[np.float64]

FEWEST = 3
"""A name is evaluated if at least this many pictures show it."""


def average_precision(right: Bools, wanted: int) -> float:
    """Mean over the `wanted` items of the precision at the rank at which each is found (0 if it is
    missing), for a ranking (K,) of right and wrong items, best first.
    """
    ranks = np.flatnonzero(right)
    return float(((np.arange(len(ranks)) + 1) / (ranks + 1)).sum() / wanted)


def ranked(scores: Floats, wanted: Bools) -> Bools:
    """`wanted` (N,) sorted by descending scores (N,); among equal scores the wrong ones
    come first.
    """
    order: Bools = wanted[np.lexsort((wanted, -scores))]
    return order


def name_figures(scores: Floats, shows: Bools) -> dict[str, float]:
    """How well names find their pictures: the scores (T, N) of all pictures against `shows` (T, N).

    "P@1": fraction of names whose first picture shows it; "mAP": average precision, mean over
    names. Every name must be shown by at least one picture.
    """
    orders = [ranked(own, wanted) for own, wanted in zip(scores, shows, strict=True)]
    precision = [average_precision(order, int(order.sum())) for order in orders]
    return {
        "P@1": float(np.mean([order[0] for order in orders])),
        "mAP": float(np.mean(precision)),
    }


def name_chance(shows: Bools) -> dict[str, float]:
    """The expected `name_figures` of a random ranking."""
    pictures = shows.shape[1]
    wanted = shows.sum(axis=1)
    return {
        "P@1": float((wanted / pictures).mean()),
        "mAP": float(np.mean([chance_precision(int(count), pictures) for count in wanted])),
    }


def chance_precision(wanted: int, pictures: int) -> float:
    """The expected average precision of a random order with `wanted` right ones among `pictures`.

    The item at rank k is right with probability wanted / pictures; given that, each of the k - 1
    before it is right with (wanted - 1) / (pictures - 1).
    """
    ranks = np.arange(1, pictures + 1)
    others = (wanted - 1) / max(pictures - 1, 1)
    return float(((1 + (ranks - 1) * others) / ranks).mean())


def fused(*evidence: Floats) -> npt.NDArray[np.float32]:
    """The sum of z-scores over the pictures, for arrays (..., N) of one shape."""
    parts = [
        (values - values.mean(axis=-1, keepdims=True))
        / np.maximum(values.std(axis=-1, keepdims=True), 1e-9)
        for values in evidence
    ]
    summed: npt.NDArray[np.float32] = np.sum(parts, axis=0, dtype=np.float32)
    return summed
