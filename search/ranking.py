"""Rank photos from the vector store's answers: numpy over whole answers, no per-hit objects.

The store is asked for some photos and some regions; whatever it did not return is at most as good
as the last one it did. Where that leaves open whether a photo is shown, the missing half of its
evidence is fetched, for those few photos.

**A ranking is one list**, of which a page is a slice: how deep the store is asked depends on the
query alone, never on the page. Its *head* are all confident photos and the best of the others, by
their own vector and their best region together. Its *tail* are all other photos, by their own
vector (`search/tail.py`), each once: what lies so far below the line needs an order, not a better
one, and regions of every photo would cost sixteen times as much. The first pages of any size that
people ask for lie in the head, whatever the size of the collection.

A photo is identified by its key: the bytes that all its point ids share. Payloads are read only for
the photos shown.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from indexer.vectors import (
    MAX_REGIONS,
    REGION_VECTOR,
    Filter,
    KeyArray,
    Kind,
    Match,
    PointArray,
    VectorStore,
    image_point_array,
    point_array,
    point_keys,
    region_numbers,
)
from search.arrays import Array
from search.confidence.calibration import Calibration, Direction, both
from search.confidence.cutoff import Evidence

PHOTOS = 256
"""Initial number of photos to fetch; increased fourfold whenever that is not deep enough."""
HEAD = 80
"""Number of photos at least in the head of a ranking with weaker matches: more than a page."""
REGIONS_PER_PHOTO = 2
"""Number of regions to fetch per photo."""
DEEPER = 4
UNKNOWN = np.float32(-np.inf)

Bools = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]
By = Literal["photo", "place"]


@dataclass(frozen=True, slots=True)
class Places:
    """How regions of P ranked photos are scored as places: by their cosines with `direction`, and
    by the standard scores `photo_z` (P,) of their photos where those count.

    Regions that the store did not return have a standard score of at most `floor`; `UNKNOWN`: there
    are none.
    """

    calibration: Calibration
    direction: Direction
    photo_z: Array | None
    floor: np.float32

    def scores(self, z: Array, ranks: Indices) -> Array:
        """The scores (M,) of regions with these standard scores in the photos at these ranks."""
        evidence: dict[Evidence, Array] = {"region": z}
        if self.photo_z is not None:
            evidence["both"] = both(self.photo_z[ranks], z)
        return self.calibration.score(evidence, picture=self.direction.picture)

    def cut_short(self, ranks: Indices) -> bool:
        """Whether a confident place may be missing in a photo at these ranks."""
        return bool((self.scores(np.full(len(ranks), self.floor), ranks) >= 1).any())


@dataclass(frozen=True, slots=True)
class Unseen:
    """How photos of the tail are scored: by the photo alone, as if its regions were average and no
    better than what the store left out.

    An estimate, at most `most` and below the line: the list then falls in score, and what was not
    looked at does not count as found.
    """

    calibration: Calibration
    evidence: tuple[Evidence, ...]
    picture: bool
    region_z: np.float32
    most: np.float32

    def scores(self, photo_z: Array) -> Array:
        """The scores (P,) of photos with these standard scores (P,)."""
        given: dict[Evidence, Array] = {
            "global": photo_z,
            "region": np.minimum(photo_z, self.region_z)
            if self.evidence == ("region",)
            else np.full(len(photo_z), UNKNOWN),
            "both": both(photo_z, np.full(len(photo_z), self.region_z)),
        }
        z = {kind: given[kind] for kind in self.evidence}
        return np.minimum(self.calibration.score(z, picture=self.picture), self.most)


@dataclass(frozen=True, slots=True)
class Ranked:
    """The head of a ranking, or all of it: photos best first and the regions found in them.

    `photo_scores` (P,) and `photo_keys` (P,). Regions, best first: their numbers `regions` (M,)
    within their photos, `region_scores` (M,), and the rank `owners` (M,) of their photos.
    `complete`: there are no further photos. `settled`: no confident photo is missing; when ranking
    by place, none with a place as good as the weakest one returned by the store. `places` scores
    further regions of these photos; None where regions are not scored. `unseen` scores photos that
    the store did not return, at most as high as the last of these.
    """

    photo_scores: Array
    photo_keys: KeyArray
    regions: Indices
    region_scores: Array
    owners: Indices
    complete: bool
    settled: bool
    places: Places | None
    unseen: Unseen
    store: VectorStore = field(repr=False)

    def confident(self) -> int:
        """The number of photos above the confidence line."""
        return int((self.photo_scores >= 1).sum())

    def followed_by(self, keys: KeyArray, photo_z: Array) -> Ranked:
        """The ranking with these photos (P,) of its tail behind it, in their order; `photo_z` (P,)
        are their standard scores.
        """
        places = self.places
        if places is not None and places.photo_z is not None:
            places = replace(places, photo_z=np.concatenate([places.photo_z, photo_z]))
        scores = self.unseen.scores(photo_z)
        return replace(
            self,
            photo_scores=np.concatenate([self.photo_scores, scores]),
            photo_keys=np.concatenate([self.photo_keys, keys]),
            places=places,
        )

    def image_ids(self, ranks: slice | Indices) -> list[str]:
        """The ids of the photos at these ranks, read from the store."""
        return image_ids(self.store, self.photo_keys[ranks])


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
        """Rank by the evidence of photos or of places: all confident photos, and at least `wanted`
        in all. A given `wanted` always gives the same list; another one may order photos below the
        line in another way.

        A direction is None where that side does not apply (a picture among photos, a box among
        regions).
        """
        assert (photo if by == "photo" else region) is not None, f"nothing to rank by {by} with"
        depth = PHOTOS
        while True:
            look = _Look(self._store, self._calibration, self._using, by, photo, region)
            look.search(filter, depth)
            ranked = look.ranked(look.settle(wanted))
            if ranked.complete or (ranked.settled and len(ranked.photo_scores) >= wanted):
                return ranked
            depth *= DEEPER


class _Look:
    """The store's data on N photos for one query: their keys (N,), the standard scores of each,
    `_photo_z`, and of its best region, `_best` (N,), `UNKNOWN` where they were not returned; and M
    regions, with their numbers, their standard scores and the indexes of their photos among the
    keys.

    Whatever was not returned scores at most `_photo_floor` and `_region_floor`; `UNKNOWN`: there is
    nothing else.
    """

    def __init__(
        self,
        store: VectorStore,
        calibration: Calibration,
        using: str,
        by: By,
        photo: Direction | None,
        region: Direction | None,
    ) -> None:
        self._store, self._calibration = store, calibration
        self._using: dict[Kind, str] = {"images": using, "regions": REGION_VECTOR}
        self._by, self._photo, self._region = by, photo, region

    def search(self, filter: Filter | None, depth: int) -> None:
        """Fetch the best `depth` photos, unless ranking places, and the best regions."""
        limit = depth * REGIONS_PER_PHOTO
        photo = self._photo if self._by == "photo" else None
        found, photo_z = self._nearest("images", photo, filter, depth)
        regions, self._region_z = self._nearest("regions", self._region, filter, limit)
        keys, region_keys = point_keys(found), point_keys(regions)
        self._keys = np.unique(np.concatenate([keys, region_keys]))
        self._owners = np.searchsorted(self._keys, region_keys)
        self._numbers = region_numbers(regions)
        self._photo_z = np.full(len(self._keys), UNKNOWN)
        self._photo_z[np.searchsorted(self._keys, keys)] = photo_z
        self._best = self._best_regions()
        self._photo_floor = photo_z[-1] if len(keys) == depth else UNKNOWN
        self._region_floor = self._region_z[-1] if len(regions) == limit else UNKNOWN
        self._complete = (
            self._photo_floor if self._by == "photo" else self._region_floor
        ) == UNKNOWN

    def settle(self, wanted: int) -> bool:
        """Fetch missing evidence of photos that were returned. Returns whether no confident photo
        is missing; when ranking by place, none with a place as good as the weakest one returned by
        the store.
        """
        if self._by == "place":
            if self._photo is not None:
                self._ask_photos(self._photo, np.ones(len(self._keys), bool))
            return bool((self._places().scores(self._region_z[-1:], self._owners[-1:]) < 1).all())
        unseen = self._scores(np.array([self._photo_floor]), np.array([self._region_floor]))
        if self._region is None or (unseen >= 1 and not self._complete):
            return bool(unseen < 1)
        if self._photo is not None and not self._complete:
            open_ = self._most() >= self._line(wanted)
            self._ask_photos(self._photo, open_ & (self._photo_z == UNKNOWN))
        if self._region_floor > UNKNOWN:
            open_ = (self._most() >= 1) & (self._scores(self._photo_z, self._best) < 1)
            self._ask_regions(open_ & (self._best == UNKNOWN))
        return True

    def ranked(self, settled: bool) -> Ranked:
        """Photos by descending score, ties by key; regions by descending score, with the rank of
        their photo. Without the photos whose own vector was not compared: they are in the tail.
        """
        scores = self._scores(self._photo_z, self._best)
        order = np.argsort(-scores, kind="stable")
        order = order[scores[order] > UNKNOWN]
        rank = np.full(len(scores), len(order))
        rank[order] = np.arange(len(order))
        kept = rank[self._owners] < len(order)
        owners, numbers = rank[self._owners][kept], self._numbers[kept]
        places, region_scores = None, np.empty(0, np.float32)
        if self._region is not None:
            places = self._places(order)
            region_scores = places.scores(self._region_z[kept], owners)
        region_order = np.argsort(-region_scores, kind="stable")
        return Ranked(
            scores[order],
            self._keys[order],
            numbers[region_order],
            region_scores[region_order],
            owners[region_order],
            self._complete,
            settled,
            places,
            self._unseen(scores[order]),
            self._store,
        )

    def _unseen(self, scores: Array) -> Unseen:
        evidence: tuple[Evidence, ...]
        if self._region is None:
            evidence = ("global",)
        elif self._photo is None:
            evidence = ("region",)
        else:
            evidence = ("region", "both") if self._by == "place" else ("both",)
        below = np.nextafter(np.float32(1), np.float32(0))
        most = min(scores[-1], below) if len(scores) else below
        return Unseen(self._calibration, evidence, self._picture(), self._average(), most)

    def _line(self, wanted: int) -> float:
        """The score a photo must reach to be among the first `wanted` or the confident ones."""
        scores = self._scores(self._photo_z, self._best)
        if len(scores) < wanted:
            return float(UNKNOWN)
        return min(1.0, float(np.partition(scores, -wanted)[-wanted])) if wanted else 1.0

    def _most(self) -> Array:
        """The upper bound of each photo's score, (N,)."""
        photo_z = np.where(self._photo_z == UNKNOWN, self._photo_floor, self._photo_z)
        return self._scores(photo_z, np.maximum(self._best, self._region_floor))

    def _scores(self, photo_z: Array, best: Array) -> Array:
        """The scores of photos from their own standard scores and those of their best regions.

        A photo without returned regions counts as `_average` there: it is below all that were
        returned.
        """
        z: dict[Evidence, Array]
        if self._region is None:
            z = {"global": photo_z}
        elif self._photo is None:
            z = {"region": best}
        else:
            z = {"region": best} if self._by == "place" else {}
            z["both"] = both(photo_z, np.where(best == UNKNOWN, self._average(), best))
        return self._calibration.score(z, picture=self._picture())

    def _average(self) -> np.float32:
        """The standard score of regions that were not returned: the median of all, or what is left
        below it.
        """
        floor = self._region_floor
        return np.float32(0) if floor == UNKNOWN else np.minimum(np.float32(0), floor)

    def _places(self, order: Indices | None = None) -> Places:
        """The `Places` that score regions of the photos in this order."""
        assert self._region is not None
        photo_z = None if self._photo is None else self._photo_z
        if photo_z is not None and order is not None:
            photo_z = photo_z[order]
        return Places(self._calibration, self._region, photo_z, self._region_floor)

    def _picture(self) -> bool:
        direction = self._photo if self._by == "photo" else self._region
        return direction is not None and direction.picture

    def _best_regions(self) -> Array:
        best = np.full(len(self._keys), UNKNOWN)
        np.maximum.at(best, self._owners, self._region_z)
        return best

    def _nearest(
        self, kind: Kind, direction: Direction | None, filter: Filter | None, limit: int
    ) -> tuple[PointArray, Array]:
        """The nearest points and their standard scores; none without a direction."""
        if direction is None:
            return point_array([]), np.empty(0, np.float32)
        (hits,) = self._store.search(
            kind, direction.vector[None], using=self._using[kind], filter=filter, limit=limit
        )
        return hits.points, direction.standard(hits.scores)

    def _ask_photos(self, photo: Direction, which: Bools) -> None:
        """Fetch the standard scores of these photos (N,)."""
        if which.any():
            cosines = self._store.scores(
                "images",
                image_point_array(self._keys[which]),
                photo.vector,
                using=self._using["images"],
            )
            self._photo_z[which] = photo.standard(cosines)

    def _ask_regions(self, which: Bools) -> None:
        """Fetch all regions of these photos (N,), none of which was returned."""
        if which.any():
            filter = Match("image", tuple(image_ids(self._store, self._keys[which])))
            limit = int(which.sum()) * MAX_REGIONS
            points, region_z = self._nearest("regions", self._region, filter, limit)
            owners = np.searchsorted(self._keys, point_keys(points))
            self._owners = np.concatenate([self._owners, owners])
            self._region_z = np.concatenate([self._region_z, region_z])
            self._numbers = np.concatenate([self._numbers, region_numbers(points)])
            self._best = self._best_regions()


def image_ids(store: VectorStore, keys: KeyArray) -> list[str]:
    """The ids of the photos with these keys (N,), read from the store."""
    points = image_point_array(keys)
    return [each["image"] for each in store.payloads("images", points, ["image"])]
