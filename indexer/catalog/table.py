"""The catalog table: one row per distinct photo content in LanceDB, with atomic, durable commits.

The catalog is the source of truth; the Qdrant points are built from it. A commit is atomic: after a
crash at any moment the table is at the last commit. A commit counts once its files are whole and on
disk (see `catalog.files`). Rows carry the number of the commit that changed them, so that
publishing reads only new changes.

The table is read with Lance's own library and written with LanceDB, whose import takes a second
that a search need not spend.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import lance
import polars as pl
import pyarrow as pa

from indexer.catalog.files import drop_files, sync_files, table_files, torn
from indexer.catalog.rows import (
    ADDED_COLUMNS,
    FACT_COLUMNS,
    IDS_PER_QUERY,
    READER,
    Link,
    file_columns,
    photo_schema,
    with_columns,
)
from indexer.chunks import chunks
from indexer.errors import (
    CatalogDamagedError,
    CollectionError,
    DiskError,
    explain_full_disk,
    is_disk_full,
)
from indexer.folders.snapshot import LINK_SCHEMA, drop_snapshot
from indexer.folders.storage import is_url

if TYPE_CHECKING:
    import lancedb

TABLE = "photos"
_FOLDER = f"{TABLE}.lance"
Rows = TypeVar("Rows", pa.Table, pa.RecordBatch)
INDEX_FROM = 20_000  # rows; scanning fewer takes less time than the photos of a page
KEEP_VERSIONS = timedelta(hours=1)
"""Readers may still use an old version; files that no newer version needs are deleted."""
MANY_FRAGMENTS = 48
MANY_VERSIONS = 128
_TIERS = (512, 4096, 32_768, 262_144)
"""Target rows of merged fragments, smallest first: smaller neighbours are joined up to a tier, so
that a row is rewritten only a few times, however many small commits follow it."""
_READ_BATCH = 256  # rows; at most some 50 KB of vectors each


class Catalog:
    """The table `photos` of a collection. One process writes (see `Collection.lock`), any number
    read.

    heads, dim: names and width of the model's global vectors; they are columns of the table. url:
    the table's location on object storage; None uses `folder`, which always holds the companion
    files.
    """

    def __init__(
        self, folder: Path, heads: Sequence[str], dim: int, *, url: str | None = None
    ) -> None:
        """Open the table, or create it when it does not exist. Raises `CollectionError`."""
        self.folder = folder
        self.dim = dim
        self.schema = photo_schema(heads, dim)
        self._complete = False  # whether it is known that the table has all columns
        self._url = url
        self._place = f"{url.rstrip('/')}/{_FOLDER}" if url else str(folder / _FOLDER)
        if url is not None:
            folder.mkdir(parents=True, exist_ok=True)
        with explain_full_disk(folder), explain_storage(url):
            try:
                found = self._opened()
                self._dataset = self._created() if found is None else found
            except (RuntimeError, OSError, ValueError) as error:
                if url is not None or is_disk_full(error):
                    raise
                reason = " ".join(str(error).split())[:200]
                raise CatalogDamagedError(
                    f"The catalog in {folder} cannot be opened ({reason}); restore a backup, or "
                    "index the photos into a new collection."
                ) from error
        added = [name for name, _ in ADDED_COLUMNS if name not in self._dataset.schema.names]
        if {*self._dataset.schema, *map(self.schema.field, added)} != {*self.schema}:
            raise CollectionError(
                f"The catalog in {self.folder} has columns that this version does not know; index "
                "the photos into a new collection."
            )

    def _opened(self) -> lance.LanceDataset | None:
        """The table as it is read; None when there is none yet."""
        if self._url is None and not Path(self._place).exists():
            return None
        try:
            return lance.dataset(self._place)
        except (OSError, ValueError) as error:
            if self._url is None or "not found" not in str(error).lower():
                raise
            return None

    def _created(self) -> lance.LanceDataset:
        import lancedb

        place = self._url or self.folder
        lancedb.connect(place).create_table(TABLE, schema=self.schema, exist_ok=True)
        return lance.dataset(self._place)

    @cached_property
    def _table(self) -> lancedb.table.Table:
        """The table as it is written; LanceDB takes a second to import, which readers save."""
        import lancedb

        # Every operation checks for the newest version, which fragments may have brought.
        connection = lancedb.connect(
            self._url or self.folder, read_consistency_interval=timedelta(0)
        )
        return connection.open_table(TABLE)

    def _latest(self) -> lance.LanceDataset:
        """The newest version: the app must see what `tips index` commits."""
        # A new object: others may be reading the old one in other threads.
        dataset = self._dataset
        latest = dataset.latest_version
        if latest != dataset.version:
            dataset = self._dataset = dataset.checkout_version(latest)
        return dataset

    def _missing(self) -> list[pa.Field]:
        """The columns that a catalog of an earlier version does not have yet."""
        if not self._complete:
            there = set(self._latest().schema.names)
            found = [field for field in self.schema if field.name not in there]
            self._complete = not found
            return found
        return []

    def _add_columns(self) -> None:
        """Bring a catalog of an earlier version up to date, in one atomic step that writes no rows:
        the new columns are null.
        """
        if missing := self._missing():
            with self._writing():
                self._table.add_columns(pa.schema(missing))

    @property
    def uri(self) -> str:
        """The table's location: a path or a URL."""
        return self._place

    @property
    def revision(self) -> int:
        """The revision of the newest state; it only grows, with every commit."""
        return int(self._latest().version)

    def commit(self, rows: pa.Table | None, links: Sequence[Link] = ()) -> int:
        """Write one batch in one atomic step and return its revision.

        rows: new rows, or new contents of rows with the same id, with all columns. links: rows that
        change only their files and status; an id must not be in both. Raises `DiskFullError` and
        `DiskError`; then nothing was written.
        """
        self._add_columns()
        parts = [] if rows is None else [rows]
        for chunk in chunks(links, IDS_PER_QUERY):
            parts.append(self._relinked(chunk))
        table = pa.concat_tables(parts) if parts else self.schema.empty_table()
        if not len(table):
            return self.revision
        revision = self.revision + 1
        table = self._numbered(table, revision)
        drop_snapshot(self.folder)
        merge = self._table.merge_insert("id")
        with self._writing():
            # "null" allows missing vectors in rows of failed photos; `to_table` refuses vectors
            # with NaN.
            merge.when_matched_update_all().when_not_matched_insert_all().execute(
                table, on_bad_vectors="null"
            )
        return revision

    def commit_fragments(
        self, write: Callable[[int], list[str]], ids: Sequence[str], links: Sequence[Link]
    ) -> int:
        """Like `commit`, for rows that other processes write (see `fragments`).

        write: called with the revision for the rows, returns their fragments. ids: of these rows.
        Raises `CollectionBusyError` when someone else has committed meanwhile.
        """
        from indexer.catalog.fragments import commit_fragments, write_fragment

        self._add_columns()
        before = self.revision
        with self._writing():
            fragments = write(before + 1)
            for chunk in chunks(links, IDS_PER_QUERY):
                table = self._numbered(self._relinked(chunk), before + 1)
                fragments += write_fragment(table, self.uri)
            drop_snapshot(self.folder)
            replaced = [*ids, *(link.id for link in links)]
            return commit_fragments(self.uri, fragments, replaced, before)

    def _numbered(self, table: pa.Table, revision: int) -> pa.Table:
        return with_columns(table, {"revision": pa.array([revision] * len(table), pa.int64())})

    def _relinked(self, links: Sequence[Link]) -> pa.Table:
        # Rows are read and rewritten whole: a merge of some columns would rewrite these columns for
        # the whole table.
        rows = self.rows([link.id for link in links])
        changes = {link.id: link for link in links}
        ordered = [changes[key] for key in rows["id"].to_pylist()]
        status = pa.array([link.status for link in ordered], pa.string())
        return with_columns(
            rows, {"status": status, **file_columns([link.files for link in ordered])}
        )

    def files(self) -> pl.DataFrame:
        """Every file of every row, as `LINK_SCHEMA`."""
        table = self._table_of(["id", "status", "files", "stamps"], None)
        frame = pl.DataFrame(table)
        count = pl.col("files").list.len()
        stamps = pl.coalesce("stamps", pl.lit(0, pl.Int64).repeat_by(count))
        frame = frame.with_columns(stamp=stamps).explode("files", "stamp", empty_as_null=False)
        frame = frame.drop("stamps").unnest("files")
        return frame.select(LINK_SCHEMA.names()).cast(LINK_SCHEMA)

    def ids(self) -> dict[str, bool]:
        """All ids, and whether the content has vectors (False: it failed)."""
        table = self._table_of(["id", "reason"], None)
        failed = table["reason"].is_valid().to_pylist()
        return {key: not bad for key, bad in zip(table["id"].to_pylist(), failed, strict=True)}

    def changed_since(
        self,
        revision: int,
        columns: Sequence[str] | None = None,
        batch_rows: int = _READ_BATCH,
    ) -> Iterator[pa.RecordBatch]:
        """Rows (also "removed" and "failed" ones) changed after `revision`, a bounded batch at a
        time."""
        names = list(columns or self.schema.names)
        condition = f"revision > {int(revision)}" if revision > 0 else None
        with self._reading():
            for batch in self._query(names, condition, batch_rows).to_batches():
                if len(batch):
                    yield self._completed(batch, names)

    def rows(self, ids: Sequence[str], columns: Sequence[str] | None = None) -> pa.Table:
        """Rows in the order of `ids`; unknown ids are skipped. All columns by default."""
        names = list(columns or self.schema.names)
        wanted = names if "id" in names else ["id", *names]
        parts = [
            self._table_of(wanted, f"id IN ({_quoted(chunk)})")
            for chunk in chunks(ids, IDS_PER_QUERY)
        ]
        if not parts:
            return pa.schema([self.schema.field(name) for name in names]).empty_table()
        table = pa.concat_tables(parts)
        place = {key: index for index, key in enumerate(table["id"].to_pylist())}
        return table.take(pa.array([place[key] for key in ids if key in place], pa.int64())).select(
            names
        )

    def photos(self, ids: Sequence[str], columns: Sequence[str] = FACT_COLUMNS) -> pl.DataFrame:
        """Facts of photos in the order of `ids`; unknown ids are skipped."""
        return pl.DataFrame(self.rows(ids, columns))

    def thumbnails(self, ids: Sequence[str]) -> dict[str, bytes]:
        """WebP thumbnails by id; photos without one are skipped."""
        table = self.rows(ids, ["id", "thumbnail"])
        pairs = zip(table["id"].to_pylist(), table["thumbnail"].to_pylist(), strict=True)
        return {key: image for key, image in pairs if image is not None}

    def failures(self) -> pl.DataFrame:
        """Unreadable files, by path: path, reason, size, mtime_ns, id."""
        table = self._table_of(["id", "reason", "files"], "status = 'failed'")
        frame = pl.DataFrame(table).explode("files", empty_as_null=False).unnest("files")
        return frame.select("path", "reason", "size", "mtime_ns", "id").sort("path")

    def taken(self) -> pl.DataFrame:
        """The photos with a date: id and taken."""
        frame = pl.DataFrame(self._table_of(["id", "taken"], "status = 'ok'"))
        return frame.filter(pl.col("taken").is_not_null())

    def noted(self) -> dict[str, int]:
        """How many photos carry each note of the reader, such as "cut off"; most frequent first."""
        if any(field.name == "notes" for field in self._missing()):
            return {}
        table = self._table_of(["notes"], "status = 'ok' AND notes IS NOT NULL")
        counts = Counter(note for notes in table["notes"].to_pylist() for note in notes)
        return dict(counts.most_common())

    def outdated(self) -> list[str]:
        """The ids of photos whose facts an earlier reader has read."""
        current = f"reader IS NOT NULL AND reader >= {READER}"
        known = any(field.name == "reader" for field in self._missing())
        condition = "status = 'ok'" + ("" if known else f" AND NOT ({current})")
        ids: list[str] = self._table_of(["id"], condition)["id"].to_pylist()
        return ids

    def counts(self) -> dict[str, int]:
        """Rows by status: ok, failed, removed (file gone, vectors not yet deleted)."""
        with self._reading():
            return {
                status: int(self._latest().count_rows(f"status = '{status}'"))
                for status in ("ok", "failed", "removed")
            }

    def purge(self, revision: int) -> None:
        """Drop "removed" rows whose vectors are deleted: those changed up to `revision`."""
        condition = f"status = 'removed' AND revision <= {int(revision)}"
        with self._reading():
            found = self._latest().count_rows(condition)
        if found:
            with self._writing():
                self._table.delete(condition)

    def tidy(self) -> None:
        """Bound the number of fragments and old versions; cheap when nothing is due. For the
        writer, after a commit."""
        if self.fragments() > MANY_FRAGMENTS:
            self.optimize()
        elif self.versions() > MANY_VERSIONS:
            self._drop_versions(KEEP_VERSIONS)

    def optimize(self, keep: timedelta | None = None) -> None:
        """Join small fragments, drop versions older than `keep` (None: `KEEP_VERSIONS`), and
        maintain the id index of a large table."""
        with self._writing():
            if not self._table.list_indices() and self._table.count_rows() >= INDEX_FROM:
                from lancedb.index import BTree

                self._table.create_index("id", config=BTree())
            for rows in _TIERS:
                self._latest().optimize.compact_files(target_rows_per_fragment=rows)
                if self.fragments() <= MANY_FRAGMENTS // 2:
                    break
            self._latest().optimize.optimize_indices()
        # Only after the joined data are verified to be whole may their sources be deleted.
        self._drop_versions(KEEP_VERSIONS if keep is None else keep)

    def versions(self) -> int:
        """The number of versions on disk."""
        if is_url(self.uri):
            return len(self._dataset.versions())
        return sum(1 for _ in (self.folder / _FOLDER / "_versions").glob("*.manifest"))

    def _drop_versions(self, keep: timedelta) -> None:
        """Also drops leftovers of killed commits: no other process writes."""
        with explain_full_disk(self.folder):
            self._latest().cleanup_old_versions(older_than=keep, delete_unverified=True)

    def recover(self) -> int | None:
        """Roll the catalog back to its newest readable state and return that revision; None when
        the current state is readable. Photos committed since are new to the next run. Requires the
        lock. Raises `CatalogDamagedError` when no state is readable.
        """
        versions = sorted((int(v["version"]) for v in self._dataset.versions()), reverse=True)
        for version in versions:
            if self._can_be_read(version):
                if version == versions[0]:
                    return None
                drop_snapshot(self.folder)
                with self._writing():
                    self._table.restore(version)
                return version
        raise CatalogDamagedError(
            f"The catalog in {self.folder} is damaged and has no readable older state; restore a "
            "backup, or index the photos into a new collection."
        )

    def _can_be_read(self, version: int) -> bool:
        try:
            dataset = lance.dataset(self._place, version=version)
            for _ in dataset.to_batches(batch_size=_READ_BATCH):
                pass
        except (RuntimeError, OSError, ValueError, pa.ArrowException):
            return False
        return True

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """On exit, what was written is whole and on disk, or undone. Raises `DiskError`."""
        place = self.folder / _FOLDER
        before, known = self.revision, table_files(place)
        with explain_full_disk(self.folder):
            try:
                yield
            except BaseException:
                if self.revision == before:
                    drop_files(table_files(place) - known)
                    raise
                self._keep(before, table_files(place) - known)
                raise
            self._keep(before, table_files(place) - known)

    def _keep(self, before: int, new: set[Path]) -> None:
        """Sync the files of the versions after `before`, or roll back to that one."""
        if torn(new) and self.revision != before:
            self._table.restore(before)
            raise DiskError(
                f"The disk that holds {self.folder} lost part of what was written to it; check "
                "that it works and has room, then rerun to resume (nothing committed before is "
                "lost)."
            )
        sync_files(new)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Turn the engine's errors into `CatalogDamagedError` or `DiskError`."""
        with explain_full_disk(self.folder):
            try:
                yield
            except (RuntimeError, OSError, ValueError, pa.ArrowException) as error:
                raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> CatalogDamagedError:
        reason = " ".join(str(error).split())[:200]
        return CatalogDamagedError(
            f"The catalog in {self.folder} cannot be read ({reason}); `tips verify --repair` "
            "restores its last sound state."
        )

    def fragments(self) -> int:
        """The number of fragments of the table; every commit adds one, `optimize` joins them."""
        return len(self._latest().get_fragments())

    def _table_of(self, columns: Sequence[str], condition: str | None) -> pa.Table:
        with self._reading():
            return self._completed(self._query(columns, condition).to_table(), columns)

    def _query(
        self, columns: Sequence[str], condition: str | None, batch_rows: int | None = None
    ) -> lance.LanceScanner:
        missing = {field.name for field in self._missing()}
        present = [name for name in columns if name not in missing]
        return self._latest().scanner(present, filter=condition, batch_size=batch_rows)

    def _completed(self, rows: Rows, columns: Sequence[str]) -> Rows:
        """These columns of what was read, those that the catalog does not have yet as nulls."""
        for name in columns:
            if name not in rows.schema.names:
                field = self.schema.field(name)
                rows = rows.append_column(field, pa.nulls(len(rows), field.type))
        return rows.select(columns)


def check_vacant(url: str) -> None:
    """Raise `CollectionError` unless a new catalog can be made on this object storage."""
    with explain_storage(url):
        import lancedb

        if TABLE in lancedb.connect(url).list_tables().tables:
            raise CollectionError(
                f"{url} already contains the catalog of another collection; use another URL."
            )


@contextmanager
def explain_storage(url: str | None) -> Iterator[None]:
    """Turn object storage errors into `CollectionError`; other errors pass unchanged."""
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        if url is None or isinstance(error, CollectionError):
            raise
        text = " ".join(str(error).split())[:160]
        raise CollectionError(f"The catalog {url} cannot be reached ({text}).") from error


def _quoted(ids: Sequence[str]) -> str:
    # Ids are hex strings of our own; anything else cannot be an id and must not reach the query.
    return ", ".join(f"'{key}'" for key in ids if key.isalnum()) or "''"
