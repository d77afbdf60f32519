"""Large collections with the vectors of real pictures, for `bench/scale.py`.

A source collection gives P real photos with their regions and masks, as the model made them. Photo
number i of the large collection takes after one of them, drawn by lot: every vector v of it becomes
unit(v + SPREAD * (a - b)), where a and b are two more real vectors of the same kind. So the noise
has the directions and the clusters of real vectors, and neighbours stay neighbours. A wider
collection has the same vectors lifted by a random orthonormal map, with isotropic noise of length
LIFT_NOISE in the directions that are left; texts are lifted alike, each with noise of its own.

Letters: P photos of the source, N photos of a block, R regions of a photo, D width, S width of the
source.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor  # after the pipeline, which says how torch's threads wait

from indexer.catalog.rows import Features, FileRef, Link, PhotoRow, to_table, unpack_masks
from indexer.catalog.table import Catalog
from indexer.collection import Collection
from indexer.photos.facts import Facts
from indexer.pipeline import index
from indexer.publish import publish
from tips_model.embedder import open_embedder
from tips_model.features import Embedder, FeatureBatch

SPREAD = 0.5
LIFT_NOISE = 0.5
BLOCK = 4096  # photos of one commit
PUBLISH_BLOCKS = 8  # blocks between two publishes
ALBUMS = 100  # each album has 1 % of the photos, in no order of time
CAMERAS = 10  # each camera 10 %
SOURCE_PHOTOS = 1000
Array = npt.NDArray[np.float32]


def unit(vectors: Array) -> Array:
    """Rows at length 1."""
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), np.float32)


class Lift:
    """The map from the source's width S to a width D; the identity when they are equal."""

    def __init__(self, source: int, width: int) -> None:
        if width < source:
            raise SystemExit(f"--width must be at least {source}, the width of the source")
        self._extra = width - source
        square = np.random.default_rng(7).standard_normal((width, width)).astype(np.float32)
        self._map = np.linalg.qr(square)[0].astype(np.float32) if self._extra else None
        self._source = source

    def __call__(self, vectors: Array, rng: np.random.Generator) -> Array:
        """Unit vectors (N, S) -> (N, D)."""
        if self._map is None:
            return vectors
        noise = rng.standard_normal((len(vectors), self._extra), np.float32)
        noise *= np.float32(LIFT_NOISE / np.sqrt(self._extra))
        return unit(np.concatenate([vectors, noise], axis=1) @ self._map.T)


class LiftedEmbedder:
    """`nano` with texts of another width."""

    def __init__(self, embedder: Embedder, width: int) -> None:
        self._embedder = embedder
        self._lift = Lift(embedder.info.dim, width)
        self.info = replace(
            embedder.info, dim=width, model_id=f"{embedder.info.model_id}:lifted-{width}"
        )

    def prepare(self, image: Image.Image) -> Tensor:
        """As the embedder does."""
        return self._embedder.prepare(image)

    def embed_images(self, images: Sequence[Tensor]) -> Iterator[FeatureBatch]:
        """Features at the other width."""
        rng = np.random.default_rng(0)
        for batch in self._embedder.embed_images(images):
            heads = {name: self._lift(rows, rng) for name, rows in batch.heads.items()}
            flat = self._lift(batch.patches.flatten(0, 2).numpy(), rng)
            patches = torch.from_numpy(flat).view(*batch.patches.shape[:3], -1)
            yield FeatureBatch(batch.indices, heads, patches)

    def embed_texts(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """(N, D); a text has the same noise every time."""
        vectors = self._embedder.embed_texts(texts)
        seeds = [int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) for text in texts]
        rows = [
            self._lift(row[None], np.random.default_rng(seed))
            for row, seed in zip(vectors, seeds, strict=True)
        ]
        return np.concatenate(rows)

    def truncated(self, text: str) -> bool:
        """As the embedder says."""
        return self._embedder.truncated(text)


def open_model(width: int) -> Embedder:
    """`nano`, lifted where `width` is not its own."""
    embedder = open_embedder("nano")
    return embedder if width == embedder.info.dim else LiftedEmbedder(embedder, width)


def make_source(folder: Path, photos: int) -> Path:
    """A collection of drawn scenes, made once; returns its folder."""
    collection = folder / "collection"
    if not Collection.exists(collection):
        from tips_model.train.scenes import SceneSource
        from tips_model.train.scenes.export import write_coco
        from tips_model.train.scenes.source import spec_of

        source = SceneSource(seed=7, held_out=True)
        write_coco(folder / "scenes", source, spec_of("library"), photos, (288, 288))
        embedder = open_embedder("nano")
        made = Collection.create(collection, embedder.info)
        index(made, [folder / "scenes" / "images"], embedder)
    return collection


