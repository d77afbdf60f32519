"""The embedded vector engine: immutable Qdrant Edge shards behind a manifest, merged like a log.

Publishing writes one small new shard per kind and replaces the manifest; readers in other
processes keep the state they opened and take up the new one with `refresh`. The engine holds the
interpreter while it works, so publish in a process of its own, and never fork with a store open
(spawn instead).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from indexer.edge.checksums import damaged_files
from indexer.edge.manifest import Manifest, read_manifest
from indexer.edge.state import EdgeState
from indexer.edge.writer import EdgeWriter
from indexer.vectors import (
    Filter,
    FloatArray,
    Kind,
    Payload,
    PointArray,
    VectorError,
    VectorHits,
    query_rows,
)


class EdgeStore:
    """`VectorStore` on a folder. Threads may share it; nothing is read before the first use."""

    def __init__(
        self,
        folder: Path,
        *,
        heads: Sequence[str],
        dim: int,
        model_id: str,
        read_only: bool = True,
    ) -> None:
        self._folder = folder
        self._empty = Manifest(model_id=model_id, heads=tuple(heads), dim=dim)
        self._read_only = read_only
        self._current: EdgeState | None = None
        self._outdated = False
        self._lock = threading.Lock()

    @property
    def revision(self) -> int:
        """The catalog's revision that this state shows; 0 when nothing was published."""
        manifest = self._state().manifest
        return manifest.revision if manifest else 0

    def count(self, kind: Kind, filter: Filter | None = None) -> int:
        """The number of points that match."""
        return self._state().count(kind, filter)

    def search(
        self,
        kind: Kind,
        vectors: npt.ArrayLike,
        *,
        using: str,
        filter: Filter | None = None,
        limit: int,
    ) -> list[VectorHits]:
        """The `limit` nearest points for each row of `vectors` (Q, D)."""
        queries = query_rows(vectors, self._empty.dim)
        return self._state().search(kind, queries, using=using, filter=filter, limit=limit)

    def vectors(self, kind: Kind, ids: Sequence[str], using: str) -> FloatArray:
        """The vectors (N, D), unit norm, of these points in this order."""
        return self._state().vectors(kind, ids, using, self._empty.dim)

    def scores(
        self, kind: Kind, points: PointArray, vector: npt.ArrayLike, *, using: str
    ) -> FloatArray:
        """The cosines (N,) of these points with one vector (D,)."""
        (query,) = query_rows(np.asarray(vector)[None], self._empty.dim)
        return self._state().scores(kind, points, query, using)

    def payloads(
        self, kind: Kind, points: PointArray, fields: Sequence[str] | None = None
    ) -> list[Payload]:
        """The payloads of these points in this order, all of it or some fields."""
        return self._state().payloads(kind, points, fields)

    def facet(
        self, field: str, filter: Filter | None = None, limit: int = 100
    ) -> list[tuple[str | int, int]]:
        """The values of a keyword or integer field over images: (value, count), most first."""
        counts = self._state().facet(field, filter)
        return sorted(counts.items(), key=lambda item: (-item[1], str(item[0])))[:limit]

    def scroll_ids(self, kind: Kind) -> Iterator[list[str]]:
        """All point ids, in pages."""
        return self._state().scroll_ids(kind)

    def refresh(self) -> bool:
        """Take up what was published since; True when there was something new."""
        with self._lock:
            before = self._current
            self._current = self._open(before)
            self._outdated = False
            # Searches under way keep the older state; its shards close when the last of them ends.
            return before is None or before.manifest != self._current.manifest

    def writer(self, rebuild: bool = False) -> EdgeWriter:
        """A writer on top of the published state, or on nothing when `rebuild`."""
        if self._read_only:
            raise VectorError(f"the vector store {self._folder} is open for reading only")
        return EdgeWriter(self._folder, self._empty, rebuild=rebuild, on_commit=self._expire)

    def damaged(self) -> list[str]:
        """The files of the published shards that are not as they were sealed; reads them all."""
        manifest = read_manifest(self._folder)
        shards = manifest.shards if manifest else ()
        return [
            f"{shard.name}/{name}"
            for shard in shards
            for name in damaged_files(self._folder / shard.name, shard.checksum)
        ]

    def tidy(self) -> None:
        """Delete the shards that no manifest names."""
        if self._folder.is_dir():
            with self.writer():
                pass  # whoever enters sweeps

    def close(self) -> None:
        """Close the files; the store is not used afterwards."""
        with self._lock:
            if self._current is not None:
                self._current.close()
                self._current = None

    def _expire(self) -> None:
        self._outdated = True  # a writer of this store committed: the next use takes that up

    def _state(self) -> EdgeState:
        state = self._current
        if state is None or self._outdated:
            self.refresh()
            state = self._current
            assert state is not None
        return state

    def _open(self, previous: EdgeState | None) -> EdgeState:
        state = EdgeState.open(self._folder, previous)
        if state.manifest is not None:
            state.manifest.check_same_model(self._empty)
        return state
