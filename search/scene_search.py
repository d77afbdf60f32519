"""A scene -> photos in order and the places that fulfil it.

The vector store gives, for every thing that must be there, the photos with the best places for it.
A photo is at most as good as its weakest thing, which bounds what the store has not returned; the
photos that may count are read from the catalog with all their regions, best bound first, until none
of the rest can count or reach the page (the threshold algorithm of Fagin et al., 2001). So a scene
of rare things costs a few photos, whatever the size of the collection.

Letters: T things, P photos, R regions of a photo (padded), D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from indexer.vectors import Filter, VectorStore
from search.calibration import Calibration, Direction, both
from search.compose import Board, evaluate
from search.cutoff import Array, Evidence
from search.query import Query
from search.ranking import Ranker
from search.sample import unit_vectors
from search.scene import Scene, things, wanted
from search.terms import TermReader

if TYPE_CHECKING:
    from indexer.catalog import Catalog

CHUNK = 256
"""So many photos are read and scored at once."""
DEEPER = 4


@dataclass(frozen=True, slots=True)
class Aim:
    """Where a thing is searched: among photos (None for pictures and their parts) and regions."""

    photo: Direction | None
    region: Direction


@dataclass(frozen=True, slots=True)
class RankedScenes:
    """Photos best first: `ids` (P,) and `scores` (P,)."""

    ids: list[str]
    scores: Array

    def confident(self) -> int:
        """How many photos reach the line."""
        return int((self.scores >= 1).sum())


class SceneSearch:
    """Scores scenes in one collection. `head` names the global vector, `terms` reads the things."""

    def __init__(
        self,
        catalog: Catalog,
        store: VectorStore,
        calibration: Calibration,
        terms: TermReader,
        head: str,
    ) -> None:
        self._catalog, self._calibration, self._terms = catalog, calibration, terms
        self._ranker, self._head = Ranker(store, calibration, head), head

    def rank(self, scene: Scene, filter: Filter | None, least: int) -> RankedScenes:
        """All confident photos and the best `least` ones at least."""
        aims = self._aims(scene)
        needed = [aims[id(thing)] for chain in wanted(scene.clause) for thing in chain.things]
        depth = least
        known: dict[str, float] = {}
        while True:
            ids, bounds, unseen = self._bounds(needed, filter, depth)
            self._score(scene, aims, ids, bounds, least, known)
            ordered = sorted(known.items(), key=lambda item: (-item[1], item[0]))
            scores = np.array([score for _, score in ordered], np.float32)
            if unseen == -np.inf or (scores >= unseen).sum() >= least:
                return RankedScenes([key for key, _ in ordered], scores)
            depth = max(depth, CHUNK) * DEEPER

    def board(self, scene: Scene, ids: Sequence[str]) -> Board:
        """The regions of these photos with the scores of the scene's things."""
        return self._read(self._aims(scene), ids)[1]

    def _aims(self, scene: Scene) -> dict[int, Aim]:
        return {id(thing): self._aim(thing.query) for thing in things(scene.clause)}

    def _aim(self, query: Query) -> Aim:
        sides, read = self._calibration.sides, self._terms.read
        region = sides["regions"].direction(read(query, "regions"))
        if query.images:  # a photo like the picture need not have it as a part
            return Aim(None, region)
        return Aim(sides["images"].direction(read(query, "images")), region)

    def _bounds(
        self, needed: Sequence[Aim], filter: Filter | None, depth: int
    ) -> tuple[list[str], Array, float]:
        """Photos that the store returned, the most that each can have, best first, and the most
        that any other photo can have: -inf if there is none.
        """
        found: list[tuple[npt.NDArray[np.str_], Array, float]] = []
        for aim in needed:
            ranked = self._ranker.rank("place", aim.photo, aim.region, filter, depth)
            ids = np.array(ranked.image_ids(slice(None)), dtype="U32")
            floor = -np.inf if ranked.complete else float(ranked.photo_scores[-1])
            found.append((ids, ranked.photo_scores, floor))
        keys = np.unique(np.concatenate([ids for ids, _, _ in found]))
        bounds = np.full(len(keys), np.inf, np.float32)
        for ids, scores, floor in found:
            best = np.full(len(keys), floor, np.float32)
            best[np.searchsorted(keys, ids)] = scores
            bounds = np.minimum(bounds, best)
        order = np.argsort(-bounds, kind="stable")
        return keys[order].tolist(), bounds[order], min(floor for _, _, floor in found)

    def _score(
        self,
        scene: Scene,
        aims: dict[int, Aim],
        ids: Sequence[str],
        bounds: Array,
        least: int,
        known: dict[str, float],
    ) -> None:
        """Add the scores of the photos that may count or be among the best `least` to `known`."""
        start = 0
        while start < len(ids):
            if bounds[start] < 1:
                best = sorted(known.values(), reverse=True)
                if len(best) >= least and (least == 0 or best[least - 1] >= bounds[start]):
                    return
            chunk = [key for key in ids[start : start + CHUNK] if key not in known]
            start += CHUNK
            if chunk:
                read, board = self._read(aims, chunk)
                scores = evaluate(scene.clause, board)
                known.update(zip(read, scores.tolist(), strict=True))

    def _read(self, aims: dict[int, Aim], ids: Sequence[str]) -> tuple[list[str], Board]:
        """The photos of these that have regions, and their board."""
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
        scores = {}
        for thing, aim in aims.items():
            scores[thing] = np.full(valid.shape, -np.inf, np.float32)
            scores[thing][valid] = self._scores(aim, photos, vectors, owners)
        return table["id"].to_pylist(), Board(boxes, scores)

    def _scores(
        self, aim: Aim, photos: Array, vectors: Array, owners: npt.NDArray[np.int64]
    ) -> Array:
        """The scores of regions as places for one thing, as `Ranker` gives them."""
        region_z = aim.region.standard(vectors @ aim.region.vector)
        if aim.photo is None:
            return self._calibration.score({"region": region_z}, picture=aim.region.picture)
        photo_z = aim.photo.standard(photos @ aim.photo.vector)[owners]
        z: dict[Evidence, Array] = {"region": region_z, "both": both(photo_z, region_z)}
        return self._calibration.score(z, picture=aim.region.picture)


def _flat(column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    """All numbers of a column of lists of lists, in order."""
    whole = column.combine_chunks().flatten()
    return np.asarray(whole.flatten(), np.float64)
