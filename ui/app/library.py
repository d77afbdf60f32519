"""An open collection, for the page: what it asks for, answered by the search and the catalog.

Nothing here draws a widget, and nothing is loaded before it is needed: the first view takes the
catalog alone, the model comes with the first search.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from cachetools import LRUCache
from PIL import Image

from indexer.collection import Collection
from indexer.vectors import point_array, point_keys
from search.hits import Hit, RegionHit
from ui.app.background import Background
from ui.app.facts import facts_of
from ui.app.pictures import Pictures
from ui.app.question import ask, narrowed, question, refuse_files
from ui.app.repeats import Repeats
from ui.app.sharpen import Sharpener
from ui.app.state import View
from ui.options import pick_device

if TYPE_CHECKING:
    from indexer.catalog import Catalog
    from search.browse import PhotoIndex
    from search.searcher import Searcher

PAGE_SIZE = 48
POSSIBLE = 24
NEAREST = 240  # photos shown for a picture or a place
FIRST_VIEW = 1.0  # seconds that loading torch and the model leaves to the first view
HEAT_MAPS = 512
FOUND = 64  # questions whose photos are remembered
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Answer:
    """One page of photos, and the nearest of the rest.

    hits: confident ones, or all where nothing is asked. possible: below the line. total: photos on
    all pages. searched: photos that passed the filter. folded: for each hit, how many
    near-duplicates it stands for. rows: all photos of all pages, in their order, as rows of the
    collection's `PhotoIndex`. notes: sentences for the user.
    """

    hits: tuple[Hit, ...]
    possible: tuple[Hit, ...]
    total: int
    searched: int
    rows: Rows
    folded: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def pages(self) -> int:
        """Pages of photos, at least one."""
        return max(1, -(-self.total // PAGE_SIZE))


@dataclass(frozen=True, slots=True)
class Around:
    """The photos beside one in an answer, by id, and where it stands: `place` from 0 of `total`;
    None when it is not in the answer.
    """

    previous: str | None = None
    next: str | None = None
    place: int | None = None
    total: int = 0


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
        self._heat: LRUCache[tuple[str, str, bool, int], Any] = LRUCache(HEAT_MAPS)
        self._found: LRUCache[Any, Any] = LRUCache(FOUND)
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

    @cached_property
    def searcher(self) -> Searcher:
        """The search; opening it loads torch, but no model yet."""
        from search.searcher import Searcher

        return Searcher(self.collection, None, pick_device("auto"))

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
        from search.browse import PhotoIndex

        return PhotoIndex.load(self.catalog)

    def refresh(self) -> int:
        """Take up what was indexed meanwhile; a number that changes when there was something."""
        with self._lock:
            changed = self.index.refresh()
            if "searcher" in self.__dict__:
                changed |= self.searcher.refresh()
            self._refreshed += changed
            return self._refreshed

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
        time.sleep(FIRST_VIEW)
        from search.suggest import suggestions

        assert self._suggested is not None
        found = iter(suggestions(self.searcher))
        while True:
            with self._lock:  # one search at a time: users come between
                word = next(found, None)
            if word is None:
                break
            self._suggested.append(word)
        self.suggested_all = True

    def counts(self) -> dict[str, int]:
        """Photos by status in the state of the last `refresh`: ok, failed, removed."""
        revision = self.index.revision
        if self._counts is None or self._counts[0] != revision:
            self._counts = revision, self.catalog.counts()
        return self._counts[1]

    def answer(self, view: View, picture: Image.Image | None = None) -> Answer:
        """The photos that the view asks for. Raises `TipsError` for what cannot be asked."""
        with self._lock:
            if view.same:
                return self._same(view.same, view)
            if not view.asks:
                return self._browse(view)
            if view.nearest:
                return self._nearest(view, picture)
            if view.order == "Best" and not view.group:
                return self._by_score(view, picture)
            return self._rearranged(view, picture)

    def _by_score(self, view: View, picture: Image.Image | None) -> Answer:
        offset = (view.page - 1) * PAGE_SIZE
        found = ask(self.searcher, view, picture, limit=PAGE_SIZE + POSSIBLE, offset=offset)
        hits = tuple(hit for hit in found.hits if hit.confident)[:PAGE_SIZE]
        possible = tuple(hit for hit in found.hits if not hit.confident)[:POSSIBLE]
        return Answer(
            hits,
            possible,
            found.confident,
            found.searched,
            self.index.rows_of(found.keys),
            notes=found.notes,
        )

    def _nearest(self, view: View, picture: Image.Image | None) -> Answer:
        """The photos nearest to pictures or places, confident or not."""
        found = ask(self.searcher, view, picture, limit=NEAREST)
        known = {hit.id: hit for hit in found.hits}
        rows, folded = self._arranged(self.rows_of(list(known)), view)
        hits = tuple(known[identifier] for identifier in self._page(rows, view))
        counts = tuple(folded.get(hit.id, 0) for hit in hits)
        return Answer(hits, (), len(rows), found.searched, rows, counts, found.notes)

    def _rearranged(self, view: View, picture: Image.Image | None) -> Answer:
        """All confident photos in another order or with near-duplicates folded: ranked once, then
        asked again for those of the page alone.
        """
        first = ask(self.searcher, view, picture, limit=POSSIBLE)
        rows, folded = self._arranged(self.index.rows_of(first.keys), view)
        ids = self._page(rows, view)
        hits: tuple[Hit, ...] = ()
        if ids:
            found = ask(self.searcher, view, picture, limit=len(ids), only=tuple(ids)).hits
            place = {identifier: number for number, identifier in enumerate(ids)}
            hits = tuple(sorted(found, key=lambda hit: place[hit.id]))
        rest = first
        if first.confident and view.page * PAGE_SIZE >= len(rows):
            rest = ask(self.searcher, view, picture, limit=POSSIBLE, offset=first.confident)
        possible = tuple(hit for hit in rest.hits if not hit.confident)
        counts = tuple(folded.get(hit.id, 0) for hit in hits)
        return Answer(hits, possible, len(rows), first.searched, rows, counts, first.notes)

    def _browse(self, view: View) -> Answer:
        """All photos that pass the filter, by date."""
        rows = self.rows(view)
        rows, folded = self._arranged(rows, view)
        hits = self.hits(self._page(rows, view))
        counts = tuple(folded.get(hit.id, 0) for hit in hits)
        return Answer(hits, (), len(rows), len(rows), rows, counts)

    def found(self, view: View, picture: Image.Image | None, answer: Answer) -> Rows | None:
        """The rows that the question finds without the filter; None when nothing is asked.

        answer: to the view, which has them already where there is no filter.
        """
        if not view.asks:
            return None
        if not view.filter and not view.group:
            return answer.rows
        bare = replace(
            view, filter="", page=1, photo=None, overlay="Box", mode="Grid", order="Best"
        )

        def compute() -> Rows:
            with self._lock:
                if bare.nearest:
                    near = ask(self.searcher, bare, picture, limit=NEAREST).hits
                    return self.rows_of([hit.id for hit in near])
                return self.index.rows_of(ask(self.searcher, bare, picture, limit=1).keys)

        rows: Rows = self._remembered(self._found, (bare, self._refreshed), compute)
        return rows

    def _same(self, identifier: str, view: View) -> Answer:
        """A photo and its near-duplicates, the best one first."""
        known, rows = self.repeats.known, self.rows_of([identifier])
        if known is not None:
            (group,) = known.group_of(point_keys(point_array([identifier])), "similar")
            if group >= 0:
                alike = np.flatnonzero(known.best["similar"] == group)
                alike = alike[np.argsort(known.rank[alike])]
                rows = self.index.rows_of(point_keys(known.ids[alike]))
        hits = self.hits(self._page(rows, view))
        return Answer(hits, (), len(rows), len(rows), rows)

    def rows(self, view: View) -> Rows:
        """The rows in the index of the photos that pass the view's filter."""
        return self.index.matching(narrowed(view))

    def _arranged(self, rows: Rows, view: View) -> tuple[Rows, dict[str, int]]:
        """The rows in the view's order, and how many photos each one stands for besides itself."""
        if view.order != "Best" or not view.asks:
            rows = self.index.sorted_rows(rows, "oldest" if view.order == "Oldest" else "newest")
        known = self.repeats.known if view.group else None
        if known is None:
            return rows, {}
        kept, more = known.fold(self.index.keys(rows), "similar")
        rows = rows[kept]
        some = np.flatnonzero(more)
        return rows, dict(zip(self.index.ids(rows[some]), more[some].tolist(), strict=True))

    def _page(self, rows: Rows, view: View) -> list[str]:
        start = (view.page - 1) * PAGE_SIZE
        return self.index.ids(rows[start : start + PAGE_SIZE])

    def every_hit(
        self, view: View, picture: Image.Image | None, rows: Rows, page: int = 500
    ) -> Iterator[Hit]:
        """All photos in these rows, in their order, with the places that the view asks for; a page
        at a time, for export.
        """
        for start in range(0, len(rows), page):
            ids = self.index.ids(rows[start : start + page])
            if not view.asks:
                yield from self.hits(ids)
                continue
            with self._lock:
                found = ask(self.searcher, view, picture, limit=len(ids), only=tuple(ids)).hits
            place = {identifier: number for number, identifier in enumerate(ids)}
            yield from sorted(found, key=lambda hit: place[hit.id])

    def rows_of(self, identifiers: Sequence[str]) -> Rows:
        """The rows of photos by id, in their order; unknown ones are left out."""
        return self.index.rows_of(point_keys(point_array(list(identifiers))))

    def around(self, answer: Answer | None, identifier: str) -> Around:
        """What comes before and after a photo in an answer, on whatever page."""
        if answer is None:
            return Around()
        possible = [hit.id for hit in answer.possible]
        if identifier in possible:
            at, total = possible.index(identifier), len(possible)
            left = possible[at - 1] if at else None
            return Around(left, possible[at + 1] if at + 1 < total else None, at, total)
        rows = answer.rows
        own = self.rows_of([identifier])
        places = np.flatnonzero(rows == own[0]) if len(own) else own
        if not len(places):
            return Around()
        at = int(places[0])
        left = self.index.ids(rows[at - 1 : at])[0] if at else None
        right = next(iter(self.index.ids(rows[at + 1 : at + 2])), None)
        return Around(left, right, at, len(rows))

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
        with self._lock:
            found = ask(self.searcher, alone, None, limit=1, only=(identifier,))
            if words:
                found = self.searcher.refine(found, words)
        return found.hits[0].regions if found.hits else ()

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
            with self._lock:
                return self.searcher.heatmap(identifier, words, exact=exact)

        known: npt.NDArray[np.float32] = self._remembered(self._heat, key, compute)
        return known

    def features(self, identifier: str) -> Image.Image:
        """What the photo looks like to the model, as a picture."""
        key = (identifier, "", True, -1)

        def compute() -> Image.Image:
            with self._lock:
                colours = self.searcher.feature_picture(identifier)
            small = Image.fromarray((colours * 255).astype(np.uint8))
            scale = 640 / max(small.size)
            size = (round(small.width * scale), round(small.height * scale))
            return small.resize(size, Image.Resampling.BICUBIC)

        picture: Image.Image = self._remembered(self._heat, key, compute)
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
