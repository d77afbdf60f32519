"""Rows of a catalog with known contents."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa

from indexer.catalog.rows import Features, FileRef, Link, PhotoRow, photo_schema, to_table
from indexer.photos.facts import Facts
from tests.indexer.vector_cases import DIM, HEADS, image_id, unit

GRID = (4, 6)
REGIONS = 5


def photo(number: int, *, folder: str = "/photos/a", version: int = 0) -> PhotoRow:
    """Photo `number` with five regions; every third has no EXIF."""
    rng = np.random.default_rng(number)
    masks = rng.random((REGIONS, *GRID)) < 0.5
    known = number % 3 != 0
    return PhotoRow(
        id=image_id(number),
        files=[FileRef(f"{folder}/{number}.jpg", "/photos", 1000 + number, number, number)],
        format="JPEG",
        width=640,
        height=480,
        facts=Facts(
            taken=datetime(2021, 5, 1) + timedelta(days=number),
            camera="Nikon Z6",
            latitude=48.5,
            longitude=11.25,
        )
        if known
        else Facts(),
        thumbnail=b"webp",
        features=Features(
            heads={h: unit(10 * number + i + 1000 * version, 1)[0] for i, h in enumerate(HEADS)},
            regions=unit(7_000_000 + number, REGIONS),
            boxes=rng.random((REGIONS, 4)).astype(np.float32),
            masks=masks,
        ),
    )


def broken(number: int) -> PhotoRow:
    """A photo that could not be read."""
    return PhotoRow(
        id=image_id(number),
        files=[FileRef(f"/photos/a/{number}.jpg", "/photos", 3, 4, 5)],
        reason="truncated",
    )


def table(rows: Sequence[PhotoRow]) -> pa.Table:
    """The rows as the catalog takes them."""
    return to_table(rows, photo_schema(HEADS, DIM), DIM)


def removal(numbers: Sequence[int]) -> list[Link]:
    """The links by which these photos are gone."""
    return [Link(image_id(number), "removed", ()) for number in numbers]
