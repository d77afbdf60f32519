"""Build a page of hits for a scene, with the places that fulfil it, named by their things."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from search.arrays import Array
from search.hits import Hit, RegionHit
from search.places.distinct import distinct, overlaps
from search.ranking import Indices
from search.result_page import BESIDE, make_hit
from search.scenes.compose import Board, fulfilling, links
from search.scenes.scene import Chain, Scene, alternatives, wanted
from search.scenes.search import RankedScenes, SceneSearch
from search.stored_photos import masks_of, page_rows

if TYPE_CHECKING:
    from indexer.catalog.table import Catalog

Place = tuple[str, int, float]  # the thing's name, the region's number, its score as this thing


def build_scene_page(
    catalog: Catalog,
    search: SceneSearch,
    scene: Scene,
    ranked: RankedScenes,
    ranks: Indices,
    *,
    weak_places: bool,
) -> tuple[Hit, ...]:
    """The hits at these ranks (P,), in their order. Skips photos whose files are gone.

    Places follow the order of the things in the query, the best one first for each thing. Of the
    scene's alternatives a hit shows those that hold, or the best one. A hit shows the confident
    places; `weak_places` shows the best place of a thing that has none.
    """
    ids = ranked.image_ids(ranks)
    rows = page_rows(catalog, ids)
    there = [key for key in ids if key in rows]
    if not there:
        return ()
    shown, boards = search.boards(ranked, there)
    board = boards[0]  # they differ in the score for the whole only
    ways = alternatives(scene.clause)
    holds = np.stack([links(each, board) for each in ways])  # (alternatives, photos)
    shows = (holds >= 1) | (holds == holds.max(axis=0)) & (holds < 1).all(axis=0)
    chains = [list(wanted(each)) for each in ways]
    served = [[fulfilling(chain, board) for chain in each] for each in chains]
    score = dict(zip(ids, ranked.photo_scores[ranks].tolist(), strict=True))
    hits = {key: make_hit(rows[key], score[key], []) for key in there}
    for number, key in enumerate(shown):
        places = [
            place
            for way in np.flatnonzero(shows[:, number])
            for chain, each in zip(chains[way], served[way], strict=True)
            for place in _places(chain, [v[number] for v in each], board, number, weak_places)
        ]
        masks = masks_of(rows[key])
        boxes = board.boxes[number].tolist()
        regions = [
            RegionHit(tuple(boxes[region]), value, masks[region], name)
            for name, region, value in dict.fromkeys(places)
        ]
        hits[key] = make_hit(rows[key], score[key], regions)
    return tuple(hits.values())


def _places(
    chain: Chain, served: list[Array], board: Board, number: int, weak: bool
) -> list[Place]:
    """The places of one photo for the things of a chain; `served` (R,) as in `fulfilling`."""
    places: list[Place] = []
    known = overlaps(board.boxes[number][None])
    for thing, values in zip(chain.things, served, strict=True):
        best = float(values.max())
        if best < 1 and not weak:
            continue
        line = max(1.0, BESIDE * best) if best >= 1 else best
        scores = board.of(thing)[number]
        # Keep all that serve well enough; their own scores decide which shows the thing best, since
        # `values` are capped at the value of the rest of the chain.
        kept = np.where(values >= line, scores, 0 if best >= 1 else -np.inf).astype(np.float32)
        regions = distinct(known, kept[None]).region.tolist() if best >= 1 else [kept.argmax()]
        places += [(thing.name, int(region), float(scores[region])) for region in regions]
    return places
