"""Find pairs of near vectors by blockwise products, with memory independent of the collection's
size.

Letters: N vectors, D width, M pairs.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch

from search.arrays import Array

Ints = npt.NDArray[np.int64]
BLOCK = 1024
"""Vectors per block; the products of two blocks fit into a processor's cache."""


def near_pairs(
    vectors: npt.NDArray[np.float16],
    least: float,
    *,
    most: int,
    start: int = 0,
    device: str = "cpu",
    progress: Callable[[int], None] = lambda rows: None,
) -> tuple[Ints, Ints, Array]:
    """Rows i and j < i of unit vectors (N, D) with a product of at least `least`, and the products,
    (M,) each, for the rows from `start` on.

    Each row yields at most its `most` nearest earlier ones. Rows may be in a file (`numpy.memmap`).
    `progress` receives the number of rows done.
    """
    parts = [
        _block_pairs(vectors, at, min(at + BLOCK, len(vectors)), least, most, device, progress)
        for at in range(start, len(vectors), BLOCK)
    ]
    if not parts:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32)
    rows, columns, products = (np.concatenate(values) for values in zip(*parts, strict=True))
    return rows, columns, products


def _block_pairs(
    vectors: npt.NDArray[np.float16],
    begin: int,
    end: int,
    least: float,
    most: int,
    device: str,
    progress: Callable[[int], None],
) -> tuple[Ints, Ints, Array]:
    own = _floats(vectors[begin:end], device)
    best = torch.full((end - begin, most), -2.0, device=device)
    place = torch.zeros((end - begin, most), dtype=torch.int64, device=device)
    for at in (*range(0, begin, BLOCK), begin):
        others = own if at == begin else _floats(vectors[at : min(at + BLOCK, begin)], device)
        products = own @ others.T
        if at == begin:
            products.masked_fill_(torch.ones_like(products, dtype=torch.bool).triu(), -2.0)
        # Few rows have a near one here, and sorting a row costs more than its products.
        some = torch.nonzero(products.amax(1) >= least).squeeze(1)
        if len(some):
            top = products[some].topk(min(most, products.shape[1]))
            both = torch.cat([best[some], top.values], 1).topk(most)
            places = torch.cat([place[some], top.indices + at], 1)
            best[some], place[some] = both.values, places.gather(1, both.indices)
    progress(end - begin)
    row, column = torch.nonzero(best >= least, as_tuple=True)
    found = place[row, column], best[row, column]
    return (row + begin).cpu().numpy(), found[0].cpu().numpy(), found[1].cpu().numpy()


def _floats(rows: npt.NDArray[np.float16], device: str) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(rows)).to(device).float()
