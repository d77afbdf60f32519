"""The embedded vector engine: immutable Qdrant Edge shards behind a manifest, merged like a log.

Publishing writes one small new shard per kind and replaces the manifest; readers in other processes
keep the state they opened and load the new one with `refresh`. The engine holds the GIL while it
works, so publish in a separate process, and never fork with a store open (spawn instead).
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import qdrant_edge as edge

from indexer.edge.checksums import damaged_files
from indexer.edge.files import answering
from indexer.edge.filters import to_edge
from indexer.edge.manifest import Manifest, read_manifest
from indexer.edge.search import PAGE, search_shards
from indexer.edge.shards import point_vectors
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
    point_array,
    point_texts,
    query_rows,
)

_ALL_VALUES = 1_000_000  # values of a facet: shard counts only add up if none is cut off


class EdgeStore:
    """`VectorStore` on a folder. Thread-safe; reads nothing before the first use."""

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
        self._empty = Manifest(
            revision=0, model_id=model_id, heads=tuple(heads), dim=dim, shards=()
        )
        self._read_only = read_only
        self._current: EdgeState | None = None
        self._outdated = False
        self._lock = threading.Lock()

    @property
    def revision(self) -> int:
        """The catalog revision that this state shows; 0 before the first publish."""
        manifest = self._state().manifest
        return manifest.revision if manifest else 0

    @answering()
    def count(self, kind: Kind, filter: Filter | None = None) -> int:
        """The number of live points that match."""
        total = 0
        for part in self._state().of(kind):
            if filter is None:  # checked when the shard was opened
                total += part.entry.points
            else:
                total += part.shard.count(edge.CountRequest(exact=True, filter=to_edge(filter)))
            if part.entry.dead:
                dead = part.dead_among(filter)
                total -= part.shard.count(edge.CountRequest(exact=True, filter=dead))
        return total

    @answering()
    def facet(
        self, field: str, filter: Filter | None = None, limit: int = 100
    ) -> list[tuple[str | int, int]]:
        """The values of a keyword or integer field over images: (value, count), most frequent
        first."""
        counts: defaultdict[str | int, int] = defaultdict(int)
        for part in self._state().of("images"):
            if field not in part.shard.info().payload_schema:
                for value in part.values(field, filter):
                    counts[value] += 1
                continue
            requests = [(1, to_edge(filter))]
            if part.entry.dead:
                requests.append((-1, part.dead_among(filter)))
            for sign, where in requests:
                request = edge.FacetRequest(field, limit=_ALL_VALUES, exact=True, filter=where)
                for hit in part.shard.facet(request).hits:
                    counts[hit.value] += sign * hit.count
        used = [item for item in counts.items() if item[1]]
        return sorted(used, key=lambda item: (-item[1], str(item[0])))[:limit]

    @answering()
    def search(
        self,
        kind: Kind,
        vectors: npt.ArrayLike,
        *,
        using: str,
        filter: Filter | None = None,
        limit: int,
        exact: bool = False,
    ) -> list[VectorHits]:
        """The `limit` nearest points of all shards for each row of `vectors` (Q, D)."""
        queries = query_rows(vectors, self._empty.dim)
        shards, where = [*self._state().of(kind)], to_edge(filter)
        return search_shards(shards, queries, using, where, limit, exact=exact)

    @answering()
    def scores(
        self, kind: Kind, points: PointArray, vector: npt.ArrayLike, *, using: str
    ) -> FloatArray:
        """The cosines (N,) of these points with one vector (D,)."""
        (query,) = query_rows(np.asarray(vector)[None], self._empty.dim)
        scores = np.full(len(points), np.nan, np.float32)
        order = np.argsort(points)
        for part in self._state().of(kind):
            wanted = np.isnan(scores) & part.alive(points)
            found, cosines = part.score(points[wanted], query, using)
            scores[order[np.searchsorted(points, found, sorter=order)]] = cosines
        _check_found(kind, points, ~np.isnan(scores))
        return scores

    @answering()
    def payloads(
        self, kind: Kind, points: PointArray, fields: Sequence[str] | None = None
    ) -> list[Payload]:
        """The payloads of these points in this order, all fields or some."""
        ids = point_texts(points)
        found: dict[str, Payload] = {}
        for part in self._state().of(kind):
            wanted = part.missing(ids, found)
            what = True if fields is None else list(fields)
            records = part.shard.retrieve(wanted, what, False) if wanted else []
            found |= {str(record.id): record.payload or {} for record in records}
        _check_found(kind, points, np.array([i in found for i in ids], bool))
        return [found[i] for i in ids]

    @answering()
    def vectors(self, kind: Kind, ids: Sequence[str], using: str) -> FloatArray:
        """The vectors (N, D), unit norm, of these points in this order."""
        found: dict[str, FloatArray] = {}
        for part in self._state().of(kind):
            wanted = part.missing(ids, found)
            records = part.shard.retrieve(wanted, False, [using]) if wanted else []
            if records:
                names = [str(record.id) for record in records]
                found.update(zip(names, point_vectors(records, using), strict=True))
        _check_found(kind, point_array(ids), np.array([i in found for i in ids], bool))
        if not ids:
            return np.zeros((0, self._empty.dim), np.float32)
        return np.stack([found[i] for i in ids])

    def scroll_ids(self, kind: Kind) -> Iterator[list[str]]:
        """The ids of all live points, page by page."""
        for part in self._state().of(kind):
            records = part.records(None, with_payload=False)
            while page := _page(records):
                yield page

    def refresh(self) -> bool:
        """Load what was published since; True when there was something new."""
        with self._lock:
            before, state = self._current, EdgeState.open(self._folder, self._current)
            if state.manifest is not None:
                state.manifest.check_same_model(self._empty)
            # Running searches keep the older state; its shards close when the last of them ends.
            self._current, self._outdated = state, False
            return before is None or before.manifest != state.manifest

    def writer(self, rebuild: bool = False) -> EdgeWriter:
        """A writer on top of the published state, or on an empty one for `rebuild`."""
        if self._read_only:
            raise VectorError(f"the vector store {self._folder} is open read-only")
        return EdgeWriter(self._folder, self._empty, rebuild=rebuild, on_commit=self._expire)

    def damaged(self) -> list[str]:
        """The published shards' files that changed since sealing; reads them all."""
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
                pass  # entering the writer sweeps

    def close(self) -> None:
        """Close the files; the store must not be used afterwards."""
        with self._lock:
            if self._current is not None:
                self._current.close()
                self._current = None

    def _expire(self) -> None:
        self._outdated = True  # a writer of this store committed: reload on the next use

    def _state(self) -> EdgeState:
        state = self._current
        if state is None or self._outdated:
            self.refresh()
            state = self._current
            assert state is not None
        return state


@answering()
def _page(records: Iterator[edge.Record]) -> list[str]:
    return [str(record.id) for record in islice(records, PAGE)]


def _check_found(kind: Kind, points: PointArray, found: npt.NDArray[np.bool_]) -> None:
    if not found.all():
        (missing,) = point_texts(points[~found][:1])
        raise VectorError(f"point {missing} is not among the published {kind}")
