"""An open collection as the page uses it: search, catalog and caches behind one interface.

Nothing here draws a widget, and everything is loaded lazily: the first view needs the catalog only,
the model is loaded with the first search, and is shared by collections.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
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
from ui.app.near_duplicates import Repeats
from ui.app.photo_facts import facts_of
from ui.app.place_refiner import Sharpener
from ui.app.question import ask, question
from ui.app.state import View
from ui.background import Background
from ui.live_collection import LiveCollection
from ui.warm_models import WarmModels

if TYPE_CHECKING:
    from indexer.catalog.table import Catalog
    from search.browse.index import PhotoIndex
    from search.searcher import Searcher

FIRST_VIEW = 1.0  # seconds by which loading torch and the model waits for the first view
HEAT_MAPS = 512  # at most about 40 KB each
FEATURES = 16  # pictures, about 1 MB each
FOUND = 64  # cached results of questions, and of places in open photos
Rows = npt.NDArray[np.int64]
MODELS = WarmModels("auto")  # shared by all open collections


class Library:
    """An open collection, shared by sessions.

    `token` identifies it in the URLs of its pictures; it cannot be guessed without the page.
    """

    def __init__(self, folder: Path) -> None:
        """Open the collection in `folder` for browsing; raises `TipsError` if it is not a
        collection.
        """
        self._ahead, self._words = Background("ahead"), Background("words")
        self._live = LiveCollection(folder, MODELS, self._ahead)
        self.token = secrets.token_urlsafe(16)
        self._heat: LRUCache[Any, Any] = LRUCache(HEAT_MAPS)
        self._features: LRUCache[Any, Any] = LRUCache(FEATURES)
        self._found: LRUCache[Any, Any] = LRUCache(FOUND)
        self._places: LRUCache[Any, Any] = LRUCache(FOUND)
        self._counts: tuple[object, dict[str, int]] | None = None
        self._suggested: list[str] | None = None
        self.suggested_all = False
        self._cache_lock = threading.Lock()
        self.pictures = self._live.pictures
        self.repeats = Repeats(lambda: self.collection)
        self._sharpener = Sharpener(self.searching)
        self._version: object = None
        self.refresh()

    @property
    def collection(self) -> Collection:
        """The collection as of the last `refresh`."""
        return self._live.photos.collection

    @property
    def catalog(self) -> Catalog:
        """The catalog with the facts about every photo."""
        return self._live.photos.catalog

    @property
    def index(self) -> PhotoIndex:
        """All photos by date and place."""
        return self._live.photos.index

    def refresh(self) -> object:
        """Load what was indexed meanwhile, or another model; returns a version that changes if
        anything changed. The next search opens the new state.
        """
        photos = self._live.browse()
        self._version = photos.collection.data, photos.index.revision, self._live.number()
        return self._version

    @contextmanager
    def searching(self) -> Iterator[Searcher]:
        """The searcher of the current state; the first call loads the model."""
        self._live.refresh()
        with self._live.state() as state:
            yield state.searcher

    def ask(
        self,
        view: View,
        picture: Image.Image | None,
        *,
        limit: int,
        offset: int = 0,
        only: tuple[str, ...] = (),
    ) -> Results:
        """The nearest photos for the view; see `ui/app/question.py`."""
        with self.searching() as searcher:
            return ask(searcher, view, picture, limit=limit, offset=offset, only=only)

    def suggestions(self) -> tuple[str, ...]:
        """Example searches with results in this collection, as far as found. The first call starts
        finding them in the background, which also loads the model for the user's first search.
        """
        with self._cache_lock:
            if self._suggested is None:
                self._suggested = []
                self._words.submit(partial(self._suggest, self._suggested))
            return tuple(self._suggested)

    def _suggest(self, found: list[str]) -> None:
        self._words.pause(FIRST_VIEW)
        from search.suggest import suggestions

        try:
            with self.searching() as searcher:
                for word in suggestions(searcher):
                    found.append(word)
                    if self._words.pause(0):
                        return
        except TipsError:
            return  # the user's first search reports why
        finally:
            self.suggested_all = True

    def counts(self) -> dict[str, int]:
        """Photos by status as of the last `refresh`: ok, failed, removed."""
        version, known = self._version, self._counts
        if known is None or known[0] != version:
            known = self._counts = version, self.catalog.counts()
        return known[1]

    def rows_of(self, identifiers: Sequence[str]) -> Rows:
        """The rows of photos by id, in their order; unknown ids are skipped."""
        return self.index.rows_of(point_keys(point_array(list(identifiers))))

    def hits(self, identifiers: Sequence[str]) -> tuple[Hit, ...]:
        """Photos of the collection as hits without a score; removed ones are skipped."""
        if not identifiers:
            return ()
        frame = self.catalog.photos(identifiers, ["id", "status", "files", "width", "height"])
        return tuple(
            _plain_hit(row) for row in frame.iter_rows(named=True) if row["status"] == "ok"
        )

    def hit(self, identifier: str) -> Hit | None:
        """One photo as a hit without a score; None when it is not in the collection."""
        return next(iter(self.hits([identifier])), None)

    def taken(self, identifiers: Sequence[str]) -> list[datetime | None]:
        """When the photos were taken."""
        frame = self.catalog.photos(identifiers, ["id", "taken"])
        known = dict(frame.iter_rows())
        return [known.get(identifier) for identifier in identifiers]

    def places(self, identifier: str, view: View, words: str) -> tuple[RegionHit, ...]:
        """The places in one photo that show the words (without words, what the view searches for),
        computed from its file if that can be read; best first.
        """
        refuse_files(words)
        alone = replace(view, filter="", show="Places", page=1)
        if words:
            alone = replace(alone, q=words, like=(), unlike=(), find=(), layout=(), picture=None)
        if not alone.finds_places:
            return ()
        key = (replace(alone, photo=identifier, overlay="Box", mode="Grid"), self._version)

        def compute() -> tuple[RegionHit, ...]:
            found = self.ask(alone, None, limit=1, only=(identifier,))
            if words:
                with self.searching() as searcher:
                    found = searcher.refine(found, words)
            return found.hits[0].regions if found.hits else ()

        places: tuple[RegionHit, ...] = self._remembered(self._places, key, compute)
        return places

    def sharp(self, view: View, hits: Sequence[Hit]) -> tuple[tuple[Hit, ...], bool]:
        """The hits with places refined from the photos as far as that is done, and whether more are
        coming; see `Sharpener`. Only for queries by words; other hits stay unchanged.
        """
        if not view.q or view.like or view.unlike or view.picture or not hits:
            return tuple(hits), False
        query = question(replace(view, photo=None), None)
        return self._sharpener.sharp(query, (view.q, view.show, self._version), hits)

    def heat(self, identifier: str, words: str, *, exact: bool) -> npt.NDArray[np.float32]:
        """The heat map (h, w) of the words on one photo, in [0, 1]."""
        refuse_files(words)
        key = (identifier, words, exact, self._version)

        def compute() -> npt.NDArray[np.float32]:
            with self.searching() as searcher:
                return searcher.heatmap(identifier, words, exact=exact)

        known: npt.NDArray[np.float32] = self._remembered(self._heat, key, compute)
        return known

    def features(self, identifier: str) -> Image.Image:
        """The model's patch features of the photo, as a picture."""
        key = (identifier, self.collection.data)

        def compute() -> Image.Image:
            with self.searching() as searcher:
                colours = searcher.feature_picture(identifier)
            small = Image.fromarray((colours * 255).astype(np.uint8))
            scale = 640 / max(small.size)
            size = (round(small.width * scale), round(small.height * scale))
            return small.resize(size, Image.Resampling.BICUBIC)

        picture: Image.Image = self._remembered(self._features, key, compute)
        return picture

    def facts(self, identifier: str) -> list[tuple[str, str]]:
        """The facts about a photo, as label and text."""
        frame = self.catalog.photos([identifier])
        return [] if frame.is_empty() else facts_of(frame.row(0, named=True))

    def query_text(self, view: View) -> str:
        """The words of a view that can be shown as a heat map, "" if it has none."""
        if view.q:
            return view.q
        return " and ".join(f'"{word.text}"' for word in view.layout)

    def remembered_rows(self, view: View, compute: Callable[[], Rows]) -> Rows:
        """The rows for this view in this state of the collection, computed once and cached."""
        rows: Rows = self._remembered(self._found, (view, self._version), compute)
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
