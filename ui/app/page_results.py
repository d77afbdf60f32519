"""Results for the page: queries, sorts and paginates a view's photos, and folds near-duplicates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from indexer.vectors import point_array, point_keys
from search.hits import Hit
from ui.app.question import request
from ui.app.state import View

if TYPE_CHECKING:
    from ui.app.library import Library, Rows

PAGE_SIZE = 48
POSSIBLE = 24
NEAREST = 240  # most photos for a picture or a place


@dataclass(frozen=True, slots=True)
class Answer:
    """One page of photos, and the best of those below the line.

    hits: confident ones, or all if there is no query. possible: below the line. searched: photos
    that passed the filter. rows: all photos of all pages, in their order, as rows of the
    collection's `PhotoIndex`. folded: for each hit, how many near-duplicates it represents. notes:
    sentences for the user.
    """

    hits: tuple[Hit, ...]
    possible: tuple[Hit, ...]
    searched: int
    rows: Rows
    folded: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        """Photos on all pages."""
        return len(self.rows)

    @property
    def pages(self) -> int:
        """Pages of photos, at least one."""
        return max(1, -(-self.total // PAGE_SIZE))


@dataclass(frozen=True, slots=True)
class Around:
    """The neighbours of a photo in an answer, by id, and its position: `place` from 0 of `total`;
    None when it is not in the answer.
    """

    previous: str | None = None
    next: str | None = None
    place: int | None = None
    total: int = 0


def answer(library: Library, view: View, picture: Image.Image | None = None) -> Answer:
    """The photos for the view. Raises `TipsError` for an invalid question."""
    if view.same or not view.asks:
        within = None if view.same else request(view, None).within
        rows = _same(library, view.same) if view.same else library.index.matching(within)
        return _plain(library, view, rows)
    if view.nearest:
        return _nearest(library, view, picture)
    if view.order == "Best" and not view.group:
        return _by_score(library, view, picture)
    return _rearranged(library, view, picture)


def found(library: Library, view: View, picture: Image.Image | None, answer: Answer) -> Rows | None:
    """The rows that the query finds without the filter; None without a query.

    answer: the view's answer, which has these rows already if there is no filter.
    """
    if not view.asks:
        return None
    if not view.filter and not view.group:
        return answer.rows
    anyhow = replace(view, overlay="Box", order="Best", mode="Grid", group=False)
    bare = replace(anyhow, filter="", page=1, same=None, photo=None)

    def compute() -> Rows:
        if bare.nearest:
            near = library.ask(bare, picture, limit=NEAREST).hits
            return library.rows_of([hit.id for hit in near])
        return library.index.rows_of(library.ask(bare, picture, limit=1).keys)

    return library.remembered_rows(bare, compute)


def every_hit(
    library: Library, view: View, picture: Image.Image | None, rows: Rows, page: int = 500
) -> Iterator[Hit]:
    """All photos in these rows, in their order, with the places that the view asks for; in batches,
    for export.
    """
    for start in range(0, len(rows), page):
        ids = library.index.ids(rows[start : start + page])
        yield from _these(library, view, picture, ids) if view.asks else library.hits(ids)


def around(library: Library, answer: Answer | None, identifier: str) -> Around:
    """The photos before and after a photo in an answer, on any page."""
    if answer is None:
        return Around()
    possible = [hit.id for hit in answer.possible]
    if identifier in possible:
        at, total = possible.index(identifier), len(possible)
        left = possible[at - 1] if at else None
        return Around(left, possible[at + 1] if at + 1 < total else None, at, total)
    rows = answer.rows
    own = library.rows_of([identifier])
    places = np.flatnonzero(rows == own[0]) if len(own) else own
    if not len(places):
        return Around()
    at = int(places[0])
    left = library.index.ids(rows[at - 1 : at])[0] if at else None
    right = next(iter(library.index.ids(rows[at + 1 : at + 2])), None)
    return Around(left, right, at, len(rows))


def _by_score(library: Library, view: View, picture: Image.Image | None) -> Answer:
    offset = (view.page - 1) * PAGE_SIZE
    asked = library.ask(view, picture, limit=PAGE_SIZE + POSSIBLE, offset=offset)
    hits = tuple(hit for hit in asked.hits if hit.confident)[:PAGE_SIZE]
    possible = tuple(hit for hit in asked.hits if not hit.confident)[:POSSIBLE]
    rows = library.index.rows_of(asked.keys)
    return Answer(hits, possible, asked.searched, rows, notes=asked.notes)


def _nearest(library: Library, view: View, picture: Image.Image | None) -> Answer:
    """The photos nearest to pictures or places, confident or not."""
    asked = library.ask(view, picture, limit=NEAREST)
    known = {hit.id: hit for hit in asked.hits}
    rows, more = _arranged(library, library.rows_of(list(known)), view)
    hits = tuple(known[identifier] for identifier in _page(library, rows, view))
    return Answer(hits, (), asked.searched, rows, _counts(hits, more), asked.notes)


def _rearranged(library: Library, view: View, picture: Image.Image | None) -> Answer:
    """All confident photos in another order or with near-duplicates folded: ranked once, then
    queried again for those of the page only.
    """
    first = library.ask(view, picture, limit=POSSIBLE)
    rows, more = _arranged(library, library.index.rows_of(first.keys), view)
    hits = _these(library, view, picture, _page(library, rows, view))
    rest = first
    if first.confident and view.page * PAGE_SIZE >= len(rows):
        rest = library.ask(view, picture, limit=POSSIBLE, offset=first.confident)
    possible = tuple(hit for hit in rest.hits if not hit.confident)
    return Answer(hits, possible, first.searched, rows, _counts(hits, more), first.notes)


def _plain(library: Library, view: View, rows: Rows) -> Answer:
    """Photos without a query, by date."""
    more: dict[str, int] = {}
    if not view.same:
        rows, more = _arranged(library, rows, view)
    hits = library.hits(_page(library, rows, view))
    return Answer(hits, (), len(rows), rows, _counts(hits, more))


def _same(library: Library, identifier: str) -> Rows:
    """A photo and its near-duplicates, the best one first."""
    known = library.repeats.known
    if known is not None:
        (group,) = known.group_of(point_keys(point_array([identifier])), "similar")
        if group >= 0:
            alike = np.flatnonzero(known.best["similar"] == group)
            alike = alike[np.argsort(known.rank[alike])]
            return library.index.rows_of(point_keys(known.ids[alike]))
    return library.rows_of([identifier])


def _these(
    library: Library, view: View, picture: Image.Image | None, ids: Sequence[str]
) -> tuple[Hit, ...]:
    """The hits of these photos, in this order."""
    if not ids:
        return ()
    place = {identifier: number for number, identifier in enumerate(ids)}
    hits = library.ask(view, picture, limit=len(ids), only=tuple(ids)).hits
    return tuple(sorted(hits, key=lambda hit: place[hit.id]))


def _arranged(library: Library, rows: Rows, view: View) -> tuple[Rows, dict[str, int]]:
    """The rows in the view's order, and how many other photos each one represents."""
    index = library.index
    if view.order != "Best" or not view.asks:
        rows = index.sorted_rows(rows, "oldest" if view.order == "Oldest" else "newest")
    known = library.repeats.known if view.group else None
    if known is None:
        return rows, {}
    kept, more = known.fold(index.keys(rows), "similar")
    rows = rows[kept]
    some = np.flatnonzero(more)
    return rows, dict(zip(index.ids(rows[some]), more[some].tolist(), strict=True))


def _counts(hits: Sequence[Hit], more: dict[str, int]) -> tuple[int, ...]:
    return tuple(more.get(hit.id, 0) for hit in hits)


def _page(library: Library, rows: Rows, view: View) -> list[str]:
    start = (view.page - 1) * PAGE_SIZE
    return library.index.ids(rows[start : start + PAGE_SIZE])
