"""One published state of the embedded store, opened: its shards searched as if they were one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import qdrant_edge as edge

from indexer.edge.files import ShardError, answering, open_shard, read_ahead
from indexer.edge.filters import to_edge
from indexer.edge.manifest import Manifest, read_manifest
from indexer.edge.search import OpenShard, search_shards
from indexer.edge.shards import point_vectors
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
)

_PAGE = 4096  # ids per page of a scroll
_ALL_VALUES = 1_000_000  # values of a facet: shards can only be added up when each tells all


class EdgeState:
    """The open shards of one manifest (None: nothing is published). Threads may share it."""

    def __init__(self, manifest: Manifest | None, shards: Sequence[OpenShard]) -> None:
        self.manifest = manifest
        self._shards = tuple(shards)

    @classmethod
    def open(cls, folder: Path, previous: EdgeState | None = None) -> EdgeState:
        """The newest published state; shards that `previous` has open are taken over."""
        at_hand = {s.entry.name: s.shard for s in previous._shards} if previous else {}
        manifest = read_manifest(folder)
        while True:
            entries = manifest.shards if manifest else ()
            try:
                for entry in entries:
                    if entry.name not in at_hand:
                        at_hand[entry.name] = open_shard(folder / entry.name, entry.points)
            except ShardError as error:
                # A writer may have merged it away meanwhile; then there is a newer manifest.
                newer = read_manifest(folder)
                if newer == manifest:
                    raise VectorError(
                        f"shard {entry.name} of the vector store is damaged or gone ({error}); "
                        "`tips rebuild` makes the store new from the catalog"
                    ) from error
                manifest = newer
            else:
                known = {s.entry.name for s in previous._shards} if previous else set()
                read_ahead([folder / e.name for e in entries if e.name not in known])
                return cls(manifest, [OpenShard.of(e, at_hand[e.name]) for e in entries])

    @answering()
    def count(self, kind: Kind, filter: Filter | None) -> int:
        """The number of live points that match."""
        total = 0
        for part in self._of(kind):
            if filter is None:  # checked when the shard was opened
                total += part.entry.points
            else:
                total += part.shard.count(edge.CountRequest(exact=True, filter=to_edge(filter)))
            if part.entry.dead:
                dead = part.dead_among(filter)
                total -= part.shard.count(edge.CountRequest(exact=True, filter=dead))
        return total

    @answering()
    def facet(self, field: str, filter: Filter | None) -> dict[str | int, int]:
        """Value -> number of live images that have it, zero counts left out."""
        counts: defaultdict[str | int, int] = defaultdict(int)
        for part in self._of("images"):
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
        return {value: count for value, count in counts.items() if count}

    @answering()
    def search(
        self, kind: Kind, queries: FloatArray, *, using: str, filter: Filter | None, limit: int
    ) -> list[VectorHits]:
        """The best live points of all shards for each query (Q, D)."""
        return search_shards(list(self._of(kind)), queries, using, to_edge(filter), limit)

    @answering()
    def scores(self, kind: Kind, points: PointArray, query: FloatArray, using: str) -> FloatArray:
        """The cosines (N,) of live points with a query (D,); raises `VectorError` if one is
        missing."""
        scores = np.full(len(points), np.nan, np.float32)
        order = np.argsort(points)
        for part in self._of(kind):
            wanted = np.isnan(scores) & part.alive(points)
            found, cosines = part.score(points[wanted], query, using)
            scores[order[np.searchsorted(points, found, sorter=order)]] = cosines
        _check_found(kind, points, ~np.isnan(scores))
        return scores

    @answering()
    def payloads(
        self, kind: Kind, points: PointArray, fields: Sequence[str] | None
    ) -> list[Payload]:
        """The payloads of live points; raises `VectorError` if one is missing."""
        ids = point_texts(points)
        found: dict[str, Payload] = {}
        for part in self._of(kind):
            wanted = part.missing(ids, found)
            what = True if fields is None else list(fields)
            records = part.shard.retrieve(wanted, what, False) if wanted else []
            found |= {str(record.id): record.payload or {} for record in records}
        _check_found(kind, points, np.array([i in found for i in ids], bool))
        return [found[i] for i in ids]

    @answering()
    def vectors(self, kind: Kind, ids: Sequence[str], using: str, dim: int) -> FloatArray:
        """The live vectors (N, dim) of these points; raises `VectorError` if one is missing."""
        found: dict[str, FloatArray] = {}
        for part in self._of(kind):
            wanted = part.missing(ids, found)
            records = part.shard.retrieve(wanted, False, [using]) if wanted else []
            if records:
                names = [str(record.id) for record in records]
                found.update(zip(names, point_vectors(records, using), strict=True))
        _check_found(kind, point_array(ids), np.array([i in found for i in ids], bool))
        return np.stack([found[i] for i in ids]) if ids else np.zeros((0, dim), np.float32)

    def scroll_ids(self, kind: Kind) -> Iterator[list[str]]:
        """The ids of all live points, page by page."""
        for part in self._of(kind):
            records = part.records(None, with_payload=False)
            while page := _page(records):
                yield page

    def close(self) -> None:
        """Close every shard."""
        for part in self._shards:
            part.shard.close()
        self._shards = ()

    def _of(self, kind: Kind) -> Iterator[OpenShard]:
        return (part for part in self._shards if part.entry.kind == kind)


@answering()
def _page(records: Iterator[edge.Record]) -> list[str]:
    return [str(record.id) for record in islice(records, _PAGE)]


def _check_found(kind: Kind, points: PointArray, found: npt.NDArray[np.bool_]) -> None:
    if not found.all():
        (missing,) = point_texts(points[~found][:1])
        raise VectorError(f"point {missing} is not among the published {kind}")
