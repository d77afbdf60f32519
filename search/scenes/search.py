"""Search for a scene: ranks photos and finds the places that fulfil it.

For every wanted thing, the vector store returns all photos with a confident place for it (or, in a
search for photos and for a thing that nothing binds, all confident photos). Only photos in all
these answers for one of the scene's alternatives can be confident; they are read from the catalog
in batches, with all their regions, and scored. So a scene of rare things costs a few photos,
whatever the size of the collection. When weak hits are wanted too, a fixed number of the best
photos for each of the things are scored as well: the head of the ranking, as in
`search/ranking.py`. Its tail are all others, by the photo's own vector and the things in a
sentence.

Letters: T things, P photos, R regions of a photo (padded), D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from indexer.vectors import Filter, KeyArray, VectorStore, point_array, point_keys
from search.arrays import Array
from search.confidence.calibration import Calibration, Direction, both
from search.confidence.cutoff import Evidence
from search.confidence.sample import unit_vectors
from search.query import Query, Term
from search.query_vectors import TermReader
from search.ranking import Ranker, Unseen, image_ids
from search.scenes.compose import Board, evaluate, links
from search.scenes.scene import (
    Clause,
    Scene,
    alone,
    alternatives,
    chains,
    sentence,
    things,
    wanted,
)

if TYPE_CHECKING:
    from indexer.catalog.table import Catalog

CHUNK = 256
"""Number of photos read and scored at once, and of the best photos for each thing in the head of a
ranking with weaker matches.
"""


@dataclass(frozen=True, slots=True)
class Aim:
    """The search directions of a thing: among photos (None for pictures and their parts) and
    regions."""

    photo: Direction | None
    region: Direction


@dataclass(frozen=True, slots=True)
class Aims:
    """The search directions of the things of a scene, by object identity, and of each alternative
    as a whole, if its things are texts.

    `photos`: the things that are searched as in a search for photos. `tail`: the direction, among
    photos, for what is not in the head.
    """

    things: dict[int, Aim]
    wholes: tuple[Direction | None, ...]
    photos: frozenset[int]
    tail: Direction


@dataclass(frozen=True, slots=True)
class RankedScenes:
    """Photos best first: `photo_keys` (P,) and `photo_scores` (P,), and the search directions used.

    `unseen` scores photos of the tail.
    """

    photo_keys: KeyArray
    photo_scores: Array
    aims: Aims
    unseen: Unseen
    store: VectorStore = field(repr=False)

    def confident(self) -> int:
        """The number of photos above the confidence line."""
        return int((self.photo_scores >= 1).sum())

    def followed_by(self, keys: KeyArray, photo_z: Array) -> RankedScenes:
        """As `Ranked.followed_by`."""
        return replace(
            self,
            photo_keys=np.concatenate([self.photo_keys, keys]),
            photo_scores=np.concatenate([self.photo_scores, self.unseen.scores(photo_z)]),
        )

    def image_ids(self, ranks: npt.NDArray[np.int64]) -> list[str]:
        """The ids of the photos at these ranks, read from the store."""
        return image_ids(self.store, self.photo_keys[ranks])


def score(clause: Clause, boards: Sequence[Board]) -> Array:
    """The scores (P,) of photos for a scene: those of the best of its alternatives, of which each
    has its board. See `search/scenes/compose.py`.
    """
    each = alternatives(clause)
    plain = len(each) > 1 and all(alone(one) is not None for one in each)
    found = [
        links(one, board) if plain else evaluate(one, board)
        for one, board in zip(each, boards, strict=True)
    ]
    return np.asarray(np.max(found, axis=0), np.float32)


class SceneSearch:
    """Scores scenes in one collection. `head` names the global vector, `terms` encodes the
    things."""

    def __init__(
        self,
        catalog: Catalog,
        store: VectorStore,
        calibration: Calibration,
        terms: TermReader,
        head: str,
    ) -> None:
        self._catalog, self._calibration, self._terms = catalog, calibration, terms
        self._store, self._ranker, self._head = store, Ranker(store, calibration, head), head

    def rank(
        self, scene: Scene, filter: Filter | None, *, weak: bool, places: bool
    ) -> RankedScenes:
        """All confident photos; with `weak`, also the best ones for each of the things. `places`:
        searching for places, not photos.
        """
        aims = self._aims(scene, places)
        needed = [
            [id(thing) for chain in wanted(each) for thing in chain.things]
            for each in alternatives(scene.clause)
        ]
        keys, weakest = self._candidates(aims, needed, filter, CHUNK if weak else 0)
        if not weak:
            keys = keys[weakest >= 1]
        return self._score(scene, aims, image_ids(self._store, keys))

    def scores(self, scene: Scene, ids: Sequence[str], *, places: bool = True) -> Array:
        """The scores (P,) of photos that have regions, in the order of `ids`."""
        return score(scene.clause, self._read(self._aims(scene, places), ids)[1])

    def boards(
        self, ranked: RankedScenes, ids: Sequence[str]
    ) -> tuple[list[str], tuple[Board, ...]]:
        """Those of these ranked photos that have regions, and the scores of these for the scene's
        things: a board for each alternative.
        """
        return self._read(ranked.aims, ids)

    def _aims(self, scene: Scene, places: bool) -> Aims:
        named = [sentence(each) for each in alternatives(scene.clause)]
        wholes = tuple(self._photo(Query((Term(words),))) if words else None for words in named)
        tail = wholes[0]
        if len(named) > 1 and all(named):
            tail = self._photo(Query((Term(" or ".join(named)),)))
        if tail is None:
            first = next(thing for chain in wanted(scene.clause) for thing in chain.things)
            tail = self._calibration.sides["images"].direction(
                self._terms.read(first.query, "regions")  # which opens no file
            )
        aims = {id(thing): self._aim(thing.query) for thing in things(scene.clause)}
        unbound = {id(thing) for thing in map(alone, chains(scene.clause)) if thing is not None}
        photos = {thing for thing in unbound if aims[thing].photo is not None and not places}
        return Aims(aims, wholes, frozenset(photos), tail)

    def _aim(self, query: Query) -> Aim:
        regions = self._calibration.sides["regions"]
        region = regions.direction(self._terms.read(query, "regions"))
        if query.images:  # a photo similar to the picture need not contain it
            return Aim(None, region)
        return Aim(self._photo(query), region)

    def _photo(self, query: Query) -> Direction:
        return self._calibration.sides["images"].direction(self._terms.read(query, "images"))

    def _candidates(
        self, aims: Aims, needed: Sequence[Sequence[int]], filter: Filter | None, depth: int
    ) -> tuple[KeyArray, Array]:
        """The photos (P,) that are best for one of the things or confident for all that an
        alternative needs, and the upper bound of each one's weakest link (P,).
        """
        lists = {
            thing: self._ranker.rank(
                "photo" if thing in aims.photos else "place",
                aims.things[thing].photo,
                aims.things[thing].region,
                filter,
                depth,
            )
            for each in needed
            for thing in each
        }
        keys = np.unique(np.concatenate([ranked.photo_keys for ranked in lists.values()]))
        best = {}
        for thing, ranked in lists.items():
            # Ranking has continued until no photo that it did not return can be confident.
            best[thing] = np.full(len(keys), -np.inf, np.float32)
            best[thing][np.searchsorted(keys, ranked.photo_keys)] = ranked.photo_scores
        weakest = [np.min([best[thing] for thing in each], axis=0) for each in needed]
        return keys, np.asarray(np.max(weakest, axis=0), np.float32)

    def _score(self, scene: Scene, aims: Aims, ids: Sequence[str]) -> RankedScenes:
        """Photos by descending score, ties by id."""
        keys: list[str] = []
        parts = [np.empty(0, np.float32)]
        for start in range(0, len(ids), CHUNK):
            read, boards = self._read(aims, ids[start : start + CHUNK])
            keys += read
            parts.append(score(scene.clause, boards))
        scores = np.concatenate(parts)
        order = np.argsort(-scores, kind="stable")  # `ids` are in order
        scores = scores[order]
        found = point_keys(point_array([keys[place] for place in order]))
        below = np.nextafter(np.float32(1), np.float32(0))
        most = min(scores[-1], below) if len(scores) else below
        picture = aims.tail.picture
        evidence: tuple[Evidence, ...] = ("global",) if picture else ("both",)
        unseen = Unseen(self._calibration, evidence, picture, np.float32(0), most)
        return RankedScenes(found, scores, aims, unseen, self._store)

    def _read(self, aims: Aims, ids: Sequence[str]) -> tuple[list[str], tuple[Board, ...]]:
        """Those of the photos that have regions, and their board for each alternative."""
        columns = ["id", f"vector_{self._head}", "region_vectors", "region_boxes"]
        table = self._catalog.rows(ids, columns)
        counts = pc.fill_null(pc.list_value_length(table["region_vectors"]), 0)
        table = table.filter(pc.greater(counts, 0)).combine_chunks()
        lengths = pc.list_value_length(table["region_vectors"]).to_numpy().astype(np.int64)
        valid = np.arange(lengths.max(initial=1)) < lengths[:, None]
        boxes = np.zeros((*valid.shape, 4))
        boxes[valid] = _flat(table["region_boxes"]).reshape(-1, 4)
        photos = unit_vectors(table[columns[1]])
        vectors = unit_vectors(table["region_vectors"].combine_chunks().flatten())
        owners = np.repeat(np.arange(len(lengths)), lengths)
        scores, photo_scores = {}, {}
        for thing, aim in aims.things.items():
            scores[thing] = np.full(valid.shape, -np.inf, np.float32)
            scores[thing][valid], z = self._scores(aim, photos, vectors, owners)
            if thing in aims.photos:
                best = np.full(valid.shape, -np.inf, np.float32)
                best[valid] = z
                photo_scores[thing] = self._calibration.score(
                    {"both": best.max(axis=1)}, picture=False
                )
        boards = tuple(
            Board(
                boxes,
                scores,
                np.zeros(len(photos), np.float32)
                if whole is None
                else whole.standard(whole.cosines(photos)),
                photo_scores,
            )
            for whole in aims.wholes
        )
        return table["id"].to_pylist(), boards

    def _scores(
        self, aim: Aim, photos: Array, vectors: Array, owners: npt.NDArray[np.int64]
    ) -> tuple[Array, Array]:
        """The scores of regions as places for one thing, as in `Ranker`, and the evidence of each
        and its photo together.
        """
        region_z = aim.region.standard(aim.region.cosines(vectors))
        if aim.photo is None:
            alone = self._calibration.score({"region": region_z}, picture=aim.region.picture)
            return alone, region_z
        photo_z = aim.photo.standard(aim.photo.cosines(photos))[owners]
        z: dict[Evidence, Array] = {"region": region_z, "both": both(photo_z, region_z)}
        return self._calibration.score(z, picture=aim.region.picture), z["both"]


def _flat(column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    """All numbers of a column of nested lists, in order."""
    whole = column.combine_chunks().flatten()
    return np.asarray(whole.flatten(), np.float64)
