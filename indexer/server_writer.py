"""Publishing to a Qdrant server: every step may be repeated, so one that was cut off is redone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any

from qdrant_client import models

from indexer.server_client import call
from indexer.server_collections import Collections, ServerState
from indexer.server_filters import to_client
from indexer.vectors import KINDS, Kind, Match, PointBatch, check_points, vector_names

_UPLOAD = 256  # points per request


class ServerWriter:
    """`VectorWriter` of a `ServerStore`.

    On top of published collections, points are visible as they arrive and `commit` records the
    revision. A rebuild, or the first publish, fills new collections that `commit` puts in the place
    of the old.
    """

    def __init__(self, collections: Collections, empty: ServerState, *, rebuild: bool) -> None:
        self._collections, self._empty, self._rebuild = collections, empty, rebuild
        self._targets: dict[Kind, str] = {}
        self._fresh = False

    def __enter__(self) -> ServerWriter:
        if not self._rebuild:
            state = self._collections.read_state()
            if state is not None:
                state.check_same_model(self._empty)
            self._targets = self._collections.current()
        if set(self._targets) != set(KINDS):
            self._targets, self._fresh = self._collections.create(self._empty), True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._fresh:
            self._collections.drop(list(self._targets.values()))

    def upsert(self, kind: Kind, points: PointBatch) -> None:
        """Replace all points of this kind that the batch's images had by the batch."""
        check_points(kind, points, vector_names(kind, self._empty.heads), self._empty.dim)
        if not len(points):
            return
        client, name = self._collections.client, self._targets[kind]
        call(
            lambda: client.upload_collection(
                name,
                vectors=dict[str, Any](points.vectors),
                payload=points.payload,
                ids=points.ids,
                batch_size=_UPLOAD,
                wait=True,
            )
        )
        # After the new ones, so that an image is at no moment without points.
        stale = to_client(Match("image", tuple(points.images())))
        assert stale is not None
        stale.must_not = [models.HasIdCondition(has_id=list(points.ids))]
        self._delete(kind, stale)

    def remove(self, image_ids: Sequence[str]) -> None:
        """Drop the points of both kinds of these images; unknown ids are fine."""
        where = to_client(Match("image", tuple(image_ids)))
        assert where is not None
        for kind in KINDS:
            self._delete(kind, where)

    def commit(self, revision: int) -> None:
        """Record the revision; new collections take the place of the old."""
        state = replace(self._empty, revision=revision)
        self._collections.write_state(self._targets["images"], state)
        if self._fresh:
            self._collections.promote(self._targets)
            self._fresh = False

    def _delete(self, kind: Kind, where: models.Filter) -> None:
        selector = models.FilterSelector(filter=where)
        name = self._targets[kind]
        call(lambda: self._collections.client.delete(name, selector, wait=True))
