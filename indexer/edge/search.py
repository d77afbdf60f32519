"""Search several open shards as if they were one.

Each shard is first asked only for its likely share of the answer, and again for more where its last
hit could still be among the best: a large answer costs little more than from a single shard, and is
identical.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

import numpy as np
import numpy.typing as npt
import qdrant_edge as edge

from indexer.edge.filters import to_edge
from indexer.edge.layout import layout_of
from indexer.edge.manifest import ShardEntry
from indexer.vectors import (
    Filter,
    FloatArray,
    KeyArray,
    PointArray,
    VectorHits,
    point_array,
    point_hex,
    point_keys,
)

PAGE = 4096  # ids per page of a scroll
_MORE, _MARGIN = 1.25, 32  # a shard is asked for its share times `_MORE`, plus `_MARGIN` points


@dataclass(frozen=True, slots=True)
class Answer:
    """Live points (N,) of one shard with their cosines, best first. All its other points score at
    most `floor`; -inf: there are none.
    """

    points: PointArray
    scores: FloatArray
    floor: float


@dataclass(frozen=True, slots=True)
class OpenShard:
    """An open shard of the state, with its dead images."""

    entry: ShardEntry
    shard: edge.EdgeShard
    segments: int
    dead: KeyArray

    @classmethod
    def of(cls, entry: ShardEntry, shard: edge.EdgeShard) -> OpenShard:
        """The open shard for a manifest entry."""
        dead = point_keys(point_array(sorted(entry.dead)))
        segments = max(1, shard.info().segments_count - 1)  # one is empty, for new points
        return cls(entry, shard, segments, np.sort(dead))

    def alive(self, points: PointArray) -> npt.NDArray[np.bool_]:
        """Whether each point's image is alive in this shard, (N,)."""
        if not len(self.dead):
            return np.ones(len(points), bool)
        return ~np.isin(point_keys(points), self.dead)

    def missing(self, ids: Sequence[str], found: Container[str]) -> list[edge.PointId]:
        """The ids that are neither found yet nor dead here, each once."""
        alive = self.alive(point_array(ids))
        wanted = (i for i, lives in zip(ids, alive, strict=True) if lives and i not in found)
        return list(dict.fromkeys(wanted))

    def dead_among(self, filter: Filter | None) -> edge.Filter:
        """The filter for the dead points that match `filter`."""
        dead = edge.FieldCondition("image", match=edge.MatchAny(list(self.entry.dead)))
        matching = to_edge(filter)
        return edge.Filter(must=[dead] if matching is None else [dead, matching])

    def values(self, field: str, filter: Filter | None) -> Iterator[str | int]:
        """The values of a field in the payloads of live points, each once per point."""
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
                limit=PAGE,
                filter=where,
                with_payload=with_payload,
                with_vector=False,
            )
            records, offset = self.shard.scroll(request)
            alive = self.alive(_points(records))
            yield from (record for record, lives in zip(records, alive, strict=True) if lives)
            if offset is None:
                return

    def nearest(
        self,
        queries: Sequence[FloatArray],
        using: str,
        where: edge.Filter | None,
        asked: int,
        exact: bool,
    ) -> list[Answer]:
        """The live points among the `asked` best for each query (D,)."""
        # Each segment yields candidates for the whole answer, so several segments need fewer each:
        # every rescored point costs a disk page on first access.
        oversampling = max(1.0, layout_of(len(queries[0])).oversampling / self.segments)
        codes = edge.QuantizationSearchParams(rescore=True, oversampling=oversampling)
        params = edge.SearchParams(exact=True) if exact else edge.SearchParams(quantization=codes)
        requests = [
            edge.QueryRequest(
                limit=asked,
                query=edge.Query.Nearest(cast(Any, query), using=using),
                filter=where,
                params=params,
            )
            for query in queries
        ]
        answers = self.shard.query_batch(edge.QueryBatchRequest(requests))
        return [self._answer(hits, asked) for hits in answers]

    def score(
        self, points: PointArray, query: FloatArray, using: str
    ) -> tuple[PointArray, FloatArray]:
        """The points of (N,) that are in the shard, in any order, and their cosines."""
        if not len(points):
            return points, np.empty(0, np.float32)
        request = edge.QueryRequest(
            limit=len(points),
            query=edge.Query.Nearest(cast(Any, query), using=using),
            filter=edge.Filter(must=[edge.HasIdCondition(set(point_hex(points)))]),
            params=edge.SearchParams(exact=True),
        )
        return _columns(self.shard.query(request))

    def _answer(self, hits: Sequence[edge.ScoredPoint], asked: int) -> Answer:
        points, scores = _columns(hits)
        floor = float(scores[-1]) if len(hits) == asked else -np.inf
        alive = self.alive(points)
        return Answer(points[alive], scores[alive], floor)


