"""The server vector engine: the same points and filters in a Qdrant server or cluster
(`VectorStore`)."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from functools import partial
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from qdrant_client import QdrantClient, models

from indexer.chunks import chunks
from indexer.server.client import PAGE, call, scroll_ids
from indexer.server.collections import Collections, ServerState
from indexer.server.filters import to_client
from indexer.server.layout import ServerLayout
from indexer.server.models import search_params
from indexer.server.writer import PARALLEL, ServerWriter
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


class ServerStore:
    """`VectorStore` on a server. Thread-safe; sends no request before the first use.

    layout: of new collections; searches follow its codes. parallel: concurrent uploads (1 for
    qdrant-client's in-process mode, whose collections threads may not share).
    """

    def __init__(
        self,
        client: QdrantClient,
        prefix: str,
        *,
        heads: Sequence[str],
        dim: int,
        model_id: str,
        read_only: bool = True,
        layout: ServerLayout | None = None,
        parallel: int = PARALLEL,
    ) -> None:
        self._client = client
        self._collections = Collections(client, prefix)
        self._layout = layout or ServerLayout()
        self._empty = ServerState(
            model_id=model_id, heads=tuple(heads), dim=dim, layout=self._layout
        )
        self._read_only, self._parallel = read_only, parallel
        self._state: ServerState | None = None

    @property
    def revision(self) -> int:
        """The catalog revision at the last `refresh`; 0 before the first publish."""
        self._is_published()
        return self._state.revision if self._state else 0

    def count(self, kind: Kind, filter: Filter | None = None) -> int:
        """The number of points that match."""
        if not self._is_published():
            return 0
        name, where = self._collections.alias(kind), to_client(filter)
        return call(lambda: self._client.count(name, count_filter=where, exact=True)).count

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
        """The `limit` nearest points for each row of `vectors` (Q, D)."""
        queries = query_rows(vectors, self._empty.dim)
        if not self._is_published():
            return [VectorHits(point_array([]), np.zeros(0, np.float32)) for _ in queries]
        where = to_client(filter)
        params = search_params(self._layout.oversampling)
        if exact:
            params = models.SearchParams(exact=True)
        requests = [
            models.QueryRequest(
                query=query.tolist(),
                using=using,
                filter=where,
                limit=limit,
                params=params,
            )
            for query in queries
        ]
        name = self._collections.alias(kind)
        answers = call(lambda: self._client.query_batch_points(name, requests))
        return [
            VectorHits(
                point_array([str(point.id) for point in answer.points]),
                np.array([point.score for point in answer.points], np.float32),
            )
            for answer in answers
        ]

    def scores(
        self, kind: Kind, points: PointArray, vector: npt.ArrayLike, *, using: str
    ) -> FloatArray:
        """The cosines (N,) of these points with one vector (D,)."""
        (query,) = query_rows(np.asarray(vector)[None], self._empty.dim)
        ids = point_texts(points)
        found: dict[str, float] = {}
        name = self._collections.alias(kind)
        for page in chunks(ids, PAGE) if self._is_published() else ():
            only = models.Filter(must=[models.HasIdCondition(has_id=list(page))])
            answer = call(
                partial(
                    self._client.query_points,
                    name,
                    query=query.tolist(),
                    using=using,
                    query_filter=only,
                    search_params=models.SearchParams(exact=True),
                    limit=len(page),
                    with_payload=False,
                )
            )
            found |= {str(point.id): point.score for point in answer.points}
        _check_found(kind, ids, found)
        return np.array([found[i] for i in ids], np.float32)

    def payloads(
        self, kind: Kind, points: PointArray, fields: Sequence[str] | None = None
    ) -> list[Payload]:
        """The payloads of these points in this order, all fields or some."""
        ids = point_texts(points)
        what = True if fields is None else list(fields)
        records = self._records(kind, ids, with_payload=what)
        found = {str(record.id): record.payload or {} for record in records}
        _check_found(kind, ids, found)
        return [found[i] for i in ids]

    def vectors(self, kind: Kind, ids: Sequence[str], using: str) -> FloatArray:
        """The vectors (N, D), unit norm, of these points in this order."""
        records = self._records(kind, ids, with_payload=False, with_vectors=[using])
        found = {str(r.id): cast(dict[str, Any], r.vector)[using] for r in records}
        _check_found(kind, ids, found)
        rows = np.array([found[i] for i in ids], np.float32).reshape(len(ids), self._empty.dim)
        unit: FloatArray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return unit

    def facet(
        self, field: str, filter: Filter | None = None, limit: int = 100
    ) -> list[tuple[str | int, int]]:
        """The values of a keyword or integer field over images: (value, count), most frequent
        first."""
        if not self._is_published():
            return []
        name, where = self._collections.alias("images"), to_client(filter)
        answer = call(
            lambda: self._client.facet(name, field, facet_filter=where, limit=limit, exact=True)
        )
        hits = [(hit.value, hit.count) for hit in answer.hits]
        return sorted(hits, key=lambda hit: (-hit[1], str(hit[0])))

    def scroll_ids(self, kind: Kind) -> Iterator[list[str]]:
        """All point ids, in pages."""
        if self._is_published():
            yield from scroll_ids(self._client, self._collections.alias(kind))

    def refresh(self) -> bool:
        """Reload the published revision; True when it changed."""
        before, self._state = self._state, self._collections.read_state()
        if self._state is not None:
            self._state.check_same_model(self._empty)
        return before != self._state

    def writer(self, rebuild: bool = False) -> ServerWriter:
        """A writer on top of the published collections, or to new ones for `rebuild`."""
        if self._read_only:
            raise VectorError("the vector store on the Qdrant server is open read-only")
        self._state = None  # reload after the writer
        return ServerWriter(
            self._collections, self._empty, rebuild=rebuild, parallel=self._parallel
        )

    def drop(self) -> None:
        """Delete everything of this store on the server."""
        if self._read_only:
            raise VectorError("the vector store on the Qdrant server is open read-only")
        self._collections.drop_all()
        self._state = None

    def tidy(self) -> None:
        """Does nothing: the next writer resends what a killed one has sent."""

    def damaged(self) -> list[str]:
        """Always empty: the server looks after its files."""
        return []

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _is_published(self) -> bool:
        if self._state is None:
            self.refresh()
        return self._state is not None

    def _records(self, kind: Kind, ids: Sequence[str], **what: Any) -> Iterator[models.Record]:
        """The existing ones of these points, page by page."""
        name = self._collections.alias(kind)
        for page in chunks(dict.fromkeys(ids), PAGE) if self._is_published() else ():
            yield from call(partial(self._client.retrieve, name, page, **what))


def _check_found(kind: Kind, ids: Sequence[str], found: Container[str]) -> None:
    missing = next((point_id for point_id in ids if point_id not in found), None)
    if missing is not None:
        raise VectorError(f"point {missing} is not among the published {kind}")
