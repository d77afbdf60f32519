"""Contrast texts: measure how much a place shows the query rather than anything else.

With one text alone everything in a picture lights up, because all patches lie in one cone
(Test-time Contrastive Concepts, arXiv 2407.05061). So a query is compared with the mean of contrast
texts: backgrounds and broad kinds of things (`search/word_lists/contrast.txt`). The mean is used
rather than the nearest text, which is often the query's own kind ("animal" for a squirrel) and
would suppress what should be highlighted.
"""

from __future__ import annotations

import numpy as np

from search.arrays import Array


def pointing(texts: Array, contrasts: Array) -> Array:
    """Unit directions (..., D) in which texts (..., D) differ from the mean of the contrast texts
    (C, D).
    """
    apart = texts - contrasts.mean(axis=0)
    lengths = np.maximum(np.linalg.norm(apart, axis=-1, keepdims=True), 1e-9)
    return np.asarray(apart / lengths, np.float32)
