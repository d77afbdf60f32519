"""How much a place shows the query rather than anything else.

With one text alone everything in a picture lights up, because all patches lie in one cone
(Test-time Contrastive Concepts, arXiv 2407.05061). So a patch's cosine with the query is held
against its soft maximum over contrast texts: backgrounds and broad kinds of things
(`search/contrast.txt`), without those that mean about the same as the query.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import numpy as np

from search.cutoff import Array

SAME_MEANING = 0.5
"""Contrast texts whose centred cosine with the query is above this are left out: they would erase
what they should point out.
"""


@cache
def word_list(name: str) -> tuple[str, ...]:
    """The texts of a list beside this module ("unrelated" or "contrast"), in order."""
    lines = files("search").joinpath(f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))


def different(query: Array, contrasts: Array, centre: Array) -> Array:
    """Those of the contrast vectors (C, D) that do not mean the same as the query (D,); `centre`
    (D,) is the mean text.

    At least one stays: the most different.
    """
    centred, target = contrasts - centre, query - centre
    norms = np.linalg.norm(centred, axis=1) * np.linalg.norm(target)
    cosines = centred @ target / np.maximum(norms, 1e-12)
    keep = cosines <= max(SAME_MEANING, float(cosines.min()))
    kept: Array = contrasts[keep]
    return kept


def margins(features: Array, query: Array, contrasts: Array) -> Array:
    """cos(x, query) - soft maximum of cos(x, contrast), for unit features (..., D) -> (...).

    The temperature of the soft maximum is the spread of the contrast cosines themselves, so that it
    fits any model: m(x) = x·q - s ln mean_c exp(x·c / s), s their standard deviation.
    """
    cosines = features @ contrasts.T
    spread = max(float(cosines.std()), 1e-6)
    peak = cosines.max(axis=-1, keepdims=True)
    mean = np.exp((cosines - peak) / spread).mean(axis=-1)
    result = features @ query - (peak[..., 0] + spread * np.log(mean))
    return np.asarray(result, np.float32)
