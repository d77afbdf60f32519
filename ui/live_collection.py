"""A collection kept open while others write it: each newer state is opened beside the
current one.
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
"""After opening a state, the next one waits this many times as long as the opening took."""
REMOTE = 5.0
"""Seconds between two checks when the vectors are on a server, which has to be queried."""
Stamp = tuple[object, ...]
_log = logging.getLogger("tips.service")


class NotOpenError(TipsError):
    """The collection cannot be searched yet."""


@dataclass(slots=True)
class Photos:
    """What browsing needs, without a model; the index follows the catalog in place."""

    collection: Collection
    catalog: Catalog
    index: PhotoIndex


@dataclass(slots=True)
class State(Photos):
    """A published state of a collection, immutable while in use; it is closed once it is replaced
    and its last user is done.
    """

    searcher: Searcher
    number: int
    """How many states were opened before."""
    stamp: Stamp
    users: int = 1
    """Reference count; the collection holds one reference while this is its current state."""


class LiveCollection:
    """The collection in a folder, shared by any number of threads.

    A search keeps the state that it started with while `refresh` opens a newer one; later searches
    see the new one. `pictures`: the pictures of its photos; `problem`: why it is not open.
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
        """Opens nothing yet. ahead: for pictures, see `Pictures`. name, title: its name where there
        are several.
        """
        self.folder, self.name, self.title = folder, name, title
        self.problem = "The collection is being opened."
        self.pictures = Pictures(lambda: self.photos.catalog, ahead)
        self._models = models
        self._model: BatchingEmbedder | None = None  # stays loaded from one state to the next
        self._lock, self._browsing, self._opening = (threading.Lock() for _ in range(3))
        self._photos: Photos | None = None
        self._current: State | None = None
        self._next = 0.0  # earliest time to open the next state, by `time.monotonic`

    @property
    def photos(self) -> Photos:
        """What browsing needs, as of the last `browse`. Raises `TipsError` like `browse`."""
        return self._photos or self.browse()

    def browse(self) -> Photos:
        """What browsing needs, refreshed, without the model and the vectors. Raises `TipsError`
        when there is no collection.
        """
        return self._browse(Collection.open(self.folder))

    @property
    def ready(self) -> bool:
        """Whether it can be searched."""
        return self._current is not None

    @contextmanager
    def state(self) -> Iterator[State]:
        """The current state, kept open inside the block. Raises `NotOpenError` before the first
        one.
        """
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
        """Whether it is time to check for a newer state; opening one costs time, too."""
        return time.monotonic() >= self._next

    def number(self) -> int:
        """The number of the state that searches see after a `refresh`; it changes when something
        was published. Raises `TipsError` when this cannot be checked now.
        """
        current = self._current
        return 0 if current is None else current.number + (current.stamp != self._look())

    def refresh(self) -> bool:
        """Open a newer state, if there is one; return whether there was. One thread at a time;
        others wait. Raises `TipsError` when the collection cannot be opened now; the current state
        stays open.
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
        if not collection.catalog_folder.exists():  # opening would create it
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
        """A stamp that changes with every published state; reading it takes microseconds, or a
        query when the vectors are on a server.
        """
        from indexer.edge.manifest import MANIFEST  # imports the engine: slow at first view

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
    """Inode and modification time, which change whenever the file is replaced; zeros if it is
    missing.
    """
    try:
        found = file.stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_ino, found.st_mtime_ns