def search_shards(
    shards: Sequence[OpenShard],
    queries: FloatArray,
    using: str,
    where: edge.Filter | None,
    limit: int,
    *,
    exact: bool = False,
) -> list[VectorHits]:
    """The best `limit` live points of all shards for each query (Q, D)."""
    total = sum(shard.entry.live_points for shard in shards)
    asked = [_first(shard, total, limit) for shard in shards]
    answers = [
        shard.nearest(list(queries), using, where, first, exact)
        for shard, first in zip(shards, asked, strict=True)
    ]
    while True:
        hits = [_best([row[q] for row in answers], limit) for q in range(len(queries))]
        # With fewer than `limit` hits, every point not returned yet could be a hit.
        weakest = [h.scores[-1] if len(h.scores) == limit else -np.inf for h in hits]
        settled = True
        for place, (shard, row) in enumerate(zip(shards, answers, strict=True)):
            # Many points may have equal scores: with enough hits, more of them do not matter.
            few = asked[place] < limit
            open_ = [
                q
                for q, (answer, score) in enumerate(zip(row, weakest, strict=True))
                if answer.floor > score or (few and answer.floor == score > -np.inf)
            ]
            if open_:
                settled = False
                asked[place] = max(limit + _dead(shard, limit), 2 * asked[place])
                some = [queries[q] for q in open_]
                again = shard.nearest(some, using, where, asked[place], exact)
                for q, answer in zip(open_, again, strict=True):
                    row[q] = answer
        if settled:
            return hits


def _first(shard: OpenShard, total: int, limit: int) -> int:
    """How many points to ask the shard for first."""
    share = math.ceil(_MORE * limit * shard.entry.live_points / max(total, 1)) + _MARGIN
    return min(share, limit) + _dead(shard, min(share, limit))


def _dead(shard: OpenShard, limit: int) -> int:
    """Upper estimate of how many of the best points are dead."""
    return max(8, round(limit * shard.entry.dead_share * 2)) if shard.entry.dead else 0


def _best(answers: Sequence[Answer], limit: int) -> VectorHits:
    """The best points of all answers. Ties are ordered by id, so that the order does not depend on
    how points are spread over shards.
    """
    points = np.concatenate([_NONE, *(answer.points for answer in answers)])
    scores = np.concatenate([_ZERO, *(answer.scores for answer in answers)])
    order = np.lexsort((points, -scores))[:limit]
    return VectorHits(points[order], scores[order])


_NONE, _ZERO = np.empty(0, "S16"), np.empty(0, np.float32)


def _columns(hits: Sequence[edge.ScoredPoint]) -> tuple[PointArray, FloatArray]:
    return _points(hits), np.array([hit.score for hit in hits], np.float32)


def _points(found: Sequence[edge.ScoredPoint | edge.Record]) -> PointArray:
    # All our ids are UUIDs.
    return np.frombuffer(b"".join([cast(UUID, each.id).bytes for each in found]), "S16")
