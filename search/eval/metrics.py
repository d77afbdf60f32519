"""Metrics of region retrieval over a whole set of pictures, one text at a time.

A place is correct when it overlaps a thing that the text names, in the same picture, with at least
the required intersection over union; each thing is found once, by the best-scored matching place.
For metrics by size, places that found a thing of another size are ignored, as in COCO.

Letters: P things, K places, N pictures, C patches.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from search.arrays import Array
from search.eval.places import Places
from search.eval.truth import Truth
from search.places.distinct import Bools, Floats, Ints
from tips_model.eval.ranking import average_precision

IOUS = (0.3, 0.5)
DEPTHS = (1, 10, 100)


def box_overlaps(a: Floats, b: Floats) -> Floats:
    """Intersection over union of boxes (K, 4) and (P, 4), fractions of one picture each: (K, P)."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    both = np.clip(high - low, 0, None).prod(axis=2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (a, b)]
    union = areas[0][:, None] + areas[1][None] - both
    overlap: Floats = both / np.maximum(union, 1e-12)
    return overlap


def mask_overlaps(a: Bools, cover: Array) -> Floats:
    """Intersection over union of masks (K, C) of whole patches with things that cover fractions of
    them, (P, C): (K, P).
    """
    masks = a.astype(np.float64)
    both = masks @ cover.T.astype(np.float64)
    union = masks.sum(axis=1)[:, None] + cover.sum(axis=1)[None] - both
    overlap: Floats = both / np.maximum(union, 1e-12)
    return overlap


def assign(places: Places, overlaps: Floats, things: Ints, images: Ints, least: float) -> Ints:
    """The thing that each place finds: (K,), the number of a thing or -1.

    `places` by descending score; `overlaps` (K, P') with `things` (P',), which lie in `images`
    (P',).
    """
    fits = (places.image[:, None] == images[None]) & (overlaps >= least)
    found = np.full(len(places.image), -1, np.int64)
    open_ = np.ones(len(things), bool)
    for place in np.flatnonzero(fits.any(axis=1)):
        choice = np.where(fits[place] & open_, overlaps[place], -1.0)
        best = int(choice.argmax())
        if choice[best] >= 0:
            found[place] = things[best]
            open_[best] = False
    return found


def ranked(places: Places) -> Places:
    """The places by descending score, ties in their order."""
    order = np.argsort(-places.score, kind="stable")
    return Places(places.image[order], places.score[order], places.box[order], places.mask[order])


@dataclass(frozen=True, slots=True)
class Matches:
    """The ranked places of one text, and the thing that each of them finds (K,), -1 for none, by
    kind of overlap ("box", "mask") and minimum overlap.
    """

    places: Places
    found: dict[tuple[str, float], Ints]


def match(places: Places, truth: Truth, text: int) -> Matches:
    """Rank the places of a text and match them with the things that it names."""
    things = truth.of_text(text)
    images = truth.image[things]
    order = ranked(places)
    # Only compute overlaps of places and things in the same pictures.
    near = np.flatnonzero(np.isin(order.image, images))
    close = Places(order.image[near], order.score[near], order.box[near], order.mask[near])
    overlaps = {
        "box": box_overlaps(close.box, truth.box[things]),
        "mask": mask_overlaps(close.mask, truth.cover[things]),
    }
    found = {}
    for kind, values in overlaps.items():
        for least in IOUS:
            found[kind, least] = np.full(len(order.image), -1, np.int64)
            found[kind, least][near] = assign(close, values, things, images, least)
    return Matches(order, found)


def place_figures(matches: Matches, truth: Truth, text: int, within: Bools) -> dict[str, float]:
    """Metrics of one text's places; `within` (P,) are the things that count (a size).

    Average precision by boxes and by masks, recall among the first places, and pointing: whether
    the centre of a picture's best place lies in the thing's box.
    """
    things = truth.of_text(text)
    counted = things[within[things]]
    figures: dict[str, float] = {}
    for (kind, least), found in matches.found.items():
        other = (found >= 0) & ~within[found]
        right = (found >= 0)[~other]
        figures[f"{kind} AP@{least}"] = average_precision(right, len(counted))
        if kind == "box":
            for depth in DEPTHS:
                share = float(right[:depth].sum() / len(counted))
                figures[f"recall@{depth} IoU {least}"] = share
    figures["pointing"] = pointing(matches.places, counted, truth)
    return figures


def pointing(places: Places, things: Ints, truth: Truth) -> float:
    """The fraction of the things whose box contains the centre of their picture's best place, for
    ranked places; a picture without a place counts as a miss.
    """
    images, first = np.unique(places.image, return_index=True)
    known = np.isin(truth.image[things], images)
    best = first[np.searchsorted(images, truth.image[things[known]])]
    x, y = (places.box[best, :2] + places.box[best, 2:]).T / 2
    x0, y0, x1, y1 = truth.box[things[known]].T
    return float(((x0 <= x) & (x <= x1) & (y0 <= y) & (y <= y1)).sum() / len(things))


def picture_precision(scores: Array, positive: Ints, ignored: Ints) -> float:
    """Average precision of a ranking of pictures by `scores` (N,): `positive` ones are wanted,
    `ignored` ones are skipped.
    """
    order = np.argsort(-scores, kind="stable")
    order = order[~np.isin(order, np.setdiff1d(ignored, positive))]
    return average_precision(np.isin(order, positive), len(np.unique(positive)))


def mean(rows: Iterable[dict[str, float]]) -> dict[str, float]:
    """The mean of each metric over the rows that have it."""
    sums: dict[str, list[float]] = {}
    for row in rows:
        for name, value in row.items():
            sums.setdefault(name, []).append(value)
    return {name: float(np.mean(values)) for name, values in sums.items()}
