"""The `Searcher` of a collection: answers search requests with one model. `Searcher.open(folder)`,
then `search` with a `Request`, or the shortcuts `images`, `regions`, `similar`, `similar_region`,
`layout`, `find_again`; and `heatmap` for one photo.

    with Searcher.open("photos.tips") as searcher:
        for hit in searcher.regions("red bicycle").hits:
            print(hit.score, hit.path, hit.regions[0].box)

Scores are on the scale of `search/confidence/cutoff.py`: 1 is the confidence line. Only confident
hits are returned unless `all` is set. Model, calibration and vectors are loaded on first use.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Unpack

import numpy as np
from PIL import Image

from indexer.collection import Collection
from indexer.tiles import tiled
from indexer.vectors import Filter, Kind
from search.arrays import Array
from search.confidence.calibration import Calibration, Direction, TermVector
from search.confidence.sample import EmptySampleError, calibrate
from search.cursor import Cursor, fingerprint
from search.errors import QueryError, SearchError
from search.filters import parse_filter, resolve
from search.find_again import check
from search.hits import Box, Hit, Results
from search.layout import Placed, placed_things
from search.photo_lookup import PhotoLookup
from search.places.pca import feature_colours
from search.places.refiner import Refiner
from search.query import Example, ImageTerm, Query
from search.query_encoder import QueryEncoder
from search.query_vectors import TermReader
from search.ranking import HEAD, Indices, Ranked, Ranker
from search.request import Page, RefinedPage, Request
from search.result_page import build_page
from search.scenes.result_page import build_scene_page
from search.scenes.scene import Scene, wanted_queries, wanted_things
from search.scenes.search import RankedScenes, SceneSearch
from search.sorting import Sorter
from search.stored_photos import open_photo, photo_id
from search.tail import PhotoOrders
from tips_model.features import Embedder

FACET_LIMIT = 1_000_000
"""Maximum number of cameras, lenses and folders considered for a partial name."""


class Searcher:
    """Searches one collection with one model. Close it, or use it as a context manager."""

    def __init__(self, collection: Collection, embedder: Embedder | None, device: str) -> None:
        """See `open`."""
        self._collection, self._given, self._device = collection, embedder, device
        if embedder is not None:
            collection.check_model(embedder.info)
        self._catalog = collection.catalog()
        self._store = collection.vectors(read_only=True)
        self._calibration: Calibration | None = None
        self._values: dict[str, list[str]] = {}

    @classmethod
    def open(
        cls, folder: str | Path, *, embedder: Embedder | None = None, device: str = "cpu"
    ) -> Searcher:
        """Open the collection in `folder` with the model that made it.

        Raises a `TipsError` when there is no collection or when `embedder` is another model.
        """
        return cls(Collection.open(folder), embedder, device)

    def __enter__(self) -> Searcher:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the vectors."""
        self._store.close()

    def search(self, request: Request) -> Results:
        """The requested page of hits. Raises `TipsError` for an invalid request."""
        terms: list[TermVector] | None = None
        told: tuple[str, ...] = ()
        if request.examples:
            terms, told = self._refiner.examples(request.examples)
            names = zip(map(str, request.examples), terms, strict=True)
            asked: Query | Scene = Query(images=tuple(ImageTerm(n, t.weight) for n, t in names))
        else:
            asked = request.query
        within, unmatched = self._filter(request.within)
        start, moved = self._start(request)
        searched = self._store.count("images", within)
        if isinstance(asked, Scene):
            notes = self._terms.scene_notes(asked)
            listed = self._composed(asked, request, within)
        else:
            notes = self._terms.notes(asked)
            listed = self._plain(asked, terms, request, within)
        keys = listed.ranked.photo_keys[: listed.ranked.confident()]
        total = searched if request.all else len(keys)
        stop = min(start + request.limit, total)
        ranked, ranks = self._listed(listed, request, within, start, stop, total)
        results = Results(
            query=str(asked),
            model=self._encoder.embedder.info.model_id,
            hits=listed.page(ranked, ranks),
            confident=len(keys),
            searched=searched,
            notes=(*request.notes, *told, *notes, *unmatched, *moved),
            keys=keys,
            total=total,
            offset=start,
            next=str(self._cursor(request, stop)) if stop < total else None,
        )
        if not request.refine:
            return results
        if terms is None:
            return self.refine(results, asked)
        centre = self._calibrated().sides["regions"].picture_centre
        return self._refiner.refine(results, {"": self._refiner.target(terms, centre)}, bound=False)

    def images(self, query: Query | Scene | str, **page: Unpack[Page]) -> Results:
        """Photos for a query, ranked by the whole photo and its best region together.

        A text is parsed as in `search/scenes/language.py`; one composed of things with places (`dog
        left of car`) ranks photos by their weakest link. `offset` (0) and `limit` (20) select a
        page of the answer. `filter` is a filter or its text. `all` includes weak hits. `sort`
        arranges the answer, with `all` every photo. `cursor` continues after the page whose `next`
        it is. Raises `TipsError` for an invalid query.
        """
        return self.search(Request(words=query, **page))

    def regions(self, query: Query | Scene | str, **page: Unpack[RefinedPage]) -> Results:
        """Places for a query, grouped by photo and ranked by each photo's best place; arguments as
        for `images`. `refine`: see the method of that name.
        """
        return self.search(Request(words=query, by="places", **page))

    def layout(self, things: Sequence[Placed], **page: Unpack[RefinedPage]) -> Results:
        """Photos that show things where they were placed: pairs of a text and a box (x0, y0, x1,
        y1) as fractions of the upright picture, `[("tree", (0, 0, 0.4, 1)), ("dog", ...)]`.

        Each thing has its own place, rated by its score and its agreement with the box
        (`search/scenes/relations.py`, `placed`); a photo is as good as its weakest thing. Other
        arguments as for `regions`. Raises `QueryError` for no things, an empty text or a box
        outside the picture.
        """
        return self.search(Request(layout=placed_things(things), **page))

    def load(self) -> None:
        """Load the model and the calibration now instead of on the first search. Does nothing for a
        collection without photos.
        """
        if self._store.count("images"):
            self._calibrated()

    @property
    def revision(self) -> int:
        """The catalog revision that the vectors show; 0 when nothing is searchable yet."""
        return self._store.revision

    def count(self, kind: Kind) -> int:
        """The number of searchable photos ("images") or places ("regions")."""
        return self._store.count(kind)

    @property
    def refines_quickly(self) -> bool:
        """Whether `refine` takes less than about 100 ms per hit: a small model, or not on a CPU."""
        return self._refiner.cheap

    def refine(self, results: Results, query: Query | Scene | str) -> Results:
        """The same hits with places recomputed from the photos' pixels: tighter boxes, and masks
        along the edges of things (`search/places/refine.py`).

        One encoder pass per photo, or 14 where places are small and that is cheap. An unreadable
        photo keeps its stored places, and a note says so. Places of a composed query with
        relations, sizes or counts stay where they were found, so that these still hold.
        """
        asked = Request(words=query, by="places").query
        if isinstance(asked, Scene):
            things = wanted_things(asked)
            targets = {thing.name: self._target(thing.query) for thing in things}
        else:
            things, targets = [], {"": self._target(asked)}
        bound = len(things) > 1 or any(thing.bound for thing in things)
        return self._refiner.refine(results, targets, bound=bound)

    def similar(self, image_id: str, **page: Unpack[Page]) -> Results:
        """Photos similar to an indexed one, which is excluded; `all` unless it is False. Raises
        `TipsError` for an unknown id.
        """
        return self.search(Request(like=(image_id,), **(Page(all=True) | page)))

    def similar_region(
        self, image_id: str, box: Box, *, exact: bool = False, **page: Unpack[Page]
    ) -> Results:
        """Places in other photos similar to a box of an indexed one; `all` unless it is False.

        Pools the stored regions that the box overlaps; `exact` recomputes the patches of the photo
        and pools those in the box. Raises `TipsError` for an unknown id or a box outside the
        picture.
        """
        return self.search(
            Request(like=(image_id,), box=box, exact=exact, **(Page(all=True) | page))
        )

    def find_again(self, examples: Sequence[Example], **page: Unpack[RefinedPage]) -> Results:
        """Places in other photos similar to the examples: boxes and points in indexed photos, what
        to find and what not (`search/find_again.py`); `all` unless it is False.

        The examples' own photos are excluded. Raises `QueryError` for an unknown photo and without
        a positive example.
        """
        check(examples)
        return self.search(Request(examples=tuple(examples), **(RefinedPage(all=True) | page)))

    def heatmap(self, image_id: str, text: Query | Scene | str, *, exact: bool = False) -> Array:
        """Heatmap of the texts in an indexed photo: (h, w) float32 in [0, 1].

        By default from the stored regions, at once and on the photo's patch grid; with `exact` from
        the file, on a finer grid where the model can afford windows (`search/places/windows.py`).
        For a composed query, all wanted things are shown. Raises `TipsError` for an unknown id, a
        missing file, or a query without a text.
        """
        asked = Request(words=text).query
        queries = wanted_queries(asked) if isinstance(asked, Scene) else [asked]
        if not all(any(term.weight > 0 for term in query.texts) for query in queries):
            raise QueryError("A heatmap needs a text that says what to point out.")
        targets = [self._target(Query(query.texts)) for query in queries]
        return self._refiner.heat(image_id, targets, exact=exact)

    def feature_picture(self, image_id: str) -> Array:
        """A visualisation of the model's features of an indexed photo: (h, w, 3) in [0, 1], see
        `search/places/pca.py`. Raises `QueryError` when the file is unreadable.
        """
        return feature_colours(self._refiner.look(image_id)[1])

    def photo_id(self, name: str) -> str:
        """The id of an indexed photo, given its id or path. Raises `QueryError`."""
        return photo_id(self._catalog, name)

    def photo(self, image_id: str, *, side: int = 1024) -> Image.Image:
        """The upright pixels of an indexed photo, reduced to no less than about `side` pixels, for
        drawing on.
        """
        return open_photo(self._catalog, image_id, side=side)

    def thumbnails(self, image_ids: list[str]) -> dict[str, bytes]:
        """WebP thumbnails by id."""
        return self._catalog.thumbnails(image_ids)

    def facet(
        self, field: str, filter: Filter | str | None = None, limit: int = 100
    ) -> list[tuple[str | int, int]]:
        """The most frequent values of a field ("camera", "year", "folders", ...) under a filter,
        with counts.
        """
        return self._store.facet(field, self._filter(filter)[0], limit)

    @cached_property
    def _encoder(self) -> QueryEncoder:
        embedder = self._given
        if embedder is None:
            embedder = self._collection.model.open(self._device)
            self._collection.check_model(embedder.info)
        return QueryEncoder(tiled(embedder, self._collection.tiles))

    @cached_property
    def _head(self) -> str:
        """The name of the global vector that photos are ranked by."""
        return self._encoder.embedder.info.retrieval_head

    @cached_property
    def _orders(self) -> PhotoOrders:
        return PhotoOrders(self._store, self._head)

    @cached_property
    def _lookup(self) -> PhotoLookup:
        return PhotoLookup(self._catalog)

    @cached_property
    def _sorter(self) -> Sorter:
        return Sorter(self._catalog)

    @cached_property
    def _terms(self) -> TermReader:
        return TermReader(self._encoder, self._catalog, self._store)

    @cached_property
    def _refiner(self) -> Refiner:
        return Refiner(self._encoder, self._catalog, self._device)

    def _target(self, query: Query) -> Array:
        """The direction that highlights in a photo what a query looks for."""
        side = self._calibrated().sides["regions"]
        return self._refiner.target(self._terms.read(query, "regions"), side.picture_centre)

    def _calibrated(self) -> Calibration:
        if self._calibration is None:
            try:
                self._calibration = calibrate(
                    self._collection.data_folder, self._catalog, self._store, self._encoder
                )
            except EmptySampleError:
                raise SearchError(
                    f"The collection {self._collection.folder} has no photos yet; add some with "
                    "`tips index FOLDER`."
                ) from None
            if not self._store.count("images"):
                self._calibration = None  # photos may appear before the next request
                raise SearchError(
                    f"The collection {self._collection.folder} has photos and no vectors yet; "
                    "`tips rebuild` makes them, unless `tips index` is still running."
                )
        return self._calibration

    def _filter(self, filter: Filter | str | None) -> tuple[Filter | None, tuple[str, ...]]:
        """The filter with partial names resolved, and a note for each unmatched name."""
        parsed = parse_filter(filter) if isinstance(filter, str) else filter
        if parsed is None:
            return None, ()

        def values(field: str) -> list[str]:
            if field not in self._values:
                found = self._store.facet(field, limit=FACET_LIMIT)
                self._values[field] = [str(value) for value, _ in found]
            return self._values[field]

        resolved, unmatched = resolve(parsed, values, self._lookup.ids)
        return resolved, tuple(str(miss) for miss in unmatched)

    def _start(self, request: Request) -> tuple[int, tuple[str, ...]]:
        """The rank at which the page begins, and a note if the collection has changed since the
        page before. Raises `QueryError` for a cursor of another query.
        """
        if not request.cursor:
            return request.offset, ()
        given, own = Cursor.read(request.cursor), self._cursor(request, 0)
        if given.query != own.query:
            raise QueryError(
                "The cursor belongs to another query or collection; ask for its first page first."
            )
        if given.revision == own.revision:
            return given.rank, ()
        note = (
            f"The collection has changed since the page before; this page begins at photo "
            f"{given.rank + 1:,} of the new answer, so photos may appear twice or not at all."
        )
        return given.rank, (note,)

    def _cursor(self, request: Request, rank: int) -> Cursor:
        info = self._encoder.embedder.info
        own = f"{self._collection.id} {info.model_id}"
        return Cursor(rank, fingerprint(request, own), self._store.revision)

    def _listed(
        self,
        listed: _Listed,
        request: Request,
        within: Filter | None,
        start: int,
        stop: int,
        total: int,
    ) -> tuple[Any, Indices]:
        """The ranking as far as the page needs, and the ranks on the page, in their order."""
        ranked = listed.ranked
        reach = stop if request.sort == "relevance" else total
        missing = reach - len(ranked.photo_keys)
        if missing > 0:
            order = self._orders.of(listed.tail, within)
            ranked = ranked.followed_by(*order.without(ranked.photo_keys, missing))
        if request.sort == "relevance":
            return ranked, np.arange(min(start, len(ranked.photo_keys)), stop)
        keys = ranked.photo_keys[:total]
        return ranked, self._sorter.order(keys, request.sort, request.seed)[start:stop]

    def _plain(
        self, query: Query, terms: list[TermVector] | None, request: Request, within: Filter | None
    ) -> _Listed:
        """The ranking for a query. `terms`, if known."""
        calibration, photo, region = self._calibrated(), None, None
        places = request.finds_places
        if not places or not query.images:
            photo = calibration.sides["images"].direction(
                self._terms.read(query, "images", exact=request.exact)
            )
        if places or not query.images:
            terms = terms or self._terms.read(query, "regions", exact=request.exact)
            region = calibration.sides["regions"].direction(terms)
        ranked = Ranker(self._store, calibration, self._head).rank(
            "place" if places else "photo", photo, region, within, HEAD if request.all else 0
        )
        tail = photo
        if tail is None:
            assert terms is not None  # a place is ranked by regions
            tail = calibration.sides["images"].direction(terms)

        def page(ranked: Ranked, ranks: Indices) -> tuple[Hit, ...]:
            return build_page(self._catalog, ranked, ranks, weak_places=places)

        return _Listed(ranked, tail, page)

    def _composed(self, scene: Scene, request: Request, within: Filter | None) -> _Listed:
        """The same for a scene."""
        search = SceneSearch(
            self._catalog, self._store, self._calibrated(), self._terms, self._head
        )
        weak = request.finds_places
        ranked = search.rank(scene, within, weak=request.all, places=weak)

        def page(ranked: RankedScenes, ranks: Indices) -> tuple[Hit, ...]:
            return build_scene_page(self._catalog, search, scene, ranked, ranks, weak_places=weak)

        return _Listed(ranked, ranked.aims.tail, page)


@dataclass(frozen=True, slots=True)
class _Listed:
    """A ranking: its head, the direction that orders its tail among photos, and what makes the
    hits at some ranks.
    """

    ranked: Ranked | RankedScenes
    tail: Direction
    page: Callable[[Any, Indices], tuple[Hit, ...]]
