"""Background refinement: recomputes the places of the hits on a page from the photos."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING

from cachetools import LRUCache

from search.hits import Hit, Results
from search.query import Query
from search.scenes.scene import Scene
from ui.app.state import Show
from ui.background import Background

if TYPE_CHECKING:
    from search.searcher import Searcher

SHARPENED = 24  # hits of a page that are refined
REMEMBERED = 512  # cached hits
Asked = tuple[str, Show, object]  # words, ranking, state of the collection
Key = tuple[Asked, str]  # and the photo


class Sharpener:
    """Refines hits of text queries one after the other. searching: returns the current searcher."""

    def __init__(self, searching: Callable[[], AbstractContextManager[Searcher]]) -> None:
        self._searching = searching
        self._sharp: LRUCache[Key, Hit] = LRUCache(REMEMBERED)
        self._coming: set[Key] = set()
        self._lock = threading.Lock()
        self._background = Background("sharpen", newest_first=True)

    def sharp(
        self, query: Query | Scene, asked: Asked, hits: Sequence[Hit]
    ) -> tuple[tuple[Hit, ...], bool]:
        """The hits, the first `SHARPENED` of them with refined places as far as known, and whether
        more are coming. The first call for a hit starts the work; models that are slow at it
        (`Searcher.refines_quickly`) get no refinement.
        """
        with self._searching() as searcher:
            if not searcher.refines_quickly:
                return tuple(hits), False
        first = hits[:SHARPENED]
        keys = [(asked, hit.id) for hit in first]
        with self._lock:
            known = [self._sharp.get(key) for key in keys]
            new = [
                (key, hit)
                for key, hit, done in zip(keys, first, known, strict=True)
                if done is None and key not in self._coming
            ]
            self._coming.update(key for key, _ in new)
            pending = any(key in self._coming for key in keys)
        for key, hit in reversed(new):  # the last one in runs first
            self._background.submit(partial(self._sharpen, key, hit, query))
        shown = tuple(done or hit for done, hit in zip(known, first, strict=True))
        return (*shown, *hits[SHARPENED:]), pending

    def _sharpen(self, key: Key, hit: Hit, query: Query | Scene) -> None:
        alone = Results(query="", model="", hits=(hit,), confident=0, searched=0)
        sharper = hit  # fall back to its stored places
        try:
            with self._searching() as searcher:
                (sharper,) = searcher.refine(alone, query).hits
        finally:
            with self._lock:
                self._sharp[key] = sharper
                self._coming.discard(key)
