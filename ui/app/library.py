"""An open collection, for the page: what it asks for, answered by the search and the catalog.

Nothing here draws a widget, and nothing is loaded before it is needed: the first view takes the
catalog alone, the model comes with the first search.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from cachetools import LRUCache
from PIL import Image

from indexer.collection import Collection
from indexer.vectors import point_array, point_keys
from search.hits import Hit, RegionHit, Results
from search.scenes.language import refuse_files
from tips_model.errors import TipsError
from ui.app.facts import facts_of
from ui.app.question import ask, question
from ui.app.repeats import Repeats
from ui.app.sharpen import Sharpener
from ui.app.state import View
from ui.background import Background
from ui.options import pick_device
from ui.pictures import Pictures

if TYPE_CHECKING:
    from indexer.catalog.table import Catalog
    from search.browse.index import PhotoIndex
    from search.searcher import Searcher

FIRST_VIEW = 1.0  # seconds that loading torch and the model leaves to the first view
HEAT_MAPS = 512  # some 40 KB each at most
FEATURES = 16  # pictures, about a megabyte each
FOUND = 64  # questions whose photos are remembered, and places in open photos
Rows = npt.NDArray[np.int64]


class Library:
    """An open collection. Sessions share it; searches come one at a time.

    `token` stands for it in the addresses of its pictures: who does not have the page cannot guess
    it.
    """

    def __init__(self, collection: Collection) -> None:
        """Nothing is read yet."""
        self.collection = collection
        self.token = secrets.token_urlsafe(16)
        self._refreshed = 0
        self._lock = threading.RLock()
        self._opening = threading.Lock()
        self._searcher: Searcher | None = None
        self._heat: LRUCache[Any, Any] = LRUCache(HEAT_MAPS)
        self._features: LRUCache[Any, Any] = LRUCache(FEATURES)
        self._found: LRUCache[Any, Any] = LRUCache(FOUND)
        self._places: LRUCache[Any, Any] = LRUCache(FOUND)
        self._counts: tuple[int, dict[str, int]] | None = None
        self._suggested: list[str] | None = None
        self.suggested_all = False
        self._cache_lock = threading.Lock()
        self._ahead = Background("ahead")
        self.pictures = Pictures(lambda: self.catalog, self._ahead)
        self.repeats = Repeats(collection)

    @classmethod
    def open(cls, folder: Path) -> Library:
        """Open the collection in `folder` for reading; raises `TipsError` when it is not one."""
        return cls(Collection.open(folder))

    @property
    def searcher(self) -> Searcher:
        """The search with its model, which the first who asks for it loads."""
        with self._opening:  # a lock of its own: browsing goes on meanwhile
            if self._searcher is None:
                from search.searcher import Searcher

                searcher = Searcher(self.collection, None, pick_device("auto"))
                searcher.load()
                self._searcher = searcher
            return self._searcher

    @cached_property
    def sharpener(self) -> Sharpener:
        """Computes places of hits again, in the background."""
        return Sharpener(self.searcher, self._lock)

    @cached_property
    def catalog(self) -> Catalog:
        """What is known of every photo."""
        return self.collection.catalog()

    @cached_property
    def index(self) -> PhotoIndex:
        """All photos by date and place."""
        from search.browse.index import PhotoIndex

        return PhotoIndex.load(self.catalog)

    def refresh(self) -> int:
        """Take up what was indexed meanwhile; a number that changes when there was something."""
        with self._lock:
            changed = self.index.refresh()
            if self._searcher is not None:
                changed |= self._searcher.refresh()
            self._refreshed += changed
            return self._refreshed

    def ask(
        self,
        view: View,
        picture: Image.Image | None,
        *,
        limit: int,
        offset: int = 0,
        only: tuple[str, ...] = (),
    ) -> Results:
        """The nearest photos for what the view asks; see `ui/app/question.py`."""
        searcher = self.searcher
        with self._lock:
            return ask(searcher, view, picture, limit=limit, offset=offset, only=only)

    def suggestions(self) -> tuple[str, ...]:
        """Searches that this collection answers, those found so far. The first call begins to look
        for them, in the background, which loads the model for the user's own first search.
        """
        with self._cache_lock:
            if self._suggested is None:
                self._suggested = []
                self._ahead.submit(self._suggest)
            return tuple(self._suggested)

    def _suggest(self) -> None:
        self._ahead.pause(FIRST_VIEW)
        from search.suggest import suggestions

        try:
            words = suggestions(self.searcher)
        except TipsError:
            self.suggested_all = True  # the user's own first search says why
            return
        self._suggest_next(words)

    def _suggest_next(self, words: Iterator[str]) -> None:
        """Find one more search, and come back for the next: users and other work come between."""
        assert self._suggested is not None
        word = None
        try:
            with self._lock:
                word = next(words, None)
        finally:
            self.suggested_all = word is None
        if word is not None:
            self._suggested.append(word)
            self._ahead.submit(partial(self._suggest_next, words))

    def counts(self) -> dict[str, int]:
        """Photos by status in the state of the last `refresh`: ok, failed, removed."""
        revision = self.index.revision
        if self._counts is None or self._counts[0] != revision:
            self._counts = revision, self.catalog.counts()
        return self._counts[1]

    def rows_of(self, identifiers: Sequence[str]) -> Rows:
        """The rows of photos by id, in their order; unknown ones are left out."""
        return self.index.rows_of(point_keys(point_array(list(identifiers))))

    def hits(self, identifiers: Sequence[str]) -> tuple[Hit, ...]:
        """Photos of the collection without a score; those that are gone are left out."""
        if not identifiers:
            return ()
        frame = self.catalog.photos(identifiers, ["id", "status", "files", "width", "height"])
        return tuple(
            _plain_hit(row) for row in frame.iter_rows(named=True) if row["status"] == "ok"
        )

    def hit(self, identifier: str) -> Hit | None:
        """One photo without a score; None when it is not in the collection."""
        return next(iter(self.hits([identifier])), None)

    def taken(self, identifiers: Sequence[str]) -> list[datetime | None]:
        """When the photos were taken."""
        frame = self.catalog.photos(identifiers, ["id", "taken"])
        known = dict(frame.iter_rows())
        return [known.get(identifier) for identifier in identifiers]

    def places(self, identifier: str, view: View, words: str) -> tuple[RegionHit, ...]:
        """The places in one photo that show the words (or, without words, what the view looks for),
        computed from its file if that can be read; best first.
        """
        refuse_files(words)
        alone = replace(view, filter="", show="Places", page=1)
        if words:
            alone = replace(alone, q=words, like=(), unlike=(), find=(), layout=(), picture=None)
        if not alone.finds_places:
            return ()
        key = (replace(alone, photo=identifier, overlay="Box", mode="Grid"), self._refreshed)

        def compute() -> tuple[RegionHit, ...]:
            found = self.ask(alone, None, limit=1, only=(identifier,))
            if words:
                searcher = self.searcher
                with self._lock:
                    found = searcher.refine(found, words)
            return found.hits[0].regions if found.hits else ()

        places: tuple[RegionHit, ...] = self._remembered(self._places, key, compute)
        return places

    def sharp(self, view: View, hits: Sequence[Hit]) -> tuple[tuple[Hit, ...], bool]:
        """The hits with their places computed again from the photos, as far as that is done, and
        whether more of it is coming; see `Sharpener`. Hits of pictures, layouts and nothing stay
        as they are.
        """
        if not view.q or view.like or view.unlike or view.picture or not hits:
            return tuple(hits), False
        query = question(replace(view, photo=None), None)
        return self.sharpener.sharp(query, (view.q, view.show, self._refreshed), hits)

    def heat(self, identifier: str, words: str, *, exact: bool) -> npt.NDArray[np.float32]:
        """The heat map (h, w) of the words on one photo, in [0, 1]."""
        refuse_files(words)
        key = (identifier, words, exact, self._refreshed)

        def compute() -> npt.NDArray[np.float32]:
            searcher = self.searcher
            with self._lock:
                return searcher.heatmap(identifier, words, exact=exact)

        known: npt.NDArray[np.float32] = self._remembered(self._heat, key, compute)
        return known

    def features(self, identifier: str) -> Image.Image:
        """What the photo looks like to the model, as a picture."""

        def compute() -> Image.Image:
            searcher = self.searcher
            with self._lock:
                colours = searcher.feature_picture(identifier)
            small = Image.fromarray((colours * 255).astype(np.uint8))
            scale = 640 / max(small.size)
            size = (round(small.width * scale), round(small.height * scale))
            return small.resize(size, Image.Resampling.BICUBIC)

        picture: Image.Image = self._remembered(self._features, identifier, compute)
        return picture

    def facts(self, identifier: str) -> list[tuple[str, str]]:
        """What is known of a photo, as label and text."""
        frame = self.catalog.photos([identifier])
        return [] if frame.is_empty() else facts_of(frame.row(0, named=True))

    def query_text(self, view: View) -> str:
        """The words of a view that can be shown as heat, "" when it has none."""
        if view.q:
            return view.q
        return " and ".join(f'"{word.text}"' for word in view.layout)

    def remembered_rows(self, view: View, compute: Callable[[], Rows]) -> Rows:
        """The rows that were computed for this view in this state of the collection, or are now."""
        rows: Rows = self._remembered(self._found, (view, self._refreshed), compute)
        return rows

    def _remembered(self, cache: LRUCache[Any, Any], key: Any, compute: Callable[[], Any]) -> Any:
        with self._cache_lock:
            if key in cache:
                return cache[key]
        value = compute()
        with self._cache_lock:
            cache[key] = value
        return value


def _plain_hit(row: dict[str, Any]) -> Hit:
    paths = tuple(file["path"] for file in row["files"]) or ("",)
    return Hit(
        id=row["id"],
        path=paths[0],
        paths=paths,
        score=0.0,
        confident=False,
        width=row["width"],
        height=row["height"],
    )
