"""A page of ranked photos -> hits with paths, boxes and masks. The only place that makes an object
per hit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from search.cutoff import Array
from search.hits import Hit, RegionHit
from search.ranking import Ranked
from search.stored import masks_of, page_rows

if TYPE_CHECKING:
    from indexer.catalog import Catalog

MOST_REGIONS = 8
"""A hit shows at most so many places."""
SAME_PLACE = 0.5
"""Boxes that share more than this much of the smaller one show the same place (regions of several
scales are nested).
"""
SLACK = 0.1
"""A part of a thing often scores a little better than the thing: the larger region is shown if it
loses at most this share of the score over the number of times its box is larger, less one. The mean
over a thing and all that lies beside it can still resemble the thing, so much growth must cost
little.
"""
BESIDE = 0.75
"""A place is shown beside the photo's best one if its score is at least this share of it."""


def build_page(
    catalog: Catalog, ranked: Ranked, ranks: slice, *, weak_places: bool
) -> tuple[Hit, ...]:
    """The hits at these ranks, in order. Photos whose files are gone are left out.

    A hit shows its confident places; `weak_places` shows the best one where there is none.
    """
    ids = ranked.image_ids(ranks)
    rows = page_rows(catalog, ids)
    hits = []
    for rank, image_id in enumerate(ids, start=ranks.start):
        if image_id in rows:
            places = _places(ranked, rank, weak_places)
            hits.append(_hit(rows[image_id], float(ranked.photo_scores[rank]), ranked, places))
    return tuple(hits)


def _places(ranked: Ranked, rank: int, weak_places: bool) -> list[int]:
    """Indices of the regions to show for the photo at this rank, best first."""
    own = np.flatnonzero(ranked.owners == rank)
    scores = ranked.region_scores[own]
    shown = own[scores >= max(1.0, BESIDE * scores.max(initial=0.0))]
    if not len(shown) and weak_places:
        shown = own[:1]
    boxes = np.array([ranked.region_payloads[index]["box"] for index in shown], np.float64)
    chosen = distinct(boxes.reshape(-1, 4), ranked.region_scores[shown], MOST_REGIONS)
    return [int(shown[index]) for index in chosen]


def distinct(boxes: npt.NDArray[np.float64], scores: Array, most: int) -> list[int]:
    """At most `most` of the boxes (N, 4), given by falling score, that show different places:
    indices.

    The best box grows to the largest that holds it and scores nearly as well (`SLACK`), boxes of
    the same place are passed over, and so on with the best of the rest.
    """
    area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)  # (N, N)
    same = shared > SAME_PLACE * np.minimum(area[:, None], area[None])
    holds = shared >= 0.99 * area  # [i, j]: i holds j
    free = np.ones(len(boxes), bool)
    kept: list[int] = []
    while free.any() and len(kept) < most:
        best = int(np.argmax(free))
        growth = area / area[best] - 1
        lost = 1 - scores / scores[best]
        whole = free & holds[:, best] & (lost * growth <= SLACK)
        grown = int(np.argmax(np.where(whole, area, -1)))
        kept.append(grown)
        free &= ~(same[grown] | same[best])
        free[[best, grown]] = False
    return kept


def _hit(row: dict[str, Any], score: float, ranked: Ranked, places: list[int]) -> Hit:
    masks = masks_of(row)
    paths = tuple(file["path"] for file in row["files"])
    regions = []
    for place in places:
        payload = ranked.region_payloads[place]
        x0, y0, x1, y1 = payload["box"]
        mask = masks[payload["k"]]
        regions.append(RegionHit((x0, y0, x1, y1), float(ranked.region_scores[place]), mask))
    return Hit(
        id=row["id"],
        path=paths[0],
        paths=paths,
        score=score,
        confident=score >= 1,
        width=row["width"],
        height=row["height"],
        regions=tuple(regions),
    )
