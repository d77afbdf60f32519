"""A collection that stays open while others write it: a newer state is opened beside the one in use
and takes its place.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.collection import SETTINGS, Collection
from search.errors import SearchError
from tips_model.errors import TipsError
from ui.background import Background
from ui.pictures import Pictures

if TYPE_CHECKING:
    from indexer.catalog.table import Catalog
    from search.browse.index import PhotoIndex
    from search.searcher import Searcher
    from ui.warm_models import BatchingEmbedder, WarmModels

REST = 4.0
"""After a state was opened, the next one is looked for when so many times as long has passed."""
REMOTE = 5.0
"""Seconds between two looks where the vectors are on a server, which has to be asked."""
Stamp = tuple[object, ...]
_log = logging.getLogger("tips.service")


class NotOpenError(TipsError):
    """The collection cannot be searched yet."""


@dataclass(slots=True)
class Photos:
    """What there is to browse, which needs no model; the index follows the catalog in place."""

    collection: Collection
    catalog: Catalog
    index: PhotoIndex


@dataclass(slots=True)
class State(Photos):
    """A published state of a collection, the same as long as it is used; it is closed when it was
    replaced and its last user is done.
    """

    searcher: Searcher
    number: int
    """How many were open before."""
    stamp: Stamp
    users: int = 1
    """Who uses it; one of them is the collection whose present state it is."""


class LiveCollection:
    """The collection in a folder, for any number of threads.

    Searches go on with the state that they began with while `refresh` opens a newer one; what comes
    later sees that. `pictures` are those of its photos; `problem` says why it is not open.
    """

    def __init__(
        self,
        folder: Path,
        models: WarmModels,
        ahead: Background,
        *,
        name: str = "",
        title: str = "",
    ) -> None:
        """Nothing is opened. ahead: for pictures, see `Pictures`. name, title: what it is called
        where there are several.
        """
        self.folder, self.name, self.title = folder, name, title
        self.problem = "The collection is being opened."
        self.pictures = Pictures(lambda: self.photos.catalog, ahead)
        self._models = models
        self._model: BatchingEmbedder | None = None  # stays warm from one state to the next
        self._lock, self._browsing, self._opening = (threading.Lock() for _ in range(3))
        self._photos: Photos | None = None
        self._current: State | None = None
        self._next = 0.0  # when a state may be opened again, by the clock of `time.monotonic`

    @property
    def photos(self) -> Photos:
        """What there is to browse, as of the last `browse`. Raises `TipsError` as that."""
        return self._photos or self.browse()

    def browse(self) -> Photos:
        """What there is to browse now; without a model, and without the vectors. Raises `TipsError`
        when there is no collection.
        """
        return self._browse(Collection.open(self.folder))

    @property
    def ready(self) -> bool:
        """Whether it can be searched."""
        return self._current is not None

    @contextmanager
    def state(self) -> Iterator[State]:
        """The present state, kept open meanwhile. Raises `NotOpenError` before there is one."""
        with self._lock:
            current = self._current
            if current is None:
                raise NotOpenError(self.problem)
            current.users += 1
        try:
            yield current
        finally:
            self._release(current)

    @property
    def due(self) -> bool:
        """Whether it is time to look for a newer state: opening one is work as well."""
        return time.monotonic() >= self._next

    def number(self) -> int:
        """The number of the state that searches see after a `refresh`: another one when something
        was published. Raises `TipsError` when that cannot be seen now.
        """
        current = self._current
        return 0 if current is None else current.number + (current.stamp != self._look())

    def refresh(self) -> bool:
        """Open what is new; True when there was something. One thread at a time; others wait.
        Raises `TipsError` when the collection cannot be opened now: a state that is open stays.
        """
        with self._opening:
            start = time.monotonic()
            try:
                stamp, before = self._look(), self._current
                if before is not None and before.stamp == stamp:
                    return False
                fresh = self._open(0 if before is None else before.number + 1, stamp)
            except TipsError as error:
                self.problem = str(error)
                raise
            self._replace(fresh)
            took = time.monotonic() - start
            self._next = max(self._next, time.monotonic() + REST * took)
        revision = fresh.searcher.revision
        _log.info("collection %s at revision %d (%.2f s)", self.name, revision, took)
        return True

    def close(self) -> None:
        """Close the state when its last user is done."""
        self._replace(None)

    def _replace(self, fresh: State | None) -> None:
        with self._lock:
            before, self._current = self._current, fresh
        if before is not None:
            self._release(before)

    def _release(self, state: State) -> None:
        with self._lock:
            state.users -= 1
            unused = not state.users
        if unused:
            state.searcher.close()

    def _open(self, number: int, stamp: Stamp) -> State:
        from search.searcher import Searcher

        collection = Collection.open(self.folder)
        if not collection.catalog_folder.exists():  # opening it would make it
            raise SearchError(f"The collection {self.folder} has no photos yet.")
        self._model = self._models.open(collection)
        searcher = Searcher(collection, self._model, self._models.device)
        try:
            searcher.load()
            found = self._browse(collection)
            return State(collection, found.catalog, found.index, searcher, number, stamp)
        except BaseException:
            searcher.close()
            raise

    def _browse(self, collection: Collection) -> Photos:
        from search.browse.index import PhotoIndex

        with self._browsing:
            known = self._photos
            if known is not None and known.collection.catalog_folder == collection.catalog_folder:
                catalog, index = known.catalog, known.index
                index.refresh()
            else:
                catalog = collection.catalog()
                index = PhotoIndex.load(catalog)
            self._photos = Photos(collection, catalog, index)
            return self._photos

    def _look(self) -> Stamp:
        """What changes with every published state, read in some microseconds; a question to the
        server where the vectors are on one.
        """
        from indexer.edge.manifest import MANIFEST  # with it comes the engine: not for a first view

        collection = Collection.open(self.folder)
        settings = _changed(self.folder / SETTINGS)
        if collection.engine["kind"] == "embedded":
            return settings, _changed(collection.vectors_folder / MANIFEST)
        self._next = time.monotonic() + REMOTE
        store = collection.vectors()
        try:
            return settings, store.revision
        finally:
            store.close()


def _changed(file: Path) -> tuple[int, int]:
    """Another one whenever the file was replaced; zeros when it is not there."""
    try:
        found = file.stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_ino, found.st_mtime_ns
