"""Publish to a Qdrant server: every step is idempotent, so an interrupted publish is resumed.

Points already uploaded by a killed publish are not uploaded again: the next one asks the server for
the points before it sends them.
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

PARALLEL = 4  # concurrent requests
_UPLOAD = 256  # points per request


class ServerWriter:
    """`VectorWriter` of a `ServerStore`.

    On published collections, points are visible as they arrive and `commit` records the revision. A
    rebuild, or the first publish, fills new collections that replace the old ones on `commit`. If
    it fails, the next one resumes with them.
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
        """Replace all points of this kind of the batch's images by the batch."""
        check_points(kind, points, vector_names(kind, self._empty.heads), self._empty.dim)
        if not len(points):
            return
        todo = self._missing(kind, points) if self._resumed else range(len(points))
        # Consumed, so that the first failed upload raises here.
        for _ in self._pool.map(partial(self._upload, kind, points), chunks(todo, _UPLOAD)):
            pass
        # After uploading the new ones, so that an image is never without points.
        stale = to_client(Match("image", tuple(points.images())))
        assert stale is not None
        stale.must_not = [models.HasIdCondition(has_id=list(points.ids))]
        self._delete(kind, stale)
        if self._resumed and self._fresh:
            self._sent[kind] += len(points)
            self._keys.append(np.unique(point_keys(point_array(points.ids))))

    def remove(self, image_ids: Sequence[str]) -> None:
        """Drop the points of both kinds of these images; unknown ids are ignored."""
        where = to_client(Match("image", tuple(image_ids)))
        assert where is not None
        for kind in KINDS:
            self._delete(kind, where)

    def commit(self, revision: int) -> None:
        """Record the revision; new collections replace the old ones."""
        if not self._fresh:
            self._write_state(revision, unfinished=False)
            self._collections.drop_abandoned()
            return
        if self._resumed:
            self._drop_surplus()
        self._collections.finish(self._targets, self._empty.dim)
        # Until the aliases point here, a killed publish can be resumed.
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
        """Indexes of the batch's points that are missing or different on the server.

        Vectors are not compared: they follow from the content, which the id identifies, and from
        the model, which is the collections'.
        """
        client, name = self._collections.client, self._targets[kind]
        held = {}
        for page in chunks(points.ids, PAGE):
            for record in call(partial(client.retrieve, name, page, with_payload=True)):
                held[str(record.id)] = record.payload
        return [i for i, key in enumerate(points.ids) if held.get(key) != points.payload[i]]

    def _drop_surplus(self) -> None:
        """Delete the points of photos that left the catalog after an interrupted publish had
        uploaded them.
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
