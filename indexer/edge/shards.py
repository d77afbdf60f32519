"""Build, seal, merge and open Qdrant Edge shards.

A sealed shard is complete on disk and opening it changes nothing, so any number of processes may
open it (there is no write-ahead log, which would lock it; the catalog is the log). `layout.py`
defines its layout.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import numpy as np
import numpy.typing as npt
import qdrant_edge as edge

from indexer.edge import layout as edge_layout
from indexer.edge.checksums import damaged_files, write_checksums
from indexer.edge.files import check_room, copy_shard, disk_size
from indexer.edge.layout import PAYLOAD_INDEX, shard_config
from indexer.edge.manifest import ShardEntry, sync_tree
from indexer.fields import FIELDS
from indexer.vectors import (
    FloatArray,
    Kind,
    PointBatch,
    VectorError,
)

IMAGES_FILE = "images.npy"  # next to the engine's files: the sorted image ids of the shard
PREFIX = "shard-"
_DROPPED = "dropped-"
_WRITE_CHUNK = 1024  # points per engine call
_PAYLOAD = 2048  # approximate bytes of a point's payload and its index entries
INDEX_FROM = 512  # points; an index is a dozen synced files, and a few payloads are faster to read
ImageIds = npt.NDArray[np.bytes_]


class ShardBuilder:
    """A new shard that accepts points until it is sealed or discarded; no manifest names it."""

    def __init__(self, folder: Path, kind: Kind, names: Sequence[str], dim: int) -> None:
        self.kind: Kind = kind
        self.images: set[str] = set()
        self._points = self._rolled = 0
        self._names, self._dim = tuple(names), dim
        self._path = _new_shard_path(folder, kind)
        check_room(folder, 0)
        self._path.mkdir(parents=True)
        self._config = shard_config(self._names, dim, quantised=False)
        self._shard = edge.EdgeShard.create(str(self._path), self._config)

    def __len__(self) -> int:
        return self._points

    def add(self, batch: PointBatch) -> None:
        """Add the batch, replacing earlier points of its images in this shard."""
        check_room(self._path, batch_size(batch))
        images = batch.images()
        self.drop(images)
        for start in range(0, len(batch), _WRITE_CHUNK):
            points = [
                edge.Point(
                    batch.ids[i],
                    {name: batch.vectors[name][i] for name in self._names},
                    batch.payload[i],
                )
                for i in range(start, min(start + _WRITE_CHUNK, len(batch)))
            ]
            self._shard.update(edge.UpdateOperation.upsert_points(points))
        self.images.update(images)
        self._points += len(batch)
        if self._points - self._rolled >= edge_layout.SEGMENT_POINTS:
            self._roll()

    def _roll(self) -> None:
        """Finish the full segment; the next points go to a new one."""
        self._shard.flush()
        self._shard.close()
        _finish(self._path, self.kind, self._names, self._dim, self._points)
        self._shard = edge.EdgeShard.load(str(self._path), self._config)
        self._rolled = self._points

    def drop(self, image_ids: Sequence[str]) -> None:
        """Delete the points of these images in this shard."""
        known = self.images.intersection(image_ids)
        if known:
            self._shard.update(delete_images(known))
            self.images -= known
            self._points = self._shard.count(edge.CountRequest(exact=True))

    def seal(self) -> ShardEntry | None:
        """Finish the shard durably and return its entry; None (and no folder) when it is empty."""
        if not self.images:
            self.discard()
            return None
        self._shard.flush()
        self._shard.close()
        _finish(self._path, self.kind, self._names, self._dim, self._points)
        return _seal(self._path, self.kind, self.images)

    def discard(self) -> None:
        """Delete the shard and its folder."""
        self._shard.close()
        shutil.rmtree(self._path)


def batch_size(batch: PointBatch) -> int:
    """Approximate disk usage of the points in bytes."""
    return len(batch) * _PAYLOAD + sum(vectors.nbytes for vectors in batch.vectors.values())


def merge_shards(
    folder: Path, entries: Sequence[ShardEntry], names: Sequence[str], dim: int
) -> ShardEntry:
    """One sealed shard with the live points of the entries, which stay unchanged; at least one must
    live.

    The segments are copied and merged by the engine, which is an order of magnitude faster than
    reading the vectors out and writing them again. Raises `VectorError` when a copy differs from
    what was sealed: damage must not spread to a new shard.
    """
    # Their copies, plus the merged segment.
    check_room(folder, 2 * disk_size([folder / entry.name for entry in entries]))
    images: set[str] = set()
    for entry in entries:
        images |= {image.decode() for image in read_images(folder / entry.name)} - entry.dead
    path = _new_shard_path(folder, entries[0].kind)
    for number, entry in enumerate(entries):
        part = path if number == 0 else path.with_name(path.name + ".part")
        copy_shard(folder / entry.name, part)
        if damaged := damaged_files(part, entry.checksum):
            raise VectorError(
                f"shard {entry.name} of the vector store is damaged ({damaged[0]}); `tips verify "
                "--repair` rebuilds the vectors from the catalog"
            )
        if entry.dead:
            # Before the merge: an image that is dead here may live in another of the entries.
            _delete_images(part, entry.dead)
        if part != path:
            for segment in (part / "segments").iterdir():
                segment.rename(path / "segments" / segment.name)
            shutil.rmtree(part)
    points = sum(entry.live_points for entry in entries)
    _finish(path, entries[0].kind, names, dim, points, merge=True)
    return _seal(path, entries[0].kind, images)


def read_images(shard_path: Path) -> ImageIds:
    """The sorted ids of the images in a shard. Raises `VectorError`."""
    try:
        images: ImageIds = np.load(shard_path / IMAGES_FILE, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise VectorError(
            f"shard {shard_path.name} of the vector store is damaged or gone ({error}); `tips "
            "rebuild` rebuilds the store from the catalog"
        ) from error
    return images


def sweep(folder: Path, keep: set[str]) -> None:
    """Delete the shard folders not in `keep`, and leftovers of earlier sweeps."""
    for path in folder.iterdir():
        if path.name.startswith(PREFIX) and path.name not in keep:
            # Rename first: a reader must not open a half-deleted shard. The name is unique, as a
            # reader may have recreated what an earlier sweep removed.
            path.rename(path.with_name(f"{_DROPPED}{path.name}-{uuid4().hex[:8]}"))
    for path in folder.glob(_DROPPED + "*"):
        # A reader that is just closing may add a file; the next sweep deletes it.
        shutil.rmtree(path, ignore_errors=True)


def point_vectors(records: Sequence[edge.Record], name: str) -> FloatArray:
    """The named vectors of retrieved records, (N, D), renormalised after float16."""
    named = (cast(dict[str, Any], record.vector) for record in records)
    vectors = np.array([vectors[name] for vectors in named], np.float32)
    unit: FloatArray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def _new_shard_path(folder: Path, kind: Kind) -> Path:
    return folder / f"{PREFIX}{kind}-{uuid4().hex[:12]}"


def _finish(
    path: Path, kind: Kind, names: Sequence[str], dim: int, points: int, *, merge: bool = False
) -> None:
    """Index the payload and build codes where the size pays off, and merge segments if asked."""
    quantised = points >= edge_layout.QUANTISE_FROM
    if points < INDEX_FROM and not merge:
        return
    check_room(path, disk_size([path]))
    shard = edge.EdgeShard.load(str(path), shard_config(names, dim, quantised=quantised))
    shard.optimize()
    if points >= INDEX_FROM:
        # On the new segment: indexes of the old ones would be wasted.
        for name, field in FIELDS.items():
            if kind in field.indexed:
                index = PAYLOAD_INDEX[field.type]
                shard.update(edge.UpdateOperation.create_field_index(name, index))
    shard.flush()
    shard.close()


def _delete_images(path: Path, image_ids: Iterable[str]) -> None:
    shard = edge.EdgeShard.load(str(path))
    shard.update(delete_images(image_ids))
    shard.flush()
    shard.close()


def delete_images(image_ids: Iterable[str]) -> edge.UpdateOperation:
    """The operation that deletes all points of these images."""
    where = edge.FieldCondition("image", match=edge.MatchAny(list(image_ids)))
    return edge.UpdateOperation.delete_points_by_filter(edge.Filter(must=[where]))


def _seal(path: Path, kind: Kind, images: set[str]) -> ShardEntry:
    np.save(path / IMAGES_FILE, np.array(sorted(images), dtype="S32"))
    # The first opening after writing still rewrites journals; later ones change nothing.
    shard = edge.EdgeShard.load(str(path))
    points = shard.info().points_count
    shard.close()
    checksum = write_checksums(path)
    sync_tree(path)
    return ShardEntry(
        name=path.name, kind=kind, points=points, images=len(images), checksum=checksum
    )
