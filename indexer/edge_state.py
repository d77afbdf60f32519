"""One published state of the embedded store, opened: its shards searched as if they were one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import qdrant_edge as edge

from indexer.edge_files import ShardError, open_shard
from indexer.edge_filters import to_edge
from indexer.edge_manifest import Manifest, ShardEntry, read_manifest
from indexer.edge_shards import point_vectors
from indexer.vectors import (
    Filter,
    FloatArray,
    Kind,
    Payload,
    VectorError,
    VectorHits,
    image_key,
)

_PAGE = 4096  # ids per page of a scroll
_ALL_VALUES = 1_000_000  # values of a facet: shards can only be added up when each tells all
_OVERSAMPLING = 3.0  # candidates by codes per hit; 4-bit codes then find 0.9995 of the exact top 10


@dataclass(frozen=True, slots=True)
class OpenShard:
    """A shard of the state with what is dead in it."""

    entry: ShardEntry
    shard: edge.EdgeShard
    dead_keys: frozenset[str]

    def lives(self, point_id: str) -> bool:
        """Whether the point's image is not dead in this shard."""
        return not self.dead_keys or image_key(point_id) not in self.dead_keys

    def dead_among(self, filter: Filter | None) -> edge.Filter:
        """The filter for the dead points that match `filter`."""
        dead = edge.FieldCondition("image", match=edge.MatchAny(list(self.entry.dead)))
        matching = to_edge(filter)
        return edge.Filter(must=[dead] if matching is None else [dead, matching])

    def values(self, field: str, filter: Filter | None) -> Iterator[str | int]:
        """The values of a field in the payload of live points, each once per point."""
        where = to_edge(filter)
        for record in self.records(where, with_payload=[field]):
            value = (record.payload or {}).get(field, [])
            yield from set(value) if isinstance(value, list) else {value}

    def records(
        self, where: edge.Filter | None, with_payload: bool | list[str]
    ) -> Iterator[edge.Record]:
        """All live points that match, without vectors."""
        offset: edge.PointId | None = None
        while True:
            request = edge.ScrollRequest(
                offset=offset,
                limit=_PAGE,
                filter=where,
                with_payload=with_payload,
                with_vector=False,
            )
            records, offset = self.shard.scroll(request)
            yield from (record for record in records if self.lives(str(record.id)))
            if offset is None:
                return


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
                return cls(manifest, [OpenShard(e, at_hand[e.name], e.dead_keys) for e in entries])

    def count(self, kind: Kind, filter: Filter | None) -> int:
        """The number of live points that match."""
        total = 0
        for part in self._of(kind):
            total += part.shard.count(edge.CountRequest(exact=True, filter=to_edge(filter)))
            if part.entry.dead:
                dead = part.dead_among(filter)
                total -= part.shard.count(edge.CountRequest(exact=True, filter=dead))
        return total

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

    def search(
        self, kind: Kind, queries: FloatArray, *, using: str, filter: Filter | None, limit: int
    ) -> list[VectorHits]:
        """The best live points of all shards for each query (Q, D)."""
        where = to_edge(filter)
        found: list[list[tuple[str, float]]] = [[] for _ in queries]
        for part in self._of(kind):
            for row, hits in zip(
                found, _search_shard(part, queries, using, where, limit), strict=True
            ):
                row += hits
        # Ties go by id, so that the order does not depend on how the points are spread over shards.
        best = [sorted(row, key=lambda hit: (-hit[1], hit[0]))[:limit] for row in found]
        payloads = self._payloads(kind, {point_id for row in best for point_id, _ in row})
        return [
            VectorHits(
                ids=[point_id for point_id, _ in row],
                scores=np.array([score for _, score in row], np.float32),
                payload=[payloads[point_id] for point_id, _ in row],
            )
            for row in best
        ]

    def vectors(self, kind: Kind, ids: Sequence[str], using: str, dim: int) -> FloatArray:
        """The live vectors (N, dim) of these points; raises `VectorError` if one is missing."""
        found: dict[str, FloatArray] = {}
        for part in self._of(kind):
            wanted: list[edge.PointId] = [
                i for i in dict.fromkeys(ids) if i not in found and part.lives(i)
            ]
            records = part.shard.retrieve(wanted, False, [using]) if wanted else []
            if records:
                names = [str(record.id) for record in records]
                found.update(zip(names, point_vectors(records, using), strict=True))
        missing = [point_id for point_id in ids if point_id not in found]
        if missing:
            raise VectorError(f"point {missing[0]} is not among the published {kind}")
        return np.stack([found[i] for i in ids]) if ids else np.zeros((0, dim), np.float32)

    def scroll_ids(self, kind: Kind) -> Iterator[list[str]]:
        """The ids of all live points, page by page."""
        for part in self._of(kind):
            records = part.records(None, with_payload=False)
            while page := [str(record.id) for record in islice(records, _PAGE)]:
                yield page

    def close(self) -> None:
        """Close every shard."""
        for part in self._shards:
            part.shard.close()
        self._shards = ()

    def _of(self, kind: Kind) -> Iterator[OpenShard]:
        return (part for part in self._shards if part.entry.kind == kind)

    def _payloads(self, kind: Kind, ids: set[str]) -> dict[str, Payload]:
        payloads: dict[str, Payload] = {}
        for part in self._of(kind):
            wanted: list[edge.PointId] = [i for i in ids if part.lives(i)]
            records = part.shard.retrieve(wanted, True, False) if wanted else []
            payloads |= {str(record.id): record.payload or {} for record in records}
        return payloads


def _search_shard(
    part: OpenShard, queries: FloatArray, using: str, where: edge.Filter | None, limit: int
) -> list[list[tuple[str, float]]]:
    """The `limit` best live (id, score) of one shard per query; dead ones make it ask for more."""
    params = edge.SearchParams(
        quantization=edge.QuantizationSearchParams(rescore=True, oversampling=_OVERSAMPLING)
    )
    ask = limit if not part.entry.dead else limit + max(8, round(limit * part.entry.dead_share * 2))
    while True:
        requests = [
            edge.QueryRequest(
                limit=ask,
                query=edge.Query.Nearest(query, using=using),
                filter=where,
                params=params,
            )
            for query in queries
        ]
        answers = part.shard.query_batch(edge.QueryBatchRequest(requests))
        live = [
            [(i, hit.score) for hit in hits if part.lives(i := str(hit.id))] for hits in answers
        ]
        enough = (
            len(row) >= limit or len(hits) < ask for row, hits in zip(live, answers, strict=True)
        )
        if all(enough):
            return [row[:limit] for row in live]
        ask *= 2
