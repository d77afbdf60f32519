"""The ledger of a run: turns file readings into atomic commits of new rows and changed file
lists."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from indexer.catalog.rows import FileRef, Link, PhotoRow, file_refs, to_table
from indexer.chunks import chunks
from indexer.folders.paths import is_under
from indexer.folders.roots import is_gone

if TYPE_CHECKING:
    import polars as pl

    from indexer.catalog.table import Catalog
    from indexer.photo_reader import Reading

Commit = Callable[[Sequence[PhotoRow], Sequence[Link]], object]
"""Writes rows and links in one atomic commit."""
MANY_GONE, SHARE_GONE = 20, 1 / 3
"""A run removes no more files of a root than this many, or this share of them, unless asked."""
_LINKS_PER_COMMIT = 1000  # rows are rewritten whole; this bounds the memory


class Ledger:
    """Writes readings to the catalog and counts their outcomes.

    `known` maps the ids in the catalog to whether they have vectors; it grows with every commit.
    counts: new, modified, moved, copied, removed, unchanged, failed, embedded (see `IndexReport`).
    """

    def __init__(
        self,
        catalog: Catalog,
        missing: pl.DataFrame,
        retry: bool,
        commit: Commit | None = None,
    ) -> None:
        """missing: links (path, id) whose file is gone. retry: read failed contents again. commit:
        how rows whose features are elsewhere get into the catalog (None: the rows have them)."""
        self.catalog = catalog
        self._commit = commit or self._commit_here
        self.known = {key: sound for key, sound in catalog.ids().items() if sound or not retry}
        self.counts: Counter[str] = Counter()
        self._missing: defaultdict[str, list[str]] = defaultdict(list)
        for path, key in missing.select("path", "id").iter_rows():
            self._missing[key].append(path)

    def commit(self, readings: Sequence[Reading]) -> None:
        """Write a batch in one atomic commit."""
        fresh: dict[str, PhotoRow] = {}
        added: defaultdict[str, list[FileRef]] = defaultdict(list)
        dropped: defaultdict[str, set[str]] = defaultdict(set)
        for reading in readings:
            # Copies decoded in parallel share the first one's row.
            if reading.row is not None and reading.id not in self.known:
                fresh.setdefault(reading.id, reading.row)
            added[reading.id].append(reading.file)
            for old in reading.old_ids:
                if old != reading.id:
                    dropped[old].add(reading.file.path)
            self._count(reading, fresh, dropped)
        self._write(fresh, added, dropped)
        for row in fresh.values():
            self.known[row.id] = row.reason is None
            self.counts["embedded"] += row.reason is None

    def drop_missing(self, totals: Mapping[str, int]) -> dict[str, int]:
        """Remove files that are gone, and have not turned up elsewhere, from their rows.

        totals: the files known below each root. A root of which many are gone at once (`MANY_GONE`
        and `SHARE_GONE`) loses none, since a disk that was unplugged below it looks like that.
        Files that are there and are now excluded do not count. Returns these roots with the number
        of files.
        """
        left = [(path, key) for key, paths in self._missing.items() for path in paths]
        held = dict[str, int]()
        for root, total in totals.items():
            here = [path for path, _ in left if is_under(path, root)]
            least = max(MANY_GONE, math.floor(total * SHARE_GONE) + 1)
            if len(here) >= least and (count := sum(map(is_gone, here))) >= least:
                held[root] = count
        left = [link for link in left if not any(is_under(link[0], root) for root in held)]
        self.counts["removed"] += len(left)
        self.drop(left)
        self._missing.clear()
        return held

    def drop(self, links: Iterable[tuple[str, str]]) -> None:
        """Remove paths from rows: (path, id)."""
        dropped: defaultdict[str, set[str]] = defaultdict(set)
        for path, key in links:
            dropped[key].add(path)
        for keys in chunks(dropped, _LINKS_PER_COMMIT):
            self._write({}, {}, {key: dropped[key] for key in keys})

    def _count(
        self,
        reading: Reading,
        fresh: dict[str, PhotoRow],
        dropped: defaultdict[str, set[str]],
    ) -> None:
        key, old_ids = reading.id, reading.old_ids
        sound = fresh[key].reason is None if key in fresh else self.known[key]
        gone = self._missing.get(key)
        moved = bool(gone)
        if gone:  # the same content is gone from another path
            dropped[key].add(gone.pop())
        if not sound:
            self.counts["failed"] += 1
        elif key in old_ids and key not in fresh:
            self.counts["unchanged"] += 1
        elif old_ids and key not in old_ids:
            self.counts["modified"] += 1
        elif moved:
            self.counts["moved"] += 1
        elif key in fresh and fresh[key] is reading.row:
            self.counts["new"] += 1
        else:
            self.counts["copied"] += 1

    def _write(
        self,
        fresh: dict[str, PhotoRow],
        added: dict[str, list[FileRef]],
        dropped: dict[str, set[str]],
    ) -> None:
        links: list[Link] = []
        stored = self.catalog.rows([*{**added, **dropped}], ["id", "reason", "files", "stamps"])
        held = {row["id"]: row for row in stored.to_pylist()}
        for key in {**added, **dropped}:
            before = file_refs(held[key]) if key in held else []
            files = {file.path: file for file in before if file.path not in dropped.get(key, ())}
            read = {file.stamp for file in (fresh[key].files if key in fresh else before)}
            for file in added.get(key, ()):
                # The facts of a known photo are not yet those of the sidecars of another file.
                files[file.path] = file if file.stamp in read else file._replace(stamp=0)
            if key in fresh:
                fresh[key].files = list(files.values())
            elif key in held:
                status = "failed" if held[key]["reason"] is not None else "ok"
                links.append(Link(key, status if files else "removed", tuple(files.values())))
        self._commit([*fresh.values()], links)

    def _commit_here(self, rows: Sequence[PhotoRow], links: Sequence[Link]) -> None:
        table = to_table(rows, self.catalog.schema, self.catalog.dim)
        self.catalog.commit(table, links)
