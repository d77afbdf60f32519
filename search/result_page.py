"""Build a page of hits with paths, boxes and masks from ranked photos. The only place that creates
an object per hit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from indexer.vectors import MAX_REGIONS
from search.hits import Hit, RegionHit
from search.places.distinct import distinct, overlaps
from search.ranking import Indices, Places, Ranked
from search.stored_photos import masks_of, page_rows

if TYPE_CHECKING:
    from indexer.catalog.table import Catalog

BESIDE = 0.75
"""A place is shown beside the photo's best one if its score is at least this fraction of it."""


def build_page(
    catalog: Catalog, ranked: Ranked, ranks: Indices, *, weak_places: bool
) -> tuple[Hit, ...]:
    """The hits at these ranks (P,), in their order. Skips photos whose files are gone.

    A hit shows its confident places; `weak_places` shows the best one where there is none. Where
    the ranking may have missed relevant regions, all regions of these photos are scored.
    """
    ids = ranked.image_ids(ranks)
    scored = ranked.places
    bare = weak_places and not np.isin(ranks, ranked.owners).all()  # photos of the tail
    if ids and scored is not None and (bare or scored.cut_short(ranks)):
        rows = page_rows(catalog, ids, vectors=True)
        ranked = _with_all_regions(ranked, scored, [rows.get(image_id) for image_id in ids], ranks)
    else:
        rows = page_rows(catalog, ids)
    hits = []
    for rank, image_id in zip(ranks.tolist(), ids, strict=True):
        if image_id in rows:
            places = _places(rows[image_id], ranked, rank, weak_places)
            hits.append(_hit(rows[image_id], float(ranked.photo_scores[rank]), ranked, places))
    return tuple(hits)


def _with_all_regions(
    ranked: Ranked, scored: Places, rows: Sequence[dict[str, Any] | None], ranks: Indices
) -> Ranked:
    """The ranking completed with the missing regions of the photos at these ranks, using the
    vectors in their rows.
    """
    pairs = zip(ranks.tolist(), rows, strict=True)
    present = [(rank, row) for rank, row in pairs if row is not None]
    if not present:
        return ranked
    counts = [len(row["region_vectors"]) for _, row in present]
    owners = np.repeat([rank for rank, _ in present], counts).astype(np.int64)
    numbers = np.concatenate([np.arange(0), *(np.arange(count) for count in counts)])
    known = np.isin(_codes(owners, numbers), _codes(ranked.owners, ranked.regions))
    vectors = np.concatenate([row["region_vectors"] for _, row in present])[~known]
    owners, numbers = owners[~known], numbers[~known]
    z = scored.direction.standard(scored.direction.cosines(vectors))
    scores = np.concatenate([ranked.region_scores, scored.scores(z, owners)])
    order = np.argsort(-scores, kind="stable")
    return replace(
        ranked,
        regions=np.concatenate([ranked.regions, numbers])[order],
        region_scores=scores[order],
        owners=np.concatenate([ranked.owners, owners])[order],
    )


def _codes(owners: Indices, numbers: Indices) -> Indices:
    """A unique number for each region of each photo."""
    return owners * (MAX_REGIONS + 1) + numbers


def _places(row: dict[str, Any], ranked: Ranked, rank: int, weak_places: bool) -> list[int]:
    """Indices of the regions to show for the photo of `row` at this rank, best first."""
    own = np.flatnonzero(ranked.owners == rank)
    scores = ranked.region_scores[own]
    shown = own[scores >= max(1.0, BESIDE * scores.max(initial=0.0))]
    if not len(shown) and weak_places:
        shown = own[:1]
    if not len(shown):
        return []
    boxes = np.array(row["region_boxes"], np.float64)[ranked.regions[shown]]
    # Weak places may score below 0: only their order counts here.
    scores = np.maximum(ranked.region_scores[shown], np.float32(1e-6))
    chosen = distinct(overlaps(boxes[None]), scores[None])
    return [int(shown[index]) for index in chosen.region]


def _hit(row: dict[str, Any], score: float, ranked: Ranked, places: list[int]) -> Hit:
    masks = masks_of(row)
    regions = []
    for place in places:
        number = int(ranked.regions[place])
        x0, y0, x1, y1 = row["region_boxes"][number]
        strength = float(ranked.region_scores[place])
        regions.append(RegionHit((x0, y0, x1, y1), strength, masks[number]))
    return make_hit(row, score, regions)


def make_hit(row: dict[str, Any], score: float, regions: Sequence[RegionHit]) -> Hit:
    """The hit of a row of `page_rows`."""
    paths = tuple(file["path"] for file in row["files"])
    return Hit(
        id=row["id"],
        path=paths[0],
        paths=paths,
        score=score,
        confident=score >= 1,
        width=row["width"],
        height=row["height"],
        regions=tuple(regions),
        taken=row["taken"],
        camera=row["camera"],
        latitude=row["latitude"],
        longitude=row["longitude"],
        keywords=tuple(row["keywords"] or ()),
    )
