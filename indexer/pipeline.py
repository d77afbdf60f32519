"""Index photos: scan -> compare -> decode -> embed -> regions -> commit -> publish.

    index(Collection.open(folder), roots, lambda: open_embedder("nano"))

A run may be killed at any moment; the next one goes on from its last commit.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from indexer.collection import Collection
from indexer.errors import InterruptedIndexError, RootError, explain_full_disk
from indexer.folders.changes import Changes, compare
from indexer.folders.scan import ScanResult, absolute_roots, scan
from indexer.folders.snapshot import read_snapshot, write_snapshot
from indexer.options import IndexOptions
from indexer.progress import IndexReport, Meter, Progress, ProgressCallback, ignore_progress
from indexer.runs import recorded

if TYPE_CHECKING:
    from indexer.catalog.table import Catalog
    from indexer.ledger import Ledger
    from indexer.reading import Reading
    from indexer.vectors import VectorStore
    from indexer.workers import Workers
    from tips_model.features import Embedder

# Torch's threads share the processors with the decoding ones. Waiting actively, their default, they
# took 3 to 7 times the processor time for a small model on a busy machine and gained nothing on an
# idle one. Read when torch is loaded; a process that has loaded it already keeps its way.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

Finder = Callable[..., ScanResult]
_PHOTOS_PER_PROCESS = 8


def index(
    collection: Collection,
    roots: Sequence[str | bytes | os.PathLike[str]],
    embedder: Embedder | Callable[[], Embedder],
    *,
    options: IndexOptions | None = None,
    progress: ProgressCallback | None = None,
    find: Finder = scan,
    workers: Workers | None = None,
) -> IndexReport:
    """Bring a collection up to date with some folders, and remember these.

    roots: folders; none means all that the collection knows. embedder: the collection's model, or a
    function that loads it, which is called only when there is something to embed. find: lists the
    photos, with the signature of `scan`; one that looks at less says so (`ScanResult.scope`).
    workers: other processes or machines that read and embed (see `indexer.cluster.engine`); None is
    this process, with `embedder`.
    Raises `RootError`, `ModelMismatchError`, `CollectionBusyError`, `DiskFullError`, `VectorError`,
    and `InterruptedIndexError` after the first Ctrl-C: what was embedded until then is committed
    and published.
    """
    run = _Run(
        collection, embedder, options or IndexOptions(), progress or ignore_progress, find, workers
    )
    with (
        explain_full_disk(collection.folder),
        collection.lock(),
        recorded(collection.folder, "index") as record,
        _stop_at_interrupt(run),
    ):
        run.progress = record.following(run.progress)
        report = run.run(absolute_roots(roots) if roots else collection.roots)
        record.counts = report.counts()
        return report


@contextmanager
def _stop_at_interrupt(run: _Run) -> Iterator[None]:
    """The first Ctrl-C lets the run finish what it has in hand, the second is the usual one."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: object) -> None:
        run.stop = True
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@dataclass
class _Run:
    collection: Collection
    embedder: Embedder | Callable[[], Embedder]
    options: IndexOptions
    progress: ProgressCallback
    find: Finder = scan
    workers: Workers | None = None
    stop: bool = False
    started: float = field(default_factory=time.monotonic)
    _roots: tuple[str, ...] = ()

    def run(self, roots: tuple[str, ...]) -> IndexReport:
        if not roots:
            raise RootError("There is nothing to index; name a folder: `tips index PHOTOS`.")
        if not callable(self.embedder):
            self.collection.check_model(self.embedder.info)
        found = self._scan(roots)
        snapshot = (
            None if self.options.retry_failed else read_snapshot(self.collection.catalog_folder)
        )
        if snapshot is not None:
            changes = self._compare(found, snapshot, roots)
            if changes.empty:
                self.collection.add_roots(self._roots)
                return self._report(found, Counter(unchanged=changes.unchanged), 0.0)
        catalog = self.collection.catalog()
        changes = self._compare(found, catalog.files(), roots, catalog)
        self.collection.add_roots(self._roots)
        return self._update(catalog, found, changes)

    def _scan(self, roots: tuple[str, ...]) -> ScanResult:
        self.progress(Progress("scan"))
        found = self.find(
            roots,
            ignore=self.options.ignore,
            include_hidden=self.options.include_hidden,
            progress=lambda count: self.progress(Progress("scan", count)),
        )
        absent = set(found.missing_roots) - set(self.collection.roots)
        if absent == set(roots):
            raise RootError(f"{roots[0]} is not there, or is empty; nothing was changed.")
        self._roots = tuple(root for root in roots if root not in absent)
        return found

    def _compare(
        self,
        found: ScanResult,
        known: pl.DataFrame,
        roots: Sequence[str],
        catalog: Catalog | None = None,
    ) -> Changes:
        retry = (
            catalog.failures()["path"].to_list() if catalog and self.options.retry_failed else []
        )
        unseen = (*found.missing_roots, *found.unseen)
        if found.scope is not None:
            known = found.scope.links(known, found.files)
        return compare(found.files, known, roots, unseen, retry)

    def _update(self, catalog: Catalog, found: ScanResult, changes: Changes) -> IndexReport:
        from indexer.ledger import Ledger

        commit = partial(self.workers.commit, catalog) if self.workers else None
        ledger = Ledger(catalog, changes.missing, self.options.retry_failed, commit)
        ledger.counts["unchanged"] += changes.unchanged
        store = self.collection.vectors(read_only=False)
        try:
            spent = 0.0
            if len(changes.candidates):
                stream = self._readings(ledger, changes.candidates)
                began = time.monotonic()
                self._index(ledger, store, stream)
                spent = time.monotonic() - began
            if not self.stop:
                ledger.drop(changes.stale.select("path", "id").iter_rows())
                ledger.drop_missing()
            self._publish(catalog, store)
        finally:
            store.close()
        report = self._report(found, ledger.counts, spent)
        if self.stop:
            raise InterruptedIndexError(
                f"Stopped after {report.embedded} photos, which are kept; "
                "run the same command again to go on.",
                report,
            )
        self.progress(Progress("tidy"))
        catalog.tidy()
        write_snapshot(self.collection.catalog_folder, catalog.files())
        return report

    def _index(
        self, ledger: Ledger, store: VectorStore, stream: Generator[list[Reading], None, None]
    ) -> None:
        committed = published = time.monotonic()
        waiting: list[Reading] = []
        unpublished = 0
        options = self.options
        with closing(stream):
            for readings in stream:
                waiting += readings
                now = time.monotonic()
                if (
                    len(waiting) < options.commit_photos
                    and now - committed < options.commit_seconds
                ):
                    continue
                unpublished += len(waiting)
                ledger.commit(waiting)
                waiting, committed = [], now
                if (
                    unpublished >= options.publish_photos
                    or now - published >= options.publish_seconds
                ):
                    self._publish(ledger.catalog, store)
                    unpublished, published = 0, time.monotonic()
        if waiting:
            ledger.commit(waiting)

    def _readings(
        self, ledger: Ledger, candidates: pl.DataFrame
    ) -> Generator[list[Reading], None, None]:
        if self.workers is not None:
            return self._embedded_elsewhere(self.workers, ledger, candidates)
        from indexer.photos.decoders import decoders

        decoders().warm_up(self._threads(len(candidates)))  # beside the model
        return self._embedded(ledger, self._load(), candidates)

    def _embedded_elsewhere(
        self, workers: Workers, ledger: Ledger, candidates: pl.DataFrame
    ) -> Generator[list[Reading], None, None]:
        meter = Meter(self.progress, "index", len(candidates))
        known = [*ledger.known]
        with closing(
            workers.readings(candidates, known, self.options, lambda: self.stop)
        ) as stream:
            for readings in stream:
                here = [reading for reading in readings if reading is not None]
                failed = sum(r.row is not None and r.row.reason is not None for r in here)
                meter.add(len(readings), failed)
                yield here

    def _embedded(
        self, ledger: Ledger, embedder: Embedder, candidates: pl.DataFrame
    ) -> Generator[list[Reading], None, None]:
        from indexer.embed import add_features, look_ahead, windows
        from indexer.reading import Reader
        from indexer.reading import candidates as listed
        from indexer.tiles import tiled

        embedder = tiled(embedder, self.collection.tiles)
        meter = Meter(self.progress, "index", len(candidates))
        reader = Reader(
            ledger.known,
            embedder.prepare,
            embedder.info.image_size,
            self.options.limits,
        )
        read = look_ahead(
            reader.read,
            listed(candidates),
            threads=self._threads(len(candidates)),
            ahead=2 * self.options.window,
        )
        with closing(read):
            for window in windows(read, self.options.window):
                here = [reading for reading in window if reading is not None]
                plain = [reading for reading in here if reading.pixels is None]
                failed = sum(reading.row is not None for reading in plain)
                meter.add(len(plain) + len(window) - len(here), failed)
                yield add_features(
                    here, embedder, self.collection.max_regions, meter.add, lambda: self.stop
                )
                if self.stop:
                    break

    def _threads(self, photos: int) -> int:
        """How many read at once: to start a process for less than some photos does not pay."""
        from indexer.photos.decoders import processors

        return min(self.options.threads or processors(), -(-photos // _PHOTOS_PER_PROCESS))

    def _load(self) -> Embedder:
        if not callable(self.embedder):
            return self.embedder
        self.progress(Progress("load"))
        embedder = self.embedder()
        self.collection.check_model(embedder.info)
        return embedder

    def _publish(self, catalog: Catalog, store: VectorStore) -> None:
        from indexer.publish import publish

        meter = Meter(self.progress, "publish")
        # Vectors from the future belong to a catalog that is no more.
        publish(
            catalog,
            store,
            rebuild=store.revision > catalog.revision,
            progress=lambda done: meter.add(done - meter.done),
        )
        catalog.tidy()

    def _report(self, found: ScanResult, counts: Counter[str], spent: float) -> IndexReport:
        return IndexReport(
            **counts,
            seconds=time.monotonic() - self.started,
            images_per_second=counts["embedded"] / spent if spent > 0 else 0.0,
            missing_roots=found.missing_roots,
            problems=found.problems,
        )
