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

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Unpack

from PIL import Image

from indexer.collection import Collection
from indexer.tiles import tiled
from indexer.vectors import Filter, KeyArray, Kind, point_array, point_keys
from search.arrays import Array
from search.confidence.calibration import Calibration, TermVector
from search.confidence.sample import EmptySampleError, calibrate
from search.errors import QueryError, SearchError
from search.filters import parse_filter, resolve
from search.find_again import check
from search.hits import Box, Hit, Results
from search.layout import Placed, placed_things
from search.places.pca import feature_colours
from search.places.refiner import Refiner
from search.query import Example, ImageTerm, Query
from search.query_encoder import QueryEncoder
from search.query_vectors import TermReader
from search.ranking import Ranker
from search.request import Page, RefinedPage, Request
from search.result_page import build_page
from search.scenes.language import parse
from search.scenes.result_page import build_scene_page
from search.scenes.scene import Scene, wanted_queries, wanted_things
from search.scenes.search import SceneSearch
from search.stored_photos import open_photo, photo_id
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
        if isinstance(asked, Scene):
            notes = self._terms.scene_notes(asked)
            hits, keys = self._composed(asked, request, within)
        else:
            notes = self._terms.notes(asked)
            hits, keys = self._plain(asked, terms, request, within)
        results = Results(
            query=str(asked),
            model=self._encoder.embedder.info.model_id,
            hits=hits,
            confident=len(keys),
            searched=self._store.count("images", within),
            notes=(*told, *notes, *unmatched),
            keys=keys,
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
        page of the answer. `filter` is a filter or its text. `all` includes weak hits. Raises
        `TipsError` for an invalid query.
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
        asked = parse(query, places=True) if isinstance(query, str) else query
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
        asked = parse(text) if isinstance(text, str) else text
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

        resolved, unmatched = resolve(parsed, values)
        return resolved, tuple(str(miss) for miss in unmatched)

    def _plain(
        self, query: Query, terms: list[TermVector] | None, request: Request, within: Filter | None
    ) -> tuple[tuple[Hit, ...], KeyArray]:
        """The page for a query, and the keys of all confident photos. `terms`, if known."""
        calibration, photo, region = self._calibrated(), None, None
        places = request.finds_places
        if not places or not query.images:
            photo = calibration.sides["images"].direction(
                self._terms.read(query, "images", exact=request.exact)
            )
        if places or not query.images:
            region = calibration.sides["regions"].direction(
                terms or self._terms.read(query, "regions", exact=request.exact)
            )
        ranked = Ranker(self._store, calibration, self._encoder.embedder.info.retrieval_head).rank(
            "place" if places else "photo", photo, region, within, _depth(request)
        )
        keys = ranked.photo_keys[: ranked.confident()]
        ranks = _ranks(request, len(ranked.photo_keys), len(keys))
        return build_page(self._catalog, ranked, ranks, weak_places=places), keys

    def _composed(
        self, scene: Scene, request: Request, within: Filter | None
    ) -> tuple[tuple[Hit, ...], KeyArray]:
        """The same for a scene."""
        head = self._encoder.embedder.info.retrieval_head
        search = SceneSearch(self._catalog, self._store, self._calibrated(), self._terms, head)
        ranked = search.rank(scene, within, _depth(request), places=request.finds_places)
        keys = point_keys(point_array(ranked.ids[: ranked.confident()]))
        hits = build_scene_page(
            self._catalog,
            search,
            scene,
            ranked,
            _ranks(request, len(ranked.ids), len(keys)),
            weak_places=request.finds_places,
        )
        return hits, keys


def _depth(request: Request) -> int:
    """The number of photos to rank at least, besides all confident ones."""
    return request.offset + request.limit if request.all else 0


def _ranks(request: Request, count: int, confident: int) -> slice:
    """The ranks on the page, of `count` ranked photos."""
    last = min(request.offset + request.limit, count if request.all else confident)
    return slice(min(request.offset, last), last)
