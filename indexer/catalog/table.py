"""The catalog: what is known of every photo, one row per distinct content, in one LanceDB table.

It is the truth; Qdrant is made from it. A commit is atomic: a process that dies at any moment
leaves the last one. It counts when it is whole and on the disk (see `catalog_files`). Rows carry
the number of the commit that changed them, so that publishing takes only what is new.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import lancedb
import polars as pl
import pyarrow as pa
from lancedb.index import BTree

from indexer.catalog.files import drop_files, sync_files, table_files, torn
from indexer.catalog.rows import FACT_COLUMNS, IDS_PER_QUERY, Link, photo_schema
from indexer.chunks import chunks
from indexer.errors import (
    CatalogDamagedError,
    CollectionError,
    DiskError,
    explain_full_disk,
)
from indexer.folders.snapshot import LINK_SCHEMA, drop_snapshot
from indexer.folders.storage import is_url

TABLE = "photos"
INDEX_FROM = 20_000  # rows; fewer are read through in less time than the photos of a page take
KEEP_VERSIONS = timedelta(hours=1)
"""Readers may still be on an old version; files that no younger one needs are deleted."""
MANY_FRAGMENTS = 48
MANY_VERSIONS = 128
_TIERS = (512, 4096, 32_768, 262_144)
"""Rows of the fragments into which smaller neighbours are joined: the smallest first, so that a row
is written again a few times in its life, however many small commits follow it."""
_READ_BATCH = 256  # rows; at most some 50 KB of vectors each


class Catalog:
    """The table `photos` of a collection. One process writes (see `Collection.lock`), any number
    read.

    heads, dim: names and width of the model's global vectors; they are columns of the table. url:
    the object storage where the table is; None is `folder`, which keeps what goes with it.
    """

    def __init__(
        self, folder: Path, heads: Sequence[str], dim: int, *, url: str | None = None
    ) -> None:
        """Open the table, or make it when it is not there yet. Raises `CollectionError`."""
        self.folder = folder
        self.dim = dim
        self.schema = photo_schema(heads, dim)
        # Every read looks for the newest version: the app must see what `tips index` commits.
        if url is not None:
            folder.mkdir(parents=True, exist_ok=True)
        self._db = lancedb.connect(url or folder, read_consistency_interval=timedelta(0))
        with explain_full_disk(folder), explain_storage(url):
            try:
                self._table = self._db.create_table(TABLE, schema=self.schema, exist_ok=True)
            except ValueError as error:
                raise CollectionError(
                    f"The catalog in {folder} has columns that this version does not know; index "
                    "the photos into a new collection."
                ) from error
            except RuntimeError as error:
                if url is not None:
                    raise
                reason = " ".join(str(error).split())[:200]
                raise CatalogDamagedError(
                    f"The catalog in {folder} cannot be opened ({reason}); restore a backup, or "
                    "index the photos into a new collection."
                ) from error

    @property
    def uri(self) -> str:
        """Where the table lies: a path or a URL."""
        table: Any = self._table  # a local or remote one, which have it in common
        return str(table.uri)

    @property
    def revision(self) -> int:
        """The number of the newest state; it only grows, and grows with every commit."""
        return int(self._table.version)

    def commit(self, rows: pa.Table | None, links: Sequence[Link] = ()) -> int:
        """Write one batch in one atomic step and return its revision.

        rows: new rows, or new contents of rows with the same id, with all columns. links: rows that
        stay as they are except for their files and status; an id must not be in both. Raises
        `DiskFullError` and `DiskError`; then nothing was written.
        """
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
            # "null" lets the rows of failed photos have no vectors; `to_table` refuses vectors with
            # NaN.
            merge.when_matched_update_all().when_not_matched_insert_all().execute(
                table, on_bad_vectors="null"
            )
        return revision

    def commit_fragments(
        self, write: Callable[[int], list[str]], ids: Sequence[str], links: Sequence[Link]
    ) -> int:
        """As `commit`, of rows that others write (see `fragments`).

        write: is called with the revision that the rows are to carry, and returns their fragments.
        ids: of these rows. Raises `CollectionBusyError` when somebody else has committed meanwhile.
        """
        from indexer.catalog.fragments import commit_fragments, write_fragment

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
        place = self.schema.get_field_index("revision")
        numbers = pa.array([revision] * len(table), pa.int64())
        return table.set_column(place, self.schema.field(place), numbers)

    def _relinked(self, links: Sequence[Link]) -> pa.Table:
        # Whole rows are read and written again: a merge of some columns would rewrite these columns
        # of the whole table.
        rows = self.rows([link.id for link in links])
        changes = {link.id: link for link in links}
        ordered = [changes[key] for key in rows["id"].to_pylist()]
        for name, values in (
            ("status", [link.status for link in ordered]),
            ("files", [[file._asdict() for file in link.files] for link in ordered]),
        ):
            field = self.schema.field(name)
            place = self.schema.get_field_index(name)
            rows = rows.set_column(place, field, pa.array(values, field.type))
        return rows

    def files(self) -> pl.DataFrame:
        """Every file of every row: `LINK_SCHEMA`."""
        table = self._table_of(["id", "status", "files"], None)
        frame = pl.DataFrame(table).explode("files", empty_as_null=False).unnest("files")
        return frame.select(LINK_SCHEMA.names()).cast(LINK_SCHEMA)

    def ids(self) -> dict[str, bool]:
        """All ids, and whether that content has vectors (False: it failed)."""
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
        query = self._query(columns, f"revision > {int(revision)}" if revision > 0 else None)
        with self._reading():
            for batch in query.to_batches(batch_size=batch_rows):
                if len(batch):
                    yield batch

    def rows(self, ids: Sequence[str], columns: Sequence[str] | None = None) -> pa.Table:
        """Rows in the order of `ids`; unknown ids are left out. All columns unless some are
        named."""
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
        """Facts of photos in the order of `ids`; unknown ids are left out."""
        return pl.DataFrame(self.rows(ids, columns))

    def thumbnails(self, ids: Sequence[str]) -> dict[str, bytes]:
        """WebP thumbnails by id; photos without one are left out."""
        table = self.rows(ids, ["id", "thumbnail"])
        pairs = zip(table["id"].to_pylist(), table["thumbnail"].to_pylist(), strict=True)
        return {key: image for key, image in pairs if image is not None}

    def failures(self) -> pl.DataFrame:
        """Files that cannot be read, by path: path, reason, size, mtime_ns, id."""
        table = self._table_of(["id", "reason", "files"], "status = 'failed'")
        frame = pl.DataFrame(table).explode("files", empty_as_null=False).unnest("files")
        return frame.select("path", "reason", "size", "mtime_ns", "id").sort("path")

    def counts(self) -> dict[str, int]:
        """Rows by status: ok, failed, removed (gone, but not yet from the vectors)."""
        with self._reading():
            return {
                status: int(self._table.count_rows(f"status = '{status}'"))
                for status in ("ok", "failed", "removed")
            }

    def purge(self, revision: int) -> None:
        """Drop "removed" rows that the vectors have let go: those changed up to `revision`."""
        condition = f"status = 'removed' AND revision <= {int(revision)}"
        with self._reading():
            found = self._table.count_rows(condition)
        if found:
            with self._writing():
                self._table.delete(condition)

    def tidy(self) -> None:
        """Keep the number of fragments and of old versions bounded; costs little where nothing is
        due. For the writer, after it has committed."""
        if self.fragments() > MANY_FRAGMENTS:
            self.optimize()
        elif self.versions() > MANY_VERSIONS:
            self._drop_versions(KEEP_VERSIONS)

    def optimize(self, keep: timedelta | None = None) -> None:
        """Join small fragments, drop versions older than `keep` (None: `KEEP_VERSIONS`), and keep
        the index by which photos are found in a large table."""
        with self._writing():
            if not self._table.list_indices() and self._table.count_rows() >= INDEX_FROM:
                self._table.create_index("id", config=BTree())
            for rows in _TIERS:
                self._table.to_lance().optimize.compact_files(target_rows_per_fragment=rows)
                if self.fragments() <= MANY_FRAGMENTS // 2:
                    break
            self._table.to_lance().optimize.optimize_indices()
        # Only now, when the joined data are known to be whole, may go what they were joined from.
        self._drop_versions(KEEP_VERSIONS if keep is None else keep)

    def versions(self) -> int:
        """How many versions are on the disk."""
        if is_url(self.uri):
            return len(self._table.list_versions())
        return sum(1 for _ in (self.folder / f"{TABLE}.lance" / "_versions").glob("*.manifest"))

    def _drop_versions(self, keep: timedelta) -> None:
        """And what killed commits left: nobody else writes."""
        with explain_full_disk(self.folder):
            self._table.to_lance().cleanup_old_versions(older_than=keep, delete_unverified=True)

    def recover(self) -> int | None:
        """Take the catalog back to its newest state that can be read, and return that revision;
        None when the present one can. Photos committed since are new to the next run. Needs the
        lock. Raises `CatalogDamagedError` when no state can be read.
        """
        versions = sorted((int(v["version"]) for v in self._table.list_versions()), reverse=True)
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
            table = self._db.open_table(TABLE)
            table.checkout(version)
            for _ in table.search().limit(None).to_batches(batch_size=_READ_BATCH):
                pass
        except (RuntimeError, OSError, ValueError, pa.ArrowException):
            return False
        return True

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Afterwards what was written is whole and on the disk, or undone. Raises `DiskError`."""
        place = self.folder / f"{TABLE}.lance"
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
        """Sync the files of the versions after `before`, or go back to that one."""
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
        """Raises `CatalogDamagedError`, or `DiskError`, for what the engine says."""
        with explain_full_disk(self.folder):
            try:
                yield
            except (RuntimeError, OSError, pa.ArrowException) as error:
                raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> CatalogDamagedError:
        reason = " ".join(str(error).split())[:200]
        return CatalogDamagedError(
            f"The catalog in {self.folder} cannot be read ({reason}); `tips verify --repair` "
            "restores its last sound state."
        )

    def fragments(self) -> int:
        """How many pieces the table is in; every commit adds one, `optimize` joins them."""
        statistics: Any = self._table.stats()  # a dict, whatever its type says
        return int(statistics["fragment_stats"]["num_fragments"])

    def _table_of(self, columns: Sequence[str], condition: str | None) -> pa.Table:
        with self._reading():
            return self._query(columns, condition).to_arrow()

    def _query(
        self, columns: Sequence[str] | None, condition: str | None
    ) -> lancedb.query.LanceQueryBuilder:
        query = self._table.search().limit(None).select(list(columns or self.schema.names))
        return query.where(condition) if condition else query


def check_vacant(url: str) -> None:
    """Raise `CollectionError` unless a new catalog can be made on this object storage."""
    with explain_storage(url):
        if TABLE in lancedb.connect(url).list_tables().tables:
            raise CollectionError(
                f"{url} already contains the catalog of another collection; use another URL."
            )


@contextmanager
def explain_storage(url: str | None) -> Iterator[None]:
    """What object storage answers, as `CollectionError`; everything else passes as it is."""
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        if url is None or isinstance(error, CollectionError):
            raise
        text = " ".join(str(error).split())[:160]
        raise CollectionError(f"The catalog {url} cannot be reached ({text}).") from error


def _quoted(ids: Sequence[str]) -> str:
    # Ids are our own hex; anything else cannot be one and must not reach the query.
    return ", ".join(f"'{key}'" for key in ids if key.isalnum()) or "''"
