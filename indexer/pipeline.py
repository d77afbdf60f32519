"""The index run: plan (scan, compare), then apply (decode, embed, commit, publish).

    index(Collection.open(folder), roots, lambda: open_embedder("nano"))

A run may be killed at any moment; the next one resumes from its last commit.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from indexer.chunks import chunks
from indexer.collection import Collection
from indexer.errors import InterruptedIndexError, RootError, explain_full_disk
from indexer.folders.changes import Changes, below, compare, other_sidecars, photos_of, within
from indexer.folders.devices import Away, Device, away, kept, read_devices, write_devices
from indexer.folders.ignore import folder_pattern
from indexer.folders.paths import is_under
from indexer.folders.scan import ScanResult, absolute_roots, scan
from indexer.folders.snapshot import read_snapshot, write_snapshot
from indexer.options import IndexOptions
from indexer.progress import IndexReport, Meter, Progress, ProgressCallback, ignore_progress
from indexer.run_log import recorded

if TYPE_CHECKING:
    from indexer.catalog.table import Catalog
    from indexer.cluster.engine import RayWorkers
    from indexer.commit import Ledger
    from indexer.photo_reader import Reading
    from indexer.vectors import VectorStore
    from tips_model.features import Embedder

# Torch's threads share the processors with the decoders. Busy waiting, their default, took 3 to 7
# times the processor time for a small model on a busy machine and gained nothing on an idle one.
# Torch reads this when it loads; an already loaded torch is not affected.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

Finder = Callable[..., ScanResult]
_PHOTOS_PER_PROCESS = 8  # starting one for fewer does not pay


def index(
    collection: Collection,
    roots: Sequence[str | bytes | os.PathLike[str]],
    embedder: Embedder | Callable[[], Embedder],
    *,
    options: IndexOptions | None = None,
    progress: ProgressCallback | None = None,
    find: Finder = scan,
    workers: RayWorkers | None = None,
) -> IndexReport:
    """Bring a collection up to date with some folders, and add them to its roots.

    roots: folders; none means all roots of the collection. embedder: the collection's model, or a
    function that loads it, called only when there is something to embed. find: lists the photos,
    with the signature of `scan`; a partial scan sets `ScanResult.scope`. workers: other processes
    or machines that read and embed (see `indexer.cluster.engine`); None uses this process, with
    `embedder`.
    Raises `RootError`, `ModelMismatchError`, `CollectionBusyError`, `DiskFullError`, `VectorError`,
    and `InterruptedIndexError` after the first Ctrl-C: photos embedded by then are committed and
    published.
    """
    options, progress = options or IndexOptions(), progress or ignore_progress
    run = _Run(collection, embedder, options, progress, workers)
    with (
        explain_full_disk(collection.folder),
        collection.lock(),
        recorded(collection.folder, "index") as record,
        _stop_at_interrupt(run),
    ):
        run.progress = record.following(run.progress)
        named = absolute_roots(roots, collection.roots) if roots else collection.roots
        report = run.run(named, find)
        record.counts = report.counts()
        return report


@contextmanager
def _stop_at_interrupt(run: _Run) -> Iterator[None]:
    """The first Ctrl-C lets the run finish its current batch; the second interrupts as usual."""
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
    """One call of `index`, from top to bottom."""

    collection: Collection
    embedder: Embedder | Callable[[], Embedder]
    options: IndexOptions
    progress: ProgressCallback
    workers: RayWorkers | None
    stop: bool = False
    started: float = field(default_factory=time.monotonic)

    def run(self, roots: tuple[str, ...], find: Finder) -> IndexReport:
        """Plan, then apply the plan."""
        if not roots:
            raise RootError("Nothing to index; name a folder: `tips index PHOTOS`.")
        if not callable(self.embedder):
            self.collection.check_model(self.embedder.info)
        found, changes, catalog = self._plan(roots, find)
        counts, spent, held = Counter(unchanged=changes.unchanged), 0.0, dict[str, int]()
        if catalog is not None:
            counts, spent, held = self._apply(catalog, found.files, changes)
        report = IndexReport(
            **counts,
            seconds=time.monotonic() - self.started,
            images_per_second=counts["embedded"] / spent if spent > 0 else 0.0,
            missing_roots=found.missing_roots,
            held=tuple(held.items()),
            away=tuple(changes.away.places.items()),
            left_out=found.left_out,
            problems=found.problems,
        )
        if catalog is not None:
            if self.stop:
                raise InterruptedIndexError(
                    f"Stopped after {report.embedded} photos; rerun to resume.",
                    report,
                )
            self.progress(Progress("tidy"))
            catalog.tidy()
            write_snapshot(self.collection.catalog_folder, catalog.files())
        if found.scope is None:
            self._remember_devices(found, changes.away)
        return report

    def _plan(
        self, roots: tuple[str, ...], find: Finder
    ) -> tuple[ScanResult, Changes, Catalog | None]:
        """The scan result, the changes to apply, and the open catalog, None when there are no
        changes. Adds the roots to the collection."""
        self.progress(Progress("scan"))
        found = find(
            roots,
            ignore=(*map(folder_pattern, self.collection.exclude), *self.options.ignore),
            include_hidden=self.options.include_hidden,
            progress=lambda count: self.progress(Progress("scan", count)),
        )
        absent = set(found.missing_roots) - set(self.collection.roots)
        if absent == set(roots):
            raise RootError(f"{roots[0]} does not exist or is empty; nothing was changed.")
        retry, catalog = self.options.retry_failed, None
        known = None if retry else read_snapshot(self.collection.catalog_folder)
        remembered = read_devices(self.collection.catalog_folder)
        changes = None if known is None else _changes(found, known, roots, remembered)
        if changes is None or not changes.empty or self.options.reread:
            catalog = self.collection.catalog()
            failed = catalog.failures()["path"].to_list() if retry else []
            changes = _changes(found, catalog.files(), roots, remembered, failed)
        self.collection.add_roots([root for root in roots if root not in absent])
        return found, changes, catalog

    def _remember_devices(self, found: ScanResult, lost: Away) -> None:
        """After a full walk: of what it did not see, what was remembered stays."""
        folder = self.collection.catalog_folder
        remembered = read_devices(folder)
        unseen = (*found.missing_roots, *found.unseen)
        walked = [root for root in found.devices if root in self.collection.roots]
        others = {
            place: device
            for place, device in remembered.items()
            if any(is_under(place, root) for root in self.collection.roots)
            and (
                any(is_under(place, hidden) for hidden in unseen)
                or not any(is_under(place, root) for root in walked)
            )
        }
        write_devices(folder, others | kept(found.devices, remembered, lost))

    def _apply(
        self, catalog: Catalog, found: pl.DataFrame, changes: Changes
    ) -> tuple[Counter[str], float, dict[str, int]]:
        """Decode, embed, commit and publish; returns the ledger's counts, the seconds spent on
        photos, and the files that are gone and were kept, by root."""
        from indexer.commit import Ledger

        commit = partial(self.workers.commit, catalog) if self.workers else None
        ledger = Ledger(catalog, changes.missing, self.options.retry_failed, commit)
        ledger.counts["unchanged"] += changes.unchanged
        store = self.collection.vectors(read_only=False)
        spent, held = 0.0, dict[str, int]()
        try:
            if len(changes.candidates):
                stream = self._readings(ledger.known, changes.candidates)
                began = time.monotonic()
                self._commit(ledger, store, stream)
                spent = time.monotonic() - began
            if not self.stop:
                ledger.counts["reread"] = self._reread(catalog, found, changes)
            if not self.stop:
                ledger.drop(changes.stale.select("path", "id").iter_rows())
                held = ledger.drop_missing(changes.totals)
            self._publish(catalog, store)
        finally:
            store.close()
        return ledger.counts, spent, held

    def _readings(
        self, known: dict[str, bool], candidates: pl.DataFrame
    ) -> Generator[list[Reading], None, None]:
        """Decode and embed the candidates, here or on the workers."""
        if self.workers is not None:
            return self._elsewhere(self.workers, known, candidates)
        from indexer.photos.decoder_pool import decoders, processors
        from indexer.tiles import tiled

        worthwhile = -(-len(candidates) // _PHOTOS_PER_PROCESS)
        threads = min(self.options.threads or processors(), worthwhile)
        decoders().warm_up(threads)  # in parallel to loading the model
        if callable(self.embedder):
            self.progress(Progress("load"))
            self.embedder = self.embedder()
            self.collection.check_model(self.embedder.info)
        return self._here(known, candidates, tiled(self.embedder, self.collection.tiles), threads)

    def _reread(self, catalog: Catalog, found: pl.DataFrame, changes: Changes) -> int:
        """Read facts again, of photos with other sidecars or of all; returns how many."""
        from indexer.photos.decoder_pool import processors
        from indexer.reread import reread

        if (
            not self.options.reread
            and not (found["stamp"] != 0).any()
            and changes.beside.is_empty()
        ):
            return 0
        known = catalog.files()
        ids = other_sidecars(found, known)["id"].to_list()
        if self.options.reread:
            ids += catalog.outdated()
        if not ids:
            return 0
        return reread(
            catalog,
            photos_of(ids, found, known),
            limits=self.options.limits,
            threads=self.options.threads or processors(),
            batch=self.options.commit_photos,
            meter=Meter(self.progress, "reread"),
            stopped=lambda: self.stop,
        )

    def _here(
        self, known: dict[str, bool], candidates: pl.DataFrame, embedder: Embedder, threads: int
    ) -> Generator[list[Reading], None, None]:
        from indexer.embed import add_features, look_ahead
        from indexer.photo_reader import found, read

        meter = Meter(self.progress, "index", len(candidates))
        one = partial(read, known=known, embedder=embedder, limits=self.options.limits)
        ahead = 2 * self.options.window
        with closing(look_ahead(one, found(candidates), threads=threads, ahead=ahead)) as stream:
            for window in chunks(stream, self.options.window):
                plain = [reading for reading in window if reading.pixels is None]
                meter.add(len(plain), sum(reading.row is not None for reading in plain))
                yield add_features(
                    window, embedder, self.collection.max_regions, meter.add, lambda: self.stop
                )
                if self.stop:
                    break

    def _elsewhere(
        self, workers: RayWorkers, known: dict[str, bool], candidates: pl.DataFrame
    ) -> Generator[list[Reading], None, None]:
        meter = Meter(self.progress, "index", len(candidates))
        stream = workers.readings(candidates, [*known], self.options, lambda: self.stop)
        with closing(stream):
            for readings in stream:
                failed = sum(r.row is not None and r.row.reason is not None for r in readings)
                meter.add(len(readings), failed)
                yield readings

    def _commit(
        self, ledger: Ledger, store: VectorStore, stream: Generator[list[Reading], None, None]
    ) -> None:
        """Commit readings and publish at intervals (see `IndexOptions`)."""
        options = self.options
        committed = published = time.monotonic()
        waiting: list[Reading] = []
        unpublished = 0
        with closing(stream):
            for readings in stream:
                waiting += [reading for reading in readings if reading.id]
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

    def _publish(self, catalog: Catalog, store: VectorStore) -> None:
        from indexer.publish import publish

        meter = Meter(self.progress, "publish")
        # Vectors newer than the catalog belong to a catalog that no longer exists.
        publish(
            catalog,
            store,
            rebuild=store.revision > catalog.revision,
            progress=lambda done: meter.add(done - meter.done),
        )
        catalog.tidy()


def _changes(
    found: ScanResult,
    known: pl.DataFrame,
    roots: Sequence[str],
    remembered: Mapping[str, Device],
    retry: Sequence[str] = (),
) -> Changes:
    totals = {root: int(below(known["path"], [root]).sum()) for root in roots}
    if found.scope is not None:
        known = found.scope.links(known, found.files)
    changes = compare(found.files, known, roots, (*found.missing_roots, *found.unseen), retry)
    lost = away(changes.missing["path"], found.files["path"], remembered)
    missing = changes.missing.filter(~within(changes.missing["path"], lost.folders))
    return replace(changes, missing=missing, totals=totals, away=lost)
