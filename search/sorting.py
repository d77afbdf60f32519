"""Orders of an answer besides relevance: by date, by name, at random.

An order is one of all photos, so that it does not depend on the page: ties are broken by key, and a
photo without a date comes last, in "newest" and in "oldest".
"""

from __future__ import annotations

import threading
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from indexer.catalog.table import Catalog
from indexer.vectors import KeyArray, point_array, point_keys
from search.request import Sort

Indices = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.int64]
_LAST = np.iinfo(np.int64).max


class Sorter:
    """Sorts photos of a catalog. Dates and names are read on first use, about 30 bytes a photo, and
    kept: an order stays the same while the catalog grows. Thread-safe.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._known: dict[str, tuple[KeyArray, Numbers]] = {}
        self._lock = threading.Lock()

    def order(self, keys: KeyArray, sort: Sort, seed: int = 0) -> Indices:
        """The places (P,) of photos (P,) in this order; "relevance" leaves them as they are.

        newest, oldest: by date taken; the same date by key, in reverse for "oldest". name: by the
        name of the first file, ignoring case, then by its path. random: another order for each
        `seed`, in which a photo's place among the others stays while photos come and go.
        """
        if sort == "relevance":
            return np.arange(len(keys))
        if sort == "random":
            return np.lexsort((keys, _mixed(keys, seed)))
        if sort == "name":
            return np.lexsort((keys, self._values("files", keys)))
        moments = self._values("taken", keys)
        newest = np.lexsort((keys, np.where(moments == _LAST, _LAST, -moments)))
        if sort == "newest":
            return newest
        dated = int(np.count_nonzero(moments != _LAST))
        return np.concatenate([newest[:dated][::-1], newest[dated:]])

    def _values(self, column: Literal["taken", "files"], keys: KeyArray) -> Numbers:
        """A number to sort each photo (P,) by; `_LAST` for what has none."""
        with self._lock:
            if column not in self._known:
                self._known[column] = self._read(column)
            known, values = self._known[column]
        if not len(known):
            return np.full(len(keys), _LAST)
        places = np.minimum(np.searchsorted(known, keys), len(known) - 1)
        return np.where(known[places] == keys, values[places], _LAST)

    def _read(self, column: str) -> tuple[KeyArray, Numbers]:
        """The keys of all photos, in order, and their numbers."""
        taken = pl.col("taken").cast(pl.Int64).fill_null(_LAST)
        path = pl.col("files").list.first().struct.field("path")
        what = taken if column == "taken" else path
        parts = [
            pl.DataFrame(batch).select("id", what.alias("value"))
            for batch in self._catalog.changed_since(0, ("id", column))
        ]
        if not parts:
            return np.empty(0, "S15"), np.empty(0, np.int64)
        frame = pl.concat(parts)
        keys = point_keys(point_array(frame["id"].to_list()))
        values = frame["value"].to_numpy() if column == "taken" else _ranks(frame["value"])
        order = np.argsort(keys, kind="stable")
        return keys[order], values[order]


def _ranks(paths: pl.Series) -> Numbers:
    """The places of paths by name, without one last."""
    frame = pl.DataFrame({"path": paths}).with_row_index("row")
    name = pl.col("path").str.extract(r"([^/]*)$").str.to_lowercase()
    order = frame.sort(name, "path", nulls_last=True)["row"].to_numpy()
    ranks = np.empty(len(order), np.int64)
    ranks[order] = np.arange(len(order))
    ranks[paths.is_null().to_numpy()] = _LAST
    return ranks


def _mixed(keys: KeyArray, seed: int) -> npt.NDArray[np.uint64]:
    """A number for each key (P,) that depends on all bits of the seed: splitmix64's finaliser over
    both halves of the key.
    """
    halves: npt.NDArray[Any] = keys.astype("S16").view(np.uint64).reshape(-1, 2)
    mixed = np.full(len(keys), _finished(np.array([seed % 2**64], np.uint64))[0], np.uint64)
    for half in halves.T:
        mixed = _finished(mixed ^ half)
    return mixed


def _finished(x: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
