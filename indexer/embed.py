"""Read photos ahead in threads and embed them in the calling thread. Keeps the order; memory is
bounded by two windows."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from indexer.catalog.rows import Features

if TYPE_CHECKING:
    from indexer.photo_reader import Reading
    from tips_model.features import Embedder

T = TypeVar("T")
R = TypeVar("R")


def look_ahead(
    function: Callable[[T], R], items: Iterable[T], *, threads: int, ahead: int
) -> Generator[R, None, None]:
    """`function` of each item, in order; at most `ahead` items are in progress or waiting.

    Exceptions of the function are raised here, in order. Closing the iterator cancels items that
    have not started.
    """
    pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")
    try:
        pending: deque[Future[R]] = deque()
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) >= ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def add_features(
    readings: Sequence[Reading],
    embedder: Embedder,
    max_regions: int,
    advance: Callable[[int], None],
    stopped: Callable[[], bool],
) -> list[Reading]:
    """Embed the readings that have pixels, and find their regions; returns the finished ones in
    order.

    advance: called with the number of photos embedded since the last call. stopped: called between
    two batches; when it returns True, the remaining readings are dropped.
    """
    from indexer.regions import find_regions  # imports torch

    todo = [reading for reading in readings if reading.pixels is not None]
    for batch in embedder.embed_images([r.pixels for r in todo if r.pixels is not None]):
        regions = find_regions(batch.patches, max_regions)
        vectors, masks = regions.vectors.numpy(), regions.masks.numpy()
        boxes, valid = regions.boxes.numpy(), regions.valid.numpy()
        for place, index in enumerate(batch.indices):
            row, keep = todo[index].row, valid[place]
            assert row is not None, "pixels come with a row"
            heads = {name: rows[place] for name, rows in batch.heads.items()}
            # Copies: a view would keep the arrays of the whole batch alive until the commit.
            row.features = Features(
                heads,
                vectors[place][keep].astype(np.float16),
                boxes[place][keep],
                masks[place][keep],
            )
            todo[index].pixels = None
        advance(len(batch.indices))
        if stopped():
            break
    return [reading for reading in readings if reading.pixels is None]
