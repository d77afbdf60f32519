"""Refine hits with stored regions to exact places, by re-embedding each photo from its file."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from indexer.tiles import untiled
from search.arrays import Array
from search.confidence.calibration import NEGATIVE, TermVector
from search.errors import QueryError
from search.find_again import check, from_pixels, from_stored
from search.find_again import terms as again_terms
from search.hits import Hit, Results
from search.places.contrast import pointing
from search.places.heatmap import from_grids, from_regions
from search.places.refine import FinePhoto, FinePlace, is_large
from search.places.windows import MOST_SCALES, affordable, window_grids
from search.query import Example
from search.query_encoder import QueryEncoder
from search.stored_photos import open_photo, regions_of, unit
from search.word_lists import word_list

if TYPE_CHECKING:
    from indexer.catalog.table import Catalog


class Refiner:
    """Re-embeds photos of one collection, at the scales that the model can afford."""

    def __init__(self, encoder: QueryEncoder, catalog: Catalog, device: str) -> None:
        self._encoder, self._catalog = encoder, catalog
        self._embedder = untiled(encoder.embedder)
        self.cheap = affordable(self._embedder, device)
        self.scales = MOST_SCALES if self.cheap else 1

    def target(self, terms: Sequence[TermVector], picture_centre: Array) -> Array:
        """The direction (D,) that highlights what the terms of a query show.

        Texts are compared with the contrast texts, pictures with the mean of the collection's
        regions `picture_centre` (D,); a negative term counts as in a search.
        """
        parts = [
            term.weight
            * (NEGATIVE if term.weight < 0 else 1.0)
            * (
                unit(term.vector - picture_centre)
                if term.picture
                else pointing(term.vector, self._contrast_texts)
            )
            for term in terms
        ]
        return unit(np.sum(parts, axis=0))

    def look(
        self, image_id: str, *, overlap: bool = False, windows: bool = True
    ) -> tuple[Image.Image, tuple[Array, ...]]:
        """An indexed photo and its patches at all scales, from windows that `overlap` or not; only
        the first scale without `windows`. Raises `QueryError` when the photo is unreadable.
        """
        side = self.scales * self._embedder.info.image_size
        photo = open_photo(self._catalog, image_id, side=side)
        scales = self.scales if windows else 1
        return photo, window_grids(self._embedder, photo, scales, overlap=overlap)

    def refine(self, results: Results, targets: Mapping[str, Array], *, bound: bool) -> Results:
        """The results with the places of every hit computed from its file; a hit with an unreadable
        file keeps its stored places, and a note says so.

        `targets` are the directions (D,) by thing name, as in the places: "" for a plain query.
        `bound` places stay where they were found; otherwise the best place of a single target may
        move to where the photo shows it best.
        """
        hits = [self._refined(hit, targets, bound) for hit in results.hits]
        kept = sum(new is None for new in hits)
        notes = results.notes
        if kept:
            photos = "1 photo" if kept == 1 else f"{kept} photos"
            notes += (
                f"The places in {photos} are as stored, since their files cannot be read now; "
                "run `tips index` again.",
            )
        chosen = tuple(new or old for new, old in zip(hits, results.hits, strict=True))
        return dataclasses.replace(results, hits=chosen, notes=notes)

    def examples(self, examples: Sequence[Example]) -> tuple[list[TermVector], tuple[str, ...]]:
        """The examples as terms of a query, and a note when a photo had to be answered from its
        stored regions. Raises `QueryError` for an unknown id or without a positive example.
        """
        check(examples)
        stored = {e.image: regions_of(self._catalog, e.image) for e in examples}
        fine: dict[str, FinePhoto | None] = {}
        for image_id in stored:
            try:
                fine[image_id] = FinePhoto(*self.look(image_id))
            except QueryError:
                fine[image_id] = None
        vectors = []
        for example in examples:
            photo = fine[example.image]
            vectors.append(
                from_stored(stored[example.image], example)
                if photo is None
                else from_pixels(photo, example)
            )
        gone = [image_id for image_id, photo in fine.items() if photo is None]
        notes = tuple(
            f"The photo {image_id} cannot be read now; its stored regions were used."
            for image_id in gone
        )
        return again_terms(vectors, examples), notes

    def heat(self, image_id: str, targets: Sequence[Array], *, exact: bool) -> Array:
        """Heatmap of a photo for any of the targets, (h, w) in [0, 1]; see `heatmap.py`."""
        if exact:
            _, grids = self.look(image_id, overlap=True)  # a displayed map must have no seams
            maps = [from_grids(grids, target, self._contrasts) for target in targets]
        else:
            stored = regions_of(self._catalog, image_id)
            maps = [
                from_regions(stored.vectors, stored.masks, target, self._contrasts)
                for target in targets
            ]
        return np.asarray(np.max(maps, axis=0), np.float32)

    def _refined(self, hit: Hit, targets: Mapping[str, Array], bound: bool) -> Hit | None:
        """The hit with exact places; None when its photo is unreadable."""
        if not hit.regions:
            return hit
        try:
            whole = not bound and all(is_large(region.mask) for region in hit.regions)
            fine = FinePhoto(*self.look(hit.id, windows=not whole))
        except QueryError:
            return None
        places: list[FinePlace | None] = []
        if bound:
            heats = {name: fine.heat(target) for name, target in targets.items()}
            places += [fine.place_in(heats[each.text], each.mask) for each in hit.regions]
        else:
            (target,) = targets.values()
            places += fine.places(target, [region.mask for region in hit.regions])
        # Keep the scores: the stored places were ranked against the whole collection.
        regions = tuple(
            dataclasses.replace(region, box=place.box, mask=place.mask) if place else region
            for place, region in zip(places, hit.regions, strict=False)
        )
        return dataclasses.replace(hit, regions=regions)

    @cached_property
    def _contrast_texts(self) -> Array:
        return self._encoder.texts(word_list("contrast"), "regions")

    @cached_property
    def _contrasts(self) -> Array:
        return pointing(self._contrast_texts, self._contrast_texts)
