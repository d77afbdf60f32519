"""From the answers of the vector store to photos in order: numpy over whole answers, nothing per
hit.

A photo is named by its key here: the bytes that all point ids of the photo share. Payloads are read
for the photos that are shown only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from indexer.vectors import (
    REGION_VECTOR,
    Filter,
    KeyArray,
    VectorHits,
    VectorStore,
    image_point_array,
    point_array,
    point_keys,
    region_numbers,
)
from search.calibration import Calibration, Direction, both
from search.cutoff import Array, Evidence

PHOTOS = 256
"""Photos that are looked at first, half of them where only places count; four times as many
whenever that is not deep enough.
"""
REGIONS_PER_PHOTO = 4
DEEPER = 4
UNKNOWN = np.float32(-np.inf)

Indices = npt.NDArray[np.int64]
By = Literal["photo", "place"]


@dataclass(frozen=True, slots=True)
class Ranked:
    """Photos best first and the regions that were found in them.

    `photo_scores` (P,) and `photo_keys` (P,). Regions, best first: their numbers `regions` (M,)
    within their photos, `region_scores` (M,), and the rank `owners` (M,) of their photos.
    `complete`: there are no further photos. `settled`: no confident photo is missing; by place,
    none with a place as good as the weakest that the store returned.
    """

    photo_scores: Array
    photo_keys: KeyArray
    regions: Indices
    region_scores: Array
    owners: Indices
    complete: bool
    settled: bool
    store: VectorStore = field(repr=False)

    def confident(self) -> int:
        """How many photos reach the line."""
        return int((self.photo_scores >= 1).sum())

    def image_ids(self, ranks: slice) -> list[str]:
        """The ids of the photos at these ranks, read from the store."""
        points = image_point_array(self.photo_keys[ranks])
        return [each["image"] for each in self.store.payloads("images", points, ["image"])]


class Ranker:
    """Ranks the photos of one store. `using` names the global vector."""

    def __init__(self, store: VectorStore, calibration: Calibration, using: str) -> None:
        self._store, self._calibration, self._using = store, calibration, using

    def rank(
        self,
        by: By,
        photo: Direction | None,
        region: Direction | None,
        filter: Filter | None,
        wanted: int,
    ) -> Ranked:
        """Rank by the photo's evidence or by the place's, at least the first `wanted` photos and
        all confident ones.

        A direction is None where that side has nothing to say (a picture among photos, a box among
        regions).
        """
        depth = PHOTOS if by == "photo" else max(1, PHOTOS // 2)
        while True:
            if by == "photo":
                assert photo is not None, "photos are ranked by their vectors"
                ranked = self._photos(photo, region, filter, depth)
            else:
                assert region is not None, "places are ranked by region vectors"
                ranked = self._places(photo, region, filter, depth)
            if ranked.complete or (ranked.settled and len(ranked.photo_scores) >= wanted):
                return ranked
            depth *= DEEPER

    def _photos(
        self, photo: Direction, region: Direction | None, filter: Filter | None, depth: int
    ) -> Ranked:
        found = self._search("images", photo, filter, depth)
        regions = (
            _NOTHING
            if region is None
            else self._search("regions", region, filter, depth * REGIONS_PER_PHOTO)
        )
        photo_keys, region_keys = point_keys(found.points), point_keys(regions.points)
        known = np.unique(np.concatenate([photo_keys, region_keys]))
        photo_z = self._photo_scores(photo, known, photo_keys, found.scores)
        owners = np.searchsorted(known, region_keys)
        z: dict[Evidence, Array] = {"global": photo_z}
        region_scores = np.empty(0, np.float32)
        if region is not None:
            region_z = region.standard(regions.scores)
            best = np.full(len(known), UNKNOWN)
            np.maximum.at(best, owners, region_z)
            # A photo none of whose regions came back is taken as middling there: it is below all
            # that did.
            z |= {"region": best, "both": both(photo_z, np.where(best == UNKNOWN, 0, best))}
            region_scores = self._region_scores(region, region_z, photo_z[owners])
        scores = self._calibration.score(z, picture=photo.picture)
        complete = len(found.points) < depth
        floor = UNKNOWN
        if region is not None and len(regions.points) == depth * REGIONS_PER_PHOTO:
            floor = region_z[-1]
        settled = complete or self._settled(photo, found, z, floor, scores)
        return self._ordered(scores, known, regions, region_scores, owners, (complete, settled))

    def _settled(
        self,
        photo: Direction,
        found: VectorHits,
        z: dict[Evidence, Array],
        floor: np.float32,
        scores: Array,
    ) -> bool:
        """Whether nothing that the store did not return can reach the line.

        An unseen region is at most as good as the last one seen, `floor`, and an unseen photo at
        most as good as the last photo: with both of them it must stay below the line, and so must
        every known photo below it, with such a region.
        """
        last = photo.standard(found.scores[-1:])
        most: dict[Evidence, Array] = {"global": np.append(z["global"], last)}
        if "region" in z:
            best = np.append(np.maximum(z["region"], floor), floor)
            most |= {"region": best, "both": both(most["global"], best)}
        reachable = self._calibration.score(most, picture=photo.picture)
        return bool(reachable[-1] < 1 and (reachable[:-1][scores < 1] < 1).all())

    def _places(
        self, photo: Direction | None, region: Direction, filter: Filter | None, depth: int
    ) -> Ranked:
        limit = depth * REGIONS_PER_PHOTO
        regions = self._search("regions", region, filter, limit)
        known, owners = np.unique(point_keys(regions.points), return_inverse=True)
        photo_z = None
        if photo is not None:
            photo_z = self._photo_scores(photo, known, known[:0], np.empty(0, np.float32))[owners]
        region_scores = self._region_scores(region, region.standard(regions.scores), photo_z)
        scores = np.full(len(known), UNKNOWN)
        np.maximum.at(scores, owners, region_scores)
        state = (len(regions.points) < limit, bool((region_scores[-1:] < 1).all()))
        return self._ordered(scores, known, regions, region_scores, owners, state)

    def _region_scores(self, region: Direction, region_z: Array, photo_z: Array | None) -> Array:
        z: dict[Evidence, Array] = {"region": region_z}
        if photo_z is not None:
            z["both"] = both(photo_z, region_z)
        return self._calibration.score(z, picture=region.picture)

    def _search(
        self,
        kind: Literal["images", "regions"],
        direction: Direction,
        filter: Filter | None,
        limit: int,
    ) -> VectorHits:
        using = self._using if kind == "images" else REGION_VECTOR
        (hits,) = self._store.search(
            kind, direction.vector[None], using=using, filter=filter, limit=limit
        )
        return hits

    def _photo_scores(
        self, photo: Direction, known: KeyArray, found: KeyArray, cosines: Array
    ) -> Array:
        """Standard scores of all `known` photos: those found bring theirs, others are fetched."""
        scores = np.zeros(len(known), np.float32)
        places = np.searchsorted(known, found)
        scores[places] = cosines
        missing = np.ones(len(known), bool)
        missing[places] = False
        if missing.any():
            scores[missing] = self._store.scores(
                "images", image_point_array(known[missing]), photo.vector, using=self._using
            )
        return photo.standard(scores)

    def _ordered(
        self,
        scores: Array,
        known: KeyArray,
        regions: VectorHits,
        region_scores: Array,
        owners: Indices,
        state: tuple[bool, bool],
    ) -> Ranked:
        """Photos by falling score, equal ones by key; regions by falling score, with the rank of
        their photo.
        """
        order = np.argsort(-scores, kind="stable")
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        region_order = np.argsort(-region_scores, kind="stable")
        return Ranked(
            scores[order],
            known[order],
            region_numbers(regions.points)[region_order],
            region_scores[region_order],
            rank[owners[region_order]],
            *state,
            self._store,
        )


_NOTHING = VectorHits(point_array([]), np.empty(0, np.float32))
