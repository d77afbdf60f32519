"""Watch folders and index their changes shortly after, until the user stops it.

    watch(folder, (), load, tell=print, done=print, stop=threading.Event())

Events say where to look (`scope`); a full run at the start, after a root comes back and every
`rescan` seconds finds changes without events. Errors are reported and the work is retried.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from watchfiles import Change
from watchfiles import watch as listen
from watchfiles._rust_notify import WatchfilesRustInternalError

from indexer.collection import Collection
from indexer.errors import CollectionBusyError, InterruptedIndexError, WatchError
from indexer.folders.ignore import EXTENSIONS, IGNORE_FILE, NO_MEDIA, extension
from indexer.folders.mounts import on_network
from indexer.folders.paths import is_under, to_bytes, to_text
from indexer.folders.roots import Identity, identity
from indexer.folders.scan import ScanResult, scan
from indexer.folders.scope import Scope, touched
from indexer.folders.sidecars import is_sidecar
from indexer.folders.storage import is_url
from indexer.maintenance import watch_limits
from indexer.maintenance.debounce import SETTLE, Pending
from indexer.options import IndexOptions
from indexer.pipeline import index
from indexer.progress import IndexReport, ProgressCallback, ignore_progress
from tips_model.errors import TipsError

if TYPE_CHECKING:
    from tips_model.features import Embedder

TICK = 0.5  # seconds between two checks of steady paths and roots
BUSY = 2.0  # seconds until a busy collection is tried again
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 300.0  # seconds after an error; doubled each time
POLL = 10.0  # seconds between two polls without events
RESCAN = 3600.0  # seconds


@dataclass(kw_only=True)
class WatchOptions:
    """Options of watching.

    index: as for `pipeline.index`. poll: check all files every `poll_seconds` instead of waiting
    for events, for network file systems. rescan: seconds between two full runs. settle: seconds a
    file must be unchanged before it is read.
    """

    index: IndexOptions = field(default_factory=IndexOptions)
    poll: bool = False
    poll_seconds: float = POLL
    rescan: float = RESCAN
    settle: float = SETTLE


def watch(
    folder: Path,
    roots: tuple[str, ...],
    load: Callable[[Collection], Embedder],
    *,
    stop: threading.Event,
    tell: Callable[[str], None],
    done: Callable[[IndexReport], None],
    options: WatchOptions | None = None,
    progress: ProgressCallback | None = None,
) -> None:
    """Keep the collection in `folder` up to date until `stop` is set.

    roots: absolute texts; none means all roots of the collection, also later ones. load: loads the
    collection's model, called only when there is something to embed; it should cache it. tell:
    receives sentences about problems and recoveries. done: receives the report of every run that
    changed something, and of the first.
    Raises `WatchError` when the folders cannot be watched, `CollectionError` when there is no
    collection.
    """
    check_watchable(roots or Collection.open(folder).roots)
    _Watch(folder, roots, load, stop, tell, done, options or WatchOptions(), progress).run()


def check_watchable(roots: Sequence[str]) -> None:
    """Raises `WatchError` for a root on object storage, which sends no events."""
    for root in filter(is_url, roots):
        raise WatchError(
            f"{root} cannot be watched: object storage sends no events; run `tips index` from "
            "time to time, and name local folders to watch those."
        )


class _LostEventsError(Exception):
    """The system lost track of events."""


class _Watch:
    def __init__(
        self,
        folder: Path,
        roots: tuple[str, ...],
        load: Callable[[Collection], Embedder],
        stop: threading.Event,
        tell: Callable[[str], None],
        done: Callable[[IndexReport], None],
        options: WatchOptions,
        progress: ProgressCallback | None,
    ) -> None:
        self._folder, self._given, self._load = folder, roots, load
        self._stop, self._tell, self._done = stop, tell, done
        self._options, self._progress = options, progress or ignore_progress
        self._pending = Pending(options.settle)
        self._own = to_text(os.fsencode(os.path.realpath(folder)))
        self._whole = True  # a full run is due
        self._scanned = 0.0
        self._not_before = 0.0
        self._pause = FIRST_PAUSE
        self._trouble = ""
        self._first = True
        self._full_said = False

    def run(self) -> None:
        """Watch, and restart whenever the roots change."""
        problem = None if self._options.poll else watch_limits.problem()
        if problem is not None:
            raise WatchError(
                f"The folders cannot be watched: {problem}; check the files from time to time "
                "instead (--poll)."
            )
        warned: set[str] = set()
        before: dict[str, Identity] = {}
        while not self._stop.is_set():
            roots = self._roots()
            earlier, before = before, {root: identity(root) for root in roots}
            self._say_roots(earlier, before)
            present = [root for root, identity in before.items() if identity is not None]
            for root in set(roots) - warned:
                self._warn(root)
            warned |= set(roots)
            try:
                for number, paths in enumerate(self._events(present)):
                    if number == 0:
                        self._check_start(present)
                    self._pending.add(path for path in paths if self._matters(path))
                    self._check_room(paths)
                    self._work()
                    if self._stop.is_set():
                        return
                    if before != {root: identity(root) for root in self._roots()}:
                        break
            except _LostEventsError as lost:
                self._tell(f"{lost}; checking everything again.")
                self._stop.wait(TICK)
            self._whole, self._not_before = True, 0.0

    def _roots(self) -> tuple[str, ...]:
        return self._given or Collection.open(self._folder).roots

    def _events(self, roots: list[str]) -> Iterator[set[str]]:
        """The touched paths, every `TICK` seconds; empty when nothing happened."""
        names = []
        for root in roots:
            try:
                names.append(os.fsdecode(to_bytes(root)))
                names[-1].encode("utf-8")
            except UnicodeEncodeError:
                names.pop()
        if not names:
            while not self._stop.wait(TICK):
                yield set()
            return
        try:
            for changes in listen(
                *names,
                watch_filter=None,
                step=100,
                stop_event=self._stop,
                rust_timeout=round(TICK * 1000),
                yield_on_timeout=True,
                # Set explicitly: the library would fall back to polling silently, or follow its
                # environment variables.
                force_polling=self._options.poll,
                poll_delay_ms=round(self._options.poll_seconds * 1000),
                ignore_permission_denied=True,  # also hides the limit: see `_check_room`
            ):
                # A folder counts as modified with everything in it, which has its own events.
                yield {
                    to_text(os.fsencode(path))
                    for change, path in changes
                    if change != Change.modified or not os.path.isdir(path)
                }
        except WatchfilesRustInternalError as error:
            # A name that is not UTF-8, or a queue overflow.
            raise _LostEventsError(f"The system lost events ({error})") from error
        except FileNotFoundError as error:
            raise _LostEventsError("A folder was removed while its watch started") from error

    def _matters(self, path: str) -> bool:
        """Whether a photo, a sidecar, a folder or an ignore file may have changed."""
        if is_under(path, self._own):
            return False
        name = to_bytes(path.rpartition("/")[2])
        if name in (IGNORE_FILE, NO_MEDIA):
            return True
        if name.startswith(b".") and not self._options.index.include_hidden:
            return False
        # A deleted path may have been a folder, whatever its name.
        is_photo = extension(name) in EXTENSIONS
        return is_photo or is_sidecar(name) or not os.path.isfile(to_bytes(path))

    def _check_start(self, roots: list[str]) -> None:
        """Report folders that could not be watched: the library is silent about them."""
        if not self._options.poll and any(watch_limits.full(to_bytes(root)) for root in roots):
            raise WatchError(
                f"The folders cannot be watched: the system's limit of {watch_limits.limit():,} is "
                f"reached; raise it with `{watch_limits.raise_limit()}`, or check the files from "
                "time to time instead (--poll)."
            )

    def _check_room(self, paths: set[str]) -> None:
        """The same for new folders."""
        if self._options.poll or self._full_said:
            return
        folder = next((path for path in paths if os.path.isdir(to_bytes(path))), None)
        if folder is not None and watch_limits.full(to_bytes(folder)):
            self._full_said = True
            self._tell(
                f"{folder} and other new folders cannot be watched: the system's limit of "
                f"{watch_limits.limit():,} is reached; raise it with "
                f"`{watch_limits.raise_limit()}` and restart. Until then they are checked every "
                f"{self._options.rescan / 60:g} minutes."
            )

    def _work(self) -> None:
        """Run the due work."""
        now = time.monotonic()
        if now < self._not_before:
            return
        if self._whole or now - self._scanned >= self._options.rescan:
            self._whole = True
            if self._try(None, self._pending.clear()):
                self._whole, self._scanned = False, time.monotonic()
            return
        scope = self._pending.take()
        if scope is not None and not self._try(scope.paths, scope.without):
            self._pending.add(scope.paths)

    def _try(self, paths: frozenset[str] | None, without: frozenset[str]) -> bool:
        """Index these paths, None for all; False when it has to be retried."""
        try:
            report = self._index(paths, without)
        except InterruptedIndexError as stopped:
            self._stop.set()
            self._done(stopped.report)
            return False
        except CollectionBusyError as busy:
            self._not_before = time.monotonic() + BUSY
            self._say_trouble(f"Waiting: {busy}")
            return False
        except (TipsError, OSError) as error:
            self._not_before = time.monotonic() + self._pause
            self._say_trouble(f"{error} Trying again.")
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
            return False
        if self._trouble:
            self._tell("Working again.")
        self._trouble, self._pause = "", FIRST_PAUSE
        changed = report.counts().keys() - {"unchanged"}
        if changed or self._first:
            self._done(report)
        self._first = False
        return True

    def _index(self, paths: frozenset[str] | None, without: frozenset[str]) -> IndexReport:
        collection = Collection.open(self._folder)
        roots = self._given or collection.roots
        # Name files being written as a walk names them.
        kept = touched(without, roots)
        scope = Scope(frozenset(roots) if paths is None else touched(paths, roots), kept)
        find: Callable[..., ScanResult] = scan
        if paths is not None or kept:
            find = partial(scan, within=scope)
        return index(
            collection,
            [to_bytes(root) for root in self._given],
            partial(self._load, collection),
            options=self._options.index,
            progress=self._progress,
            find=find,
        )

    def _warn(self, root: str) -> None:
        kind = on_network(to_bytes(root))
        minutes = self._options.rescan / 60
        if kind is not None and not self._options.poll:
            self._tell(
                f"{root} is on a network file system ({kind}): changes by other machines are "
                f"seen only every {minutes:g} minutes, or use --poll."
            )

    def _say_roots(self, before: dict[str, Identity], now: dict[str, Identity]) -> None:
        for root, found in now.items():
            if found is None and before.get(root, ()) is not None:
                self._tell(f"{root} is missing; its photos stay in the collection.")
            elif found is not None and root in before and before[root] is None:
                self._tell(f"{root} is back.")

    def _say_trouble(self, sentence: str) -> None:
        if sentence != self._trouble:
            self._trouble = sentence
            self._tell(sentence)
