"""Publish into the embedded store: new points go to new shards; replaced images are marked dead.

Changes become visible only when the manifest is replaced; the next writer sweeps up leftovers of a
killed one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import numpy as np

from indexer.edge.compaction import MAX_POINTS, next_merge
from indexer.edge.manifest import Manifest, ShardEntry, read_manifest, write_manifest
from indexer.edge.shards import (
    ImageIds,
    ShardBuilder,
    merge_shards,
    read_images,
    sweep,
)
from indexer.vectors import KINDS, Kind, PointBatch, VectorError, check_points, vector_names
from tips_model.locks import lock

LOCK = "writer.lock"


class EdgeWriter:
    """`VectorWriter` of an embedded store: holds the folder's lock inside the `with` block.

    `empty` describes the store without shards; `on_commit` is called after each commit.
    """

    def __init__(
        self, folder: Path, empty: Manifest, *, rebuild: bool, on_commit: Callable[[], None]
    ) -> None:
        self._folder, self._empty, self._rebuild = folder, empty, rebuild
        self._on_commit = on_commit
        self._shards: dict[str, ShardEntry] = {}
        self._images: dict[str, ImageIds] = {}
        self._builders: dict[Kind, ShardBuilder] = {}
        self._lock: int | None = None

    def __enter__(self) -> EdgeWriter:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self._folder / LOCK, os.O_CREAT | os.O_RDWR, 0o644)
        try:
            if not lock(self._lock):
                raise VectorError(
                    f"another process is publishing to {self._folder}; try again when it is done"
                )
            # A rebuild must work when the manifest is unreadable, so it ignores it.
            if not self._rebuild:
                self._take_over(read_manifest(self._folder))
        except BaseException:
            self._unlock()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for builder in self._builders.values():
            builder.discard()
        self._builders.clear()
        self._unlock()

    def upsert(self, kind: Kind, points: PointBatch) -> None:
        """Replace all points of this kind of the batch's images by the batch."""
        self._check_entered()
        names = vector_names(kind, self._empty.heads)
        check_points(kind, points, names, self._empty.dim)
        self._bury(kind, points.images())
        builder = self._builders.get(kind)
        if builder is None:
            builder = ShardBuilder(self._folder, kind, names, self._empty.dim)
            self._builders[kind] = builder
        builder.add(points)
        if len(builder) >= MAX_POINTS:
            self._seal(kind)

    def remove(self, image_ids: Sequence[str]) -> None:
        """Drop the points of both kinds of these images; unknown ids are ignored."""
        self._check_entered()
        for kind in KINDS:
            self._bury(kind, image_ids)
            if kind in self._builders:
                self._builders[kind].drop(image_ids)

    def commit(self, revision: int) -> None:
        """Make all changes so far visible and durable, as revision `revision` of the catalog."""
        self._check_entered()
        for kind in list(self._builders):
            self._seal(kind)
        self._publish(revision)
        for kind in KINDS:
            if self._merge(kind):
                self._publish(revision)

    def _take_over(self, manifest: Manifest | None) -> None:
        shards = manifest.shards if manifest else ()
        if manifest:
            manifest.check_same_model(self._empty)
        sweep(self._folder, keep={shard.name for shard in shards})
        for shard in shards:
            self._append(shard)

    def _append(self, shard: ShardEntry) -> None:
        self._shards[shard.name] = shard
        self._images[shard.name] = read_images(self._folder / shard.name)

    def _bury(self, kind: Kind, image_ids: Sequence[str]) -> None:
        """Mark the images dead in every shard of the kind that contains them."""
        wanted = np.array(sorted(set(image_ids)), dtype="S32")
        for shard in [s for s in self._shards.values() if s.kind == kind]:
            have = self._images[shard.name]
            places = np.searchsorted(have, wanted).clip(max=len(have) - 1)
            dead = wanted[have[places] == wanted]
            self._shards[shard.name] = shard.bury(frozenset(i.decode() for i in dead.tolist()))

    def _seal(self, kind: Kind) -> None:
        entry = self._builders.pop(kind).seal()
        if entry is not None:
            self._append(entry)

    def _publish(self, revision: int) -> None:
        """Replace the manifest, then delete the folders that it does not name."""
        for name in [n for n, shard in self._shards.items() if shard.dead_share == 1]:
            del self._shards[name], self._images[name]
        shards = tuple(self._shards.values())
        write_manifest(self._folder, replace(self._empty, revision=revision, shards=shards))
        self._on_commit()
        sweep(self._folder, keep={shard.name for shard in shards})

    def _merge(self, kind: Kind) -> bool:
        """Merge if due; at most one merge per kind and commit bounds the cost of a commit."""
        chosen = next_merge([s for s in self._shards.values() if s.kind == kind])
        if not chosen:
            return False
        names = vector_names(kind, self._empty.heads)
        merged = merge_shards(self._folder, chosen, names, self._empty.dim)
        for shard in chosen:
            del self._shards[shard.name], self._images[shard.name]
        self._append(merged)
        return True

    def _check_entered(self) -> None:
        assert self._lock is not None, "the writer is a context manager: use it in a with block"

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
