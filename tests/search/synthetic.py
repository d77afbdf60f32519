"""Collections of any size whose vectors are drawn, not computed from pixels."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from PIL import Image

from indexer.catalog.rows import Features, FileRef, PhotoRow, to_table
from indexer.collection import Collection
from indexer.photos.facts import Facts
from indexer.publish import publish
from tips_model.features import Embedder

REGIONS = 4
KINDS = 40  # of photos: those of one kind look alike
_BLOCK = 500


def make_collection(
    folder: Path, embedder: Embedder, photos: int, *, texts: tuple[str, ...] = (), like: int = 1
) -> Collection:
    """A collection of so many photos, some of which show the texts.

    `like`: so many photos in a row have the same vectors, so that their scores are equal. One in
    seven has no date, and dates repeat; every hundredth is published on its own, in a shard.
    """
    rng = np.random.default_rng(photos)
    info = embedder.info
    collection = Collection.create(folder, info, weights=info.name)
    catalog, store = collection.catalog(), collection.vectors(read_only=False)
    kinds = rng.standard_normal((KINDS, info.dim))
    told = embedder.embed_texts(list(texts)) if texts else np.zeros((0, info.dim), np.float32)
    rows = []
    for number in range(photos):
        if number % like == 0:
            centre = kinds[rng.integers(KINDS)]
            around = rng.standard_normal((REGIONS + 1, info.dim)) + centre
            around /= np.linalg.norm(around, axis=1, keepdims=True)
            if len(told) and number % 23 == 0:
                around += 0.6 * told[rng.integers(len(told))]
        rows.append(_row(number, around, info.heads))
    first = max(1, photos - photos // 100)
    for part in (rows[:first], rows[first:]):
        for start in range(0, len(part), _BLOCK):
            block = part[start : start + _BLOCK]
            catalog.commit(to_table(block, catalog.schema, catalog.dim))
        publish(catalog, store)
    store.close()
    return collection


def _row(number: int, vectors: np.ndarray, heads: tuple[str, ...]) -> PhotoRow:
    unit = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    name = hashlib.blake2b(str(number).encode(), digest_size=16).hexdigest()
    corners = np.array([(0, 0), (0.5, 0), (0, 0.5), (0.5, 0.5)])
    masks = np.zeros((REGIONS, 4, 4), bool)
    for k, (x, y) in enumerate((corners * 4).astype(int)):
        masks[k, y : y + 2, x : x + 2] = True
    taken = datetime(2015, 1, 1) + timedelta(days=number // 3)
    return PhotoRow(
        name,
        [FileRef(f"/library/{number % 7}/IMG_{number // 2:05}.jpg", "/library", 1, number, number)],
        format="JPEG",
        width=400,
        height=300,
        facts=Facts(
            taken=taken if number % 7 else None,
            camera=("Canon", "Nikon")[number % 2],
            keywords=("summer", f"place {number % 3}") if number % 2 else (),
            latitude=48.0 if number % 5 == 0 else None,
            longitude=11.0 if number % 5 == 0 else None,
        ),
        thumbnail=None,
        features=Features(
            dict.fromkeys(heads, unit[0]), unit[1:], np.hstack([corners, corners + 0.5]), masks
        ),
    )


def picture(seed: int = 0) -> Image.Image:
    """A picture of noise."""
    pixels = np.random.default_rng(seed).integers(0, 256, (64, 96, 3), np.uint8)
    return Image.fromarray(pixels)
