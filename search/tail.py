"""The tail of a ranking: all photos by their own vector, read as far as a page needs.

Photos are fetched in blocks, each four times as deep as the one before; what a block adds goes
behind what is there. The order is thereby the same however far it is read, also where a deeper
search of an engine finds a photo that a shallower one has missed, and reading it all costs little
more than one search for everything. The last block is searched exactly, so that no photo is
missing.
"""

from __future__ import annotations

import threading

import numpy as np
from cachetools import LRUCache

from indexer.vectors import Filter, KeyArray, VectorStore, point_keys
from search.arrays import Array
from search.confidence.calibration import Direction

FIRST = 1024
"""Photos in the first block."""
DEEPER = 4
KEPT = 4
"""Orders of recent queries: some 20 bytes for each photo that was read."""


class PhotoOrder:
    """The photos that pass a filter, by their cosines with one direction, ties by key."""

    def __init__(
        self, store: VectorStore, using: str, direction: Direction, filter: Filter | None
    ) -> None:
        self._store, self._using, self._filter = store, using, filter
        self._direction = direction
        self._keys: KeyArray = np.empty(0, "S15")
        self._cosines: Array = np.empty(0, np.float32)
        self._by_key = np.empty(0, np.int64)
        self._depth, self._complete = FIRST, False
        self._lock = threading.Lock()

    def without(self, keys: KeyArray, count: int) -> tuple[KeyArray, Array]:
        """The first `count` photos that are not among `keys`: their keys and standard scores; fewer
        when there are no more.
        """
        with self._lock:
            self._read(count + len(keys))
            found, cosines, by_key = self._keys, self._cosines, self._by_key
        left = np.ones(len(found), bool)
        if len(found):
            places = np.searchsorted(found, keys, sorter=by_key)
            places = by_key[np.minimum(places, len(found) - 1)]
            left[places[found[places] == keys]] = False
        first = np.flatnonzero(left)[:count]
        return found[first], self._direction.standard(cosines[first])

    def _read(self, count: int) -> None:
        """Fetch at least `count` photos, or all."""
        while len(self._keys) < count and not self._complete:
            total = self._store.count("images", self._filter)
            self._complete = self._depth >= total
            (hits,) = self._store.search(
                "images",
                self._direction.vector[None],
                using=self._using,
                filter=self._filter,
                limit=max(1, min(self._depth, total)),
                exact=self._complete,
            )
            keys, cosines = point_keys(hits.points), hits.scores
            new = ~np.isin(keys, self._keys)
            keys, cosines = keys[new], cosines[new]
            order = np.lexsort((keys, -cosines))
            self._keys = np.concatenate([self._keys, keys[order]])
            self._cosines = np.concatenate([self._cosines, cosines[order]])
            self._by_key = np.argsort(self._keys, kind="stable")
            self._depth *= DEEPER


class PhotoOrders:
    """The orders of recent queries in one state of a store, so that the next page of a query does
    not read everything before it again. Thread-safe.
    """

    def __init__(self, store: VectorStore, using: str) -> None:
        self._store, self._using = store, using
        self._kept: LRUCache[object, PhotoOrder] = LRUCache(KEPT)
        self._lock = threading.Lock()

    def of(self, direction: Direction, filter: Filter | None) -> PhotoOrder:
        """The order for this direction and filter."""
        state = self._store.revision
        key = (state, direction.vector.tobytes(), direction.location, direction.spread, filter)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = PhotoOrder(self._store, self._using, direction, filter)
            return self._kept[key]
