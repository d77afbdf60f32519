"""Publishing to a Qdrant server: every step may be repeated, so one that was cut off is redone.

What a publish that was killed had already uploaded is not uploaded again: the next one asks the
server for the points before it sends them.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from types import TracebackType

import numpy as np
from qdrant_client import models

from indexer.chunks import chunks
from indexer.server.check import check_server
from indexer.server.client import PAGE, WRITE_TRIES, call, scroll_ids
from indexer.server.collections import Collections, ServerState
from indexer.server.filters import to_client
from indexer.vectors import (
    KINDS,
    KeyArray,
    Kind,
    Match,
    PointBatch,
    check_points,
    point_array,
    point_keys,
    vector_names,
)

PARALLEL = 4  # requests at a time
_UPLOAD = 256  # points per request


class ServerWriter:
    """`VectorWriter` of a `ServerStore`.

    On top of published collections, points are visible as they arrive and `commit` records the
    revision. A rebuild, or the first publish, fills new collections that `commit` puts in the place
    of the old. One that ends with an error leaves them for the next, which goes on with them.
    """

    def __init__(
        self,
        collections: Collections,
        empty: ServerState,
        *,
        rebuild: bool,
        parallel: int = PARALLEL,
    ) -> None:
        self._collections, self._empty, self._rebuild = collections, empty, rebuild
        self._pool = ThreadPoolExecutor(parallel, thread_name_prefix="upload")
        self._targets: dict[Kind, str] = {}
        self._fresh = self._resumed = False
        self._sent: Counter[Kind] = Counter()
        self._keys: list[KeyArray] = []

    def __enter__(self) -> ServerWriter:
        state = None if self._rebuild else self._collections.read_state()
        if state is not None:
            state.check_same_model(self._empty)
            self._targets = self._collections.current()
        if state is not None and set(self._targets) == set(KINDS):
            self._empty = replace(self._empty, layout=state.layout, begun=state.begun)
            self._resumed = state.unfinished
            self._write_state(state.revision, unfinished=True)
        else:
            check_server(self._collections.client, self._empty.layout)
            self._empty = replace(self._empty, unfinished=True, begun=time.time())
            self._targets, self._resumed = self._collections.prepare(self._empty)
            self._fresh = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown(cancel_futures=True)
        if self._fresh and error is None:
            self._collections.drop(list(self._targets.values()))

    def upsert(self, kind: Kind, points: PointBatch) -> None:
        """Replace all points of this kind that the batch's images had by the batch."""
        check_points(kind, points, vector_names(kind, self._empty.heads), self._empty.dim)
        if not len(points):
            return
        todo = self._missing(kind, points) if self._resumed else range(len(points))
        # Consumed, so that the first upload that failed is raised here.
        for _ in self._pool.map(partial(self._upload, kind, points), chunks(todo, _UPLOAD)):
            pass
        # After the new ones, so that an image is at no moment without points.
        stale = to_client(Match("image", tuple(points.images())))
        assert stale is not None
        stale.must_not = [models.HasIdCondition(has_id=list(points.ids))]
        self._delete(kind, stale)
        if self._resumed and self._fresh:
            self._sent[kind] += len(points)
            self._keys.append(np.unique(point_keys(point_array(points.ids))))

    def remove(self, image_ids: Sequence[str]) -> None:
        """Drop the points of both kinds of these images; unknown ids are fine."""
        where = to_client(Match("image", tuple(image_ids)))
        assert where is not None
        for kind in KINDS:
            self._delete(kind, where)

    def commit(self, revision: int) -> None:
        """Record the revision; new collections take the place of the old."""
        if not self._fresh:
            self._write_state(revision, unfinished=False)
            self._collections.drop_abandoned()
            return
        if self._resumed:
            self._drop_surplus()
        self._collections.finish(self._targets, self._empty.dim)
        # Until the aliases point here, a publish that is killed can be gone on with.
        self._write_state(revision, unfinished=True)
        self._collections.promote(self._targets)
        self._fresh = False
        self._write_state(revision, unfinished=False)

    def _write_state(self, revision: int, *, unfinished: bool) -> None:
        state = replace(self._empty, revision=revision, unfinished=unfinished)
        self._collections.write_state(self._targets["images"], state)

    def _upload(self, kind: Kind, points: PointBatch, places: Sequence[int]) -> None:
        client, name = self._collections.client, self._targets[kind]
        batch = models.Batch(
            ids=[points.ids[i] for i in places],
            payloads=[points.payload[i] for i in places],
            vectors={head: rows[list(places)].tolist() for head, rows in points.vectors.items()},
        )
        call(lambda: client.upsert(name, batch, wait=True), WRITE_TRIES)

    def _missing(self, kind: Kind, points: PointBatch) -> list[int]:
        """The places of the points that are not on the server as they are in the batch.

        The vectors are not compared: they follow from the content, which the id stands for, and
        from the model, which is that of the collections.
        """
        client, name = self._collections.client, self._targets[kind]
        held = {}
        for page in chunks(points.ids, PAGE):
            for record in call(partial(client.retrieve, name, page, with_payload=True)):
                held[str(record.id)] = record.payload
        return [i for i, key in enumerate(points.ids) if held.get(key) != points.payload[i]]

    def _drop_surplus(self) -> None:
        """Delete the points of photos that left the catalog after they had been uploaded by the
        publish that was cut off.
        """
        client = self._collections.client
        known = np.unique(np.concatenate([np.zeros(0, "S15"), *self._keys]))
        for kind, name in self._targets.items():
            if call(partial(client.count, name, exact=True)).count == self._sent[kind]:
                continue
            for ids in scroll_ids(client, name):
                loose = ~np.isin(point_keys(point_array(ids)), known)
                if loose.any():
                    gone = [ids[place] for place in np.flatnonzero(loose)]
                    selector = models.PointIdsList(points=list(gone))
                    call(partial(client.delete, name, selector, wait=True), WRITE_TRIES)

    def _delete(self, kind: Kind, where: models.Filter) -> None:
        selector = models.FilterSelector(filter=where)
        client, name = self._collections.client, self._targets[kind]
        call(lambda: client.delete(name, selector, wait=True), WRITE_TRIES)
