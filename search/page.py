"""A page of ranked photos -> hits with paths, boxes and masks. The only place that makes an object
per hit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

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
    shown = own[ranked.region_scores[own] >= 1]
    if not len(shown) and weak_places:
        shown = own[:1]
    boxes = np.array([ranked.region_payloads[index]["box"] for index in shown], np.float64)
    return [int(shown[index]) for index in distinct(boxes.reshape(-1, 4), MOST_REGIONS)]


def distinct(boxes: npt.NDArray[np.float64], most: int) -> list[int]:
    """Indices of the boxes (N, 4), best first, that do not show the place of a better one; at most
    `most`.
    """
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    kept: list[int] = []
    for index in range(len(boxes)):
        others = boxes[kept]
        low = np.maximum(others[:, :2], boxes[index, :2])
        high = np.minimum(others[:, 2:], boxes[index, 2:])
        shared = np.clip(high - low, 0, None).prod(axis=1)
        smaller = np.minimum(area[kept], area[index])
        if not (shared > SAME_PLACE * smaller).any():
            kept.append(index)
        if len(kept) == most:
            break
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
