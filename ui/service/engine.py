"""One collection, open for searching; a newer state of it is opened beside and takes its place."""

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
from indexer.edge.manifest import MANIFEST
from search.errors import SearchError
from tips_model.errors import TipsError
from ui.background import Background
from ui.pictures import Pictures
from ui.service.problems import Problem

if TYPE_CHECKING:
    from indexer.catalog.table import Catalog
    from search.browse.index import PhotoIndex
    from search.searcher import Searcher
    from ui.service.models import Models

RETRY_AFTER = 2  # seconds
REST = 4.0
"""After a state was opened, the next one is looked for when so many times as long has passed."""
REMOTE = 5.0
"""Seconds between two looks where the vectors are on a server, which has to be asked."""
Stamp = tuple[object, ...]
_log = logging.getLogger("tips.service")


@dataclass(slots=True, kw_only=True)
class State:
    """A state of a collection, the same as long as it is used; it is closed when it was replaced
    and its last user is done.
    """

    collection: Collection
    catalog: Catalog
    index: PhotoIndex
    searcher: Searcher
    users: int = 0
    replaced: bool = False


class Engine:
    """A collection under a name, for any number of threads.

    Searches go on with the state that they began with while `refresh` opens a newer one; what comes
    later sees that.
    """

    def __init__(
        self, name: str, title: str, folder: Path, models: Models, ahead: Background
    ) -> None:
        """Nothing is opened before `refresh`. ahead: for pictures, see `Pictures`."""
        self.name, self.title, self.folder = name, title, folder
        self.problem = "The collection is being opened."
        self.pictures = Pictures(self._catalog, ahead)
        self._models = models
        self._lock = threading.Lock()
        self._current: State | None = None
        self._stamp: Stamp = ()
        self._next = 0.0  # when a state may be opened again, by the clock of `time.monotonic`

    @property
    def ready(self) -> bool:
        """Whether it can be searched."""
        return self._current is not None

    @property
    def model_id(self) -> str:
        """The model of what is searched; "" before anything is open."""
        current = self._current
        return "" if current is None else current.collection.model.model_id

    @contextmanager
    def state(self) -> Iterator[State]:
        """The present state, kept open meanwhile. Raises `Problem` 503 before there is one."""
        with self._lock:
            current = self._current
            if current is None:
                raise Problem(
                    503, "not-ready", self.problem, headers={"Retry-After": str(RETRY_AFTER)}
                )
            current.users += 1
        try:
            yield current
        finally:
            with self._lock:
                current.users -= 1
                unused = current.replaced and not current.users
            if unused:
                current.searcher.close()

    @property
    def due(self) -> bool:
        """Whether it is time to look for a newer state: opening one is work as well."""
        return time.monotonic() >= self._next

    def refresh(self) -> bool:
        """Take up what was indexed, or rebuilt, since; True when there was something. One thread
        calls this. Raises `TipsError` when the collection cannot be opened now: a state that is
        open stays.
        """
        start = time.monotonic()
        try:
            stamp = self._look()
            if stamp == self._stamp:
                return False
            fresh = self._open()
        except TipsError as error:
            self.problem = str(error)
            raise
        self._replace(fresh)
        self._stamp = stamp
        took = time.monotonic() - start
        self._next = max(self._next, time.monotonic() + REST * took)
        _log.info("collection %s at revision %d (%.2f s)", self.name, self.revision(), took)
        return True

    def revision(self) -> int:
        """The catalog's revision that searches see; 0 before anything is open."""
        current = self._current
        return 0 if current is None else current.searcher.revision

    def close(self) -> None:
        """Close the state when its last user is done."""
        self._replace(None)

    def _replace(self, fresh: State | None) -> None:
        with self._lock:
            before, self._current = self._current, fresh
            unused = before is not None and not before.users
            if before is not None:
                before.replaced = True
        if before is not None and unused:
            before.searcher.close()

    def _open(self) -> State:
        from search.browse.index import PhotoIndex
        from search.searcher import Searcher

        collection = Collection.open(self.folder)
        before = self._current
        if not collection.catalog_folder.exists():  # opening it would make it
            raise SearchError(f"The collection {self.folder} has no photos yet.")
        searcher = Searcher(collection, self._models.open(collection), self._models.device)
        try:
            searcher.load()
            if before is not None and before.collection.catalog_folder == collection.catalog_folder:
                catalog, index = before.catalog, before.index
                index.refresh()
            else:
                catalog = collection.catalog()
                index = PhotoIndex.load(catalog)
        except BaseException:
            searcher.close()
            raise
        return State(collection=collection, catalog=catalog, index=index, searcher=searcher)

    def _look(self) -> Stamp:
        """What changes with every published state, read in some microseconds; a question to the
        server where the vectors are on one.
        """
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

    def _catalog(self) -> Catalog:
        with self.state() as state:
            return state.catalog


def _changed(file: Path) -> tuple[int, int]:
    """Another one whenever the file was replaced; zeros when it is not there."""
    try:
        found = file.stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_ino, found.st_mtime_ns
