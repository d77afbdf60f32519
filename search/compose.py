"""The score of a scene in many photos at once: numpy over photos x regions.

A scene is as good as its weakest link. Every region has a score for every thing, on the scale of
`search/cutoff.py` where 1 is the line. A degree d in [0, 1] of `search/relations.py` (a relation, a
position, a size) is a link of the score 2d, so that half a degree is the line too. A chain of
things is best where the least of its links is greatest; going through it from its end, one product
of regions x regions per relation, finds that exactly. What must not be there has the score 2 - s:
it passes the line where s does not. n places count where the n-th best distinct one does.

Letters: P photos, R regions of a photo (padded), K places.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from search.cutoff import Array
from search.distinct import distinct, overlaps
from search.relations import RELATIONS, at, placed, sized
from search.scene import MOST_COUNTED, And, Chain, Clause, Count, Not, Thing

Floats = npt.NDArray[np.float64]
ABSENT = 0.0
"""The score of a place that is not there: the middle of what an unrelated text finds."""


@dataclass(frozen=True, slots=True)
class Board:
    """P photos with their regions: `boxes` (P, R, 4), and for every thing of a scene, by its
    identity (pictures in memory cannot be compared), the `scores` (P, R) of the regions, -inf where
    there is none. A photo has at least one region.
    """

    boxes: Floats
    scores: Mapping[int, Array]

    def of(self, thing: Thing) -> Array:
        """The scores (P, R) of a thing of the scene."""
        return self.scores[id(thing)]


def evaluate(clause: Clause, board: Board) -> Array:
    """The scores (P,) of the photos; 1 is the line."""
    if isinstance(clause, Not):
        return np.asarray(2 - evaluate(clause.part, board), np.float32)
    if isinstance(clause, And):
        parts = [evaluate(part, board) for part in clause.parts]
        return np.asarray(np.min(parts, axis=0), np.float32)
    head = clause.things[0]
    through = _from_the_end(clause, board)[0]
    if head.count == Count():
        return np.asarray(through.max(axis=1), np.float32)
    _, scores = counted_places(board.boxes, through)
    return _counted(scores, head.count)


def fulfilling(chain: Chain, board: Board) -> list[Array]:
    """For each thing of a chain, how well every region (P, R) serves as that thing: the best chain
    through it.
    """
    backwards = Chain(chain.things[::-1], chain.relations[::-1])
    onward = _from_the_end(chain, board)
    before = _from_the_end(backwards, board, turned=True)[::-1]
    return [np.minimum(a, b) for a, b in zip(onward, before, strict=True)]


def fit(thing: Thing, board: Board) -> Array:
    """The scores (P, R) of the regions as this thing, where it may be and as large as it may be."""
    scores = board.of(thing)
    degrees = []
    if thing.position is not None:
        degrees.append(at(board.boxes, thing.position))
    if thing.size is not None:
        degrees.append(sized(board.boxes, thing.size))
    if thing.box is not None:
        degrees.append(placed(board.boxes, np.array(thing.box)))
    for degree in degrees:
        scores = np.minimum(scores, 2 * degree)
    return np.asarray(scores, np.float32)


def counted_places(boxes: Floats, scores: Array) -> tuple[npt.NDArray[np.int64], Array]:
    """The distinct places of each photo that may count, best first: regions and scores (P, K), K
    one more than `MOST_COUNTED`. Where a photo has fewer, region 0 with the score `ABSENT`.
    """
    shown = distinct(overlaps(boxes), scores, MOST_COUNTED + 1)
    order = np.argsort(shown.photo, kind="stable")
    photo = shown.photo[order]
    rank = np.arange(len(photo)) - np.searchsorted(photo, photo)
    regions = np.zeros((len(boxes), MOST_COUNTED + 1), np.int64)
    values = np.full(regions.shape, ABSENT, np.float32)
    regions[photo, rank] = shown.region[order]
    values[photo, rank] = shown.score[order]
    return regions, values


def _from_the_end(chain: Chain, board: Board, *, turned: bool = False) -> list[Array]:
    """For each thing, the best rest of the chain that begins at every region: (P, R) each.

    `turned`: the relations are read from the later thing to the earlier one.
    """
    through = [fit(thing, board) for thing in chain.things]
    for number in range(len(chain.relations) - 1, -1, -1):
        following, boxes = through[number + 1], board.boxes
        count = chain.things[number + 1].count
        if count != Count():
            regions, following = counted_places(boxes, following)
            boxes = np.take_along_axis(boxes, regions[..., None], axis=1)
        here, there = board.boxes[:, :, None], boxes[:, None]
        relation = RELATIONS[chain.relations[number]]
        degree = relation(there, here) if turned else relation(here, there)
        links = np.minimum(2 * degree, following[:, None]).astype(np.float32)  # (P, R, K)
        through[number] = np.minimum(through[number], _counted(links, count))
    return through


def _counted(scores: Array, count: Count) -> Array:
    """The score of so many places, for scores (..., K) of places: (...)."""
    if count == Count():
        return np.asarray(scores.max(axis=-1))
    ordered = -np.sort(-scores, axis=-1)
    enough = ordered[..., count.low - 1]
    if count.high is None:
        return np.asarray(enough, np.float32)
    return np.asarray(np.minimum(enough, 2 - ordered[..., count.high]), np.float32)
