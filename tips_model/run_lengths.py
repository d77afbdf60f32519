"""COCO's run-length masks: lengths of runs of pixels, outside and inside in turn,
column by column.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def run_lengths(
    mask: NDArray[np.bool_], width: int | None = None, height: int | None = None
) -> NDArray[np.int64]:
    """The runs of cells (h, w) stretched over width x height pixels, or one pixel each; the first
    run is outside (0 if the first pixel is inside).
    """
    rows, columns = (
        np.diff(np.round(np.arange(cells + 1) * (side or cells) / cells).astype(np.int64))
        for cells, side in zip(mask.shape, (height, width), strict=True)
    )
    # Every pixel column is a sequence of cells; only run borders are computed.
    inside = mask.T.repeat(columns, axis=0)[:, rows > 0].ravel()
    pixels = np.tile(rows[rows > 0], columns.sum())
    last = np.append(np.flatnonzero(inside[1:] != inside[:-1]), len(inside) - 1)
    counts = np.diff(pixels.cumsum()[last], prepend=0)
    return np.insert(counts, 0, 0) if inside[0] else counts


def mask_of_runs(counts: Sequence[int], width: int, height: int) -> NDArray[np.bool_]:
    """The mask (height, width) from run lengths."""
    flat: NDArray[np.bool_] = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    return flat.reshape(width, height).T
