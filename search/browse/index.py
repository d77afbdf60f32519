"""The browse index: date, place, camera and folders of all photos of a collection, in memory.

    index = PhotoIndex.load(collection.catalog())
    rows = index.matching("camera:canon date:2021")
    page = index.ids(index.sorted_rows(rows, "newest")[:60])

Photos are identified by rows: numbers that stay valid as long as the index lives, through every
`refresh`. Thread-safe. Facets and folders: `search/browse/facets.py`; the choices as a filter text:
`search/browse/selection.py`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from indexer.catalog.table import Catalog
from indexer.folders.paths import folders
from indexer.vectors import Filter, KeyArray, Match, point_hex, point_keys
from search.browse.columns import MISSING, Columns, Rows, read_columns
from search.browse.filter import mask, parts
from search.browse.places import Bounds, Clusters, extent, inside, spots_of
from search.filters import EXACT, Unmatched, parse_filter, resolve
from search.photo_lookup import PhotoLookup

Order = Literal["newest", "oldest"]


@dataclass(frozen=True, slots=True)
class Month:
    """A month (1 to 12) of a year in which `count` photos were taken."""

    year: int
    month: int
    count: int

    @property
    def name(self) -> str:
        """`2021-05`, as filters write it."""
        return f"{self.year:04}-{self.month:02}"


class PhotoIndex:
    """All sound photos of a collection. `rows` arguments: some of them, or None for all."""

    def __init__(self, catalog: Catalog, columns: Columns) -> None:
        """See `load`."""
        self._catalog, self._columns = catalog, columns
        self._lock = threading.Lock()
        self._lookup = PhotoLookup(catalog)
        self._folders: tuple[tuple[str, ...], list[str]] | None = None  # texts and their folders

    @classmethod
    def load(cls, catalog: Catalog) -> PhotoIndex:
        """Read the facts of all photos: a few tenths of a second for 100,000."""
        return cls(catalog, read_columns(catalog, Columns.none(), all=True))

    def refresh(self) -> bool:
        """Load what the catalog has committed since; True when there was something new."""
        with self._lock:
            if self._catalog.revision == self._columns.revision:
                return False
            columns = read_columns(self._catalog, self._columns, all=False)
            if len(columns.newest) != self._catalog.counts()["ok"]:
                # A photo was removed and its row dropped: changed rows alone do not tell.
                columns = read_columns(self._catalog, columns, all=True)
            self._columns = columns
            return True

    @property
    def revision(self) -> int:
        """The catalog revision that the index shows."""
        return self._columns.revision

    @property
    def columns(self) -> Columns:
        """The current facts; another `refresh` makes new columns and keeps these unchanged."""
        return self._columns

    def __len__(self) -> int:
        return len(self._columns.newest)

    def ids(self, rows: Rows) -> list[str]:
        """The photos' ids, 32 hex digits each."""
        return point_hex(self._columns.ids[rows])

    def keys(self, rows: Rows) -> KeyArray:
        """The photos' keys, as accepted by `rows_of`."""
        return point_keys(self._columns.ids[rows])

    def rows_of(self, keys: KeyArray) -> Rows:
        """The rows of the photos with these keys (`search.hits.Results.keys`), in their order;
        skips photos unknown to the index.
        """
        columns = self._columns
        rows = columns.find(keys)
        kept: Rows = rows[(rows != MISSING) & columns.live[rows]]
        return kept

    def matching(self, filter: Filter | str | None, rows: Rows | None = None) -> Rows:
        """The rows that a filter or its text keeps, in their order. Raises `FilterError` for a text
        that cannot be parsed.
        """
        columns = self._columns
        parsed, _ = self.resolved(filter)
        kept = columns.live if parsed is None else columns.live & mask(columns, parsed)
        return np.flatnonzero(kept) if rows is None else rows[kept[rows]]

    def resolved(self, filter: Filter | str | None) -> tuple[Filter | None, tuple[Unmatched, ...]]:
        """The filter with partial names replaced by the collection's own, and the unknown names."""
        parsed = parse_filter(filter) if isinstance(filter, str) else filter
        return (None, ()) if parsed is None else resolve(parsed, self._values, self._lookup.ids)

    def spelled(self, field: str, values: Iterable[str]) -> tuple[str, ...]:
        """Whole values of a keyword field as the collection spells them, such as `/photos/Café` for
        `/Photos/CAFÉ`; unknown ones as they are, relative folders as their paths.
        """
        found: list[str] = []
        for value in values:
            asked = value if field == "folders" else EXACT + value
            meant, unknown = resolve(Match(field, (asked,)), self._values)
            assert isinstance(meant, Match)
            found += [value] if unknown else map(str, meant.values)
        return tuple(dict.fromkeys(found))

    def sorted_rows(self, rows: Rows | None, order: Order) -> Rows:
        """The rows ordered by date taken, undated ones last. Ties are ordered by id, in reverse for
        "oldest".
        """
        columns = self._columns
        newest = columns.newest.astype(np.int64)
        if rows is not None:
            newest = rows[np.argsort(columns.rank[rows], kind="stable")]
        if order == "newest":
            return newest
        dated = np.count_nonzero(~np.isnat(columns.taken[newest]))
        return np.concatenate([newest[:dated][::-1], newest[dated:]])

    def months(self, rows: Rows | None = None) -> list[Month]:
        """The months in which photos were taken, newest first."""
        taken = self._columns.taken[self._all(rows)]
        months = taken[~np.isnat(taken)].astype("datetime64[M]").astype(np.int64)
        if not len(months):
            return []
        first = int(months.min())
        counts = np.bincount(months - first)
        used = np.flatnonzero(counts)[::-1]
        return [
            Month(1970 + (first + int(place)) // 12, (first + int(place)) % 12 + 1, int(count))
            for place, count in zip(used, counts[used], strict=True)
        ]

    def undated(self, rows: Rows | None = None) -> int:
        """The number of photos without a date."""
        return int(np.count_nonzero(np.isnat(self._columns.taken[self._all(rows)])))

    def clusters(self, rows: Rows | None, bounds: Bounds, cells: int) -> Clusters:
        """The photos with a place inside the bounds, nearby ones merged into one spot.

        `cells`: approximate number of spots side by side (`search/browse/places.py`, `spots_of`).
        """
        columns, rows = self._columns, self._all(rows)
        rows = rows[inside(columns.latitude[rows], columns.longitude[rows], bounds)]
        latitude, longitude = columns.latitude[rows], columns.longitude[rows]
        spot = spots_of(latitude, longitude, bounds, cells)
        count = np.bincount(spot)
        rank = columns.rank[rows]
        least = np.full(len(count), len(columns.ids))
        np.minimum.at(least, spot, rank)
        newest = np.flatnonzero(rank == least[spot])
        example = np.empty(len(count), np.int64)
        example[spot[newest]] = rows[newest]
        order = np.argsort(-count, kind="stable")
        extents = np.empty((len(count), 4))
        for side, values in enumerate((latitude, longitude)):
            extents[:, side], extents[:, side + 2] = np.inf, -np.inf
            np.minimum.at(extents[:, side], spot, values)
            np.maximum.at(extents[:, side + 2], spot, values)
        return Clusters(
            (np.bincount(spot, latitude) / count)[order],
            (np.bincount(spot, longitude) / count)[order],
            count[order],
            tuple(self.ids(example[order])),
            extents[order],
        )

    def extent(self, rows: Rows | None = None) -> Bounds | None:
        """The smallest bounds that contain the photos' places; None when none has one."""
        rows = self._all(rows)
        return extent(self._columns.latitude[rows], self._columns.longitude[rows])

    def _all(self, rows: Rows | None) -> Rows:
        return self._columns.newest.astype(np.int64) if rows is None else rows

    def _values(self, field: str) -> Iterable[str]:
        """The values of a keyword field, possibly including those of dead rows."""
        if field == "month":
            return [str(month) for month in np.unique(self._columns.taken.astype("datetime64[M]"))]
        texts = self._columns.texts[field]
        if field != "folders":
            return {text for value in texts.values for text in parts(value)}
        if self._folders is None or self._folders[0] is not texts.values:
            lowest = {holder for value in texts.values for holder in parts(value)}
            names = {folder for holder in lowest for folder in folders(holder.rstrip("/") + "/")}
            self._folders = texts.values, sorted(names)
        return self._folders[1]