class Source:
    """The real photos: what blocks of photos are drawn from."""

    def __init__(self, folder: Path, regions: int, width: int) -> None:
        collection = Collection.open(folder)
        info = collection.model
        columns = [f"vector_{head}" for head in info.heads]
        wanted = [
            *columns,
            "thumbnail",
            "region_vectors",
            "region_boxes",
            "region_masks",
            "grid_h",
            "grid_w",
        ]
        ids = sorted(key for key, sound in collection.catalog().ids().items() if sound)
        table = collection.catalog().rows(ids, wanted).to_pylist()
        self.heads = {
            head: unit(np.array([row[f"vector_{head}"] for row in table], np.float32))
            for head in info.heads
        }
        self.thumbnails = [row["thumbnail"] for row in table]
        # A photo with fewer regions shows some of them twice, under noise of their own.
        picks = [np.arange(regions) % len(row["region_boxes"]) for row in table]
        pairs = list(zip(table, picks, strict=True))
        self.regions = unit(
            np.stack([np.array(row["region_vectors"], np.float32)[pick] for row, pick in pairs])
        )
        self.boxes = np.stack(
            [np.array(row["region_boxes"], np.float32)[pick] for row, pick in pairs]
        )
        self.masks = [
            unpack_masks(
                row["region_masks"], len(row["region_boxes"]), row["grid_h"], row["grid_w"]
            )[pick]
            for row, pick in pairs
        ]
        self._lift = Lift(info.dim, width)

    def block(self, number: int, photos: int) -> list[PhotoRow]:
        """The photos of block `number`, always the same."""
        rng = np.random.default_rng([11, number])
        chosen = rng.integers(0, len(self.masks), photos)
        heads = {name: self._drawn(real, chosen, rng) for name, real in self.heads.items()}
        count, width = self.regions.shape[1:]
        flat = self.regions.reshape(-1, width)
        rows = (chosen[:, None] * count + np.arange(count)).ravel()
        regions = self._drawn(flat, rows, rng).reshape(photos, count, -1)
        return [
            self._row(number * BLOCK + place, int(source), regions[place], heads, place, rng)
            for place, source in enumerate(chosen)
        ]

    @property
    def block_regions(self) -> int:
        """How many vectors `region_block` makes."""
        return BLOCK * self.regions.shape[1]

    def region_block(self, number: int) -> Array:
        """Region vectors alone, (block_regions, D), drawn like those of a block."""
        rng = np.random.default_rng([13, number])
        flat = self.regions.reshape(-1, self.regions.shape[2])
        return self._drawn(flat, rng.integers(0, len(flat), self.block_regions), rng)

    def _drawn(self, real: Array, rows: npt.NDArray[np.int64], rng: np.random.Generator) -> Array:
        a, b = rng.integers(0, len(real), (2, len(rows)))
        return self._lift(unit(real[rows] + np.float32(SPREAD) * (real[a] - real[b])), rng)

    def _row(
        self,
        number: int,
        source: int,
        regions: Array,
        heads: dict[str, Array],
        place: int,
        rng: np.random.Generator,
    ) -> PhotoRow:
        album = int(rng.integers(ALBUMS))
        taken = datetime(2010, 1, 1) + timedelta(minutes=number % 1_000_000 * 8)
        name = f"/library/album-{album:02}/{number:07}.jpg"
        return PhotoRow(
            hashlib.blake2b(str(number).encode(), digest_size=16).hexdigest(),
            [FileRef(name, "/library", 4_000_000, number, number)],
            format="JPEG",
            width=4000,
            height=3000,
            facts=Facts(
                taken=taken, camera=f"camera-{rng.integers(CAMERAS)}", latitude=48.0, longitude=11.0
            ),
            thumbnail=self.thumbnails[source],
            features=Features(
                {head: vectors[place] for head, vectors in heads.items()},
                regions,
                self.boxes[source],
                self.masks[source],
            ),
        )


def build(folder: Path, source: Path, images: int, regions: int, width: int) -> Collection:
    """A collection of so many photos in `folder`; goes on with one that was begun.

    `build.json` in it has the seconds that the catalog and publishing took, over all calls.
    """
    embedder = open_model(width)
    if Collection.exists(folder):
        collection = Collection.open(folder)
    else:
        collection = Collection.create(folder, embedder.info, max_regions=regions)
    catalog, real = collection.catalog(), None
    store = collection.vectors(read_only=False)
    present = catalog.counts()["ok"]
    done = False
    while not done:
        for _ in range(PUBLISH_BLOCKS):
            if present < images:
                real = real or Source(source, regions, width)
                began = time.perf_counter()
                _commit(catalog, real, present, min(images, (present // BLOCK + 1) * BLOCK))
                note(folder, "catalog_seconds", time.perf_counter() - began)
                present = catalog.counts()["ok"]
        done = present >= images
        report = publish(catalog, store)
        note(folder, "publish_seconds", report.seconds)
        print(f"{present} of {images} photos; published in {report.seconds:.0f} s", flush=True)
    if catalog.fragments() > 1:
        catalog.optimize()
    store.close()
    return collection


def add(collection: Collection, source: Path, regions: int, photos: int) -> float:
    """Publish so many more photos and take them away again; returns the seconds of publishing
    them."""
    catalog = collection.catalog()
    store = collection.vectors(read_only=False)
    real = Source(source, regions, collection.model.dim)
    rows = real.block(10**6, photos)
    catalog.commit(to_table(rows, catalog.schema, catalog.dim))
    seconds = publish(catalog, store).seconds
    catalog.commit(None, [Link(row.id, "removed", ()) for row in rows])
    publish(catalog, store)
    store.close()
    return seconds


def note(folder: Path, name: str, seconds: float) -> None:
    """Add to the times of the build."""
    path = folder / "build.json"
    times = json.loads(path.read_text()) if path.exists() else {}
    times[name] = times.get(name, 0.0) + seconds
    path.write_text(json.dumps(times))


def _commit(catalog: Catalog, source: Source, start: int, stop: int) -> None:
    number, offset = divmod(start, BLOCK)
    rows = source.block(number, BLOCK)[offset : stop - number * BLOCK]
    catalog.commit(to_table(rows, catalog.schema, catalog.dim))
