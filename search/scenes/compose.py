"""Score a scene in many photos at once: numpy over photos x regions.

Every region has a score for every thing, on the scale of `search/confidence/cutoff.py` where 1 is
the confidence line. A photo gets two measures:

- **The weakest link** decides whether it is confident: every thing has a place that reaches the
  line, and the places lie as asked. In a search for photos, a thing without position, size, count
  or relation needs no place: its link is the score that the photo has when searched for it alone
  (so `dog and not cat` finds some of the photos of `dog`). A degree d in [0, 1] of
  `search/scenes/relations.py` (a relation, a position, a size) counts as a link with the score 2d,
  so that half a degree is also the line. A negated thing has the score 2 - s: it passes the line
  where s does not.
- **Evidence** ranks: the mean score of the things, minus 2 - 2d for every degree, minus once more
  what the best places for the things lose by having to lie as asked (`LAID_OUT`), plus half of the
  photo's own standard score for the things in a sentence (`WHOLE`). Scores are *contested*: a
  region that serves as one thing loses a part of its value as any other thing of the scene
  (`CONTEST`), which distinguishes a dog left of a cat from a cat left of a dog even where the model
  is sure of neither. `docs/regions.md` has the measurements.

A scene with `Or` is scored by its alternatives (`search/scenes/scene.py`, `alternatives`), and a
photo's score is that of the best one: max over a of s_a. So what reaches the line for an
alternative reaches it for the scene, and what reaches it for none does not: the false alarms of a
scene are those of its alternatives together, no more than from asking for one after the other, and
no line is moved. Where each alternative is one thing with nothing that binds it (`dog OR cat`), s_a
is the link itself, the score of a plain search; otherwise s_a is the score above.

A chain of things is scored by the best choice of a region for each: dynamic programming from its
end, with one product of regions x regions per relation, finds it exactly, for a minimum as for a
sum. n places count where the n-th best distinct one does. Things with a size or position, and those
that contain others, are only searched among distinct places: a part of a huge thing is a tiny
region, and a region around two things resembles both.

Letters: P photos, R regions of a photo (padded), K places.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from search.arrays import Array
from search.places.distinct import distinct, overlaps
from search.scenes.relations import RELATIONS, at, placed, sized
from search.scenes.scene import (
    MOST_COUNTED,
    And,
    Chain,
    Clause,
    Count,
    Not,
    Thing,
    alone,
    things,
    wanted,
)

Floats = npt.NDArray[np.float64]
Measure = Literal["weakest", "evidence"]
CONTEST = 0.25
"""The fraction of a region's score for another thing that counts against it."""
LAID_OUT = 1.0
"""Extra weight of what the things lose by having to lie as asked: this loss is the same for things
that the model knows well and for others.
"""
WHOLE = 0.5
"""Weight of the whole photo's standard score, for a sentence of all wanted things."""
USUAL = -2.0
"""The score of a region unrelated to a text: the median over all regions of photos."""
WORST = -4.0
"""Lower bound of scores, below which they carry no information; also the score of a missing
place."""
NEARLY = 0.9
"""From here on, scores of photos that are not confident are compressed to stay below 1."""


@dataclass(frozen=True, slots=True)
class Board:
    """P photos with their regions: `boxes` (P, R, 4), and for every thing of a scene, keyed by
    object identity (pictures in memory cannot be compared), the `scores` (P, R) of the regions,
    -inf where there is none; `whole` (P,) is the photo's standard score for all wanted things
    together. A photo has at least one region. In a search for photos, `photos` (P,) are the scores
    of the photos for each thing.
    """

    boxes: Floats
    scores: Mapping[int, Array]
    whole: Array
    photos: Mapping[int, Array] = field(default_factory=dict)

    def of(self, thing: Thing) -> Array:
        """The scores (P, R) of a thing of the scene."""
        return self.scores[id(thing)]


def evaluate(clause: Clause, board: Board) -> Array:
    """The scores (P,) of the photos for an alternative: 1 or more where the weakest link reaches
    the line, else below 1; ordered by evidence on each side of it.
    """
    weakest = links(clause, board)
    contested = _contested(clause, board)
    evidence = _evidence(clause, contested)
    evidence += LAID_OUT * (evidence - _apart(clause, contested)) + WHOLE * board.whole
    room = 1 - NEARLY
    pressed = 1 - room**2 / (room + np.maximum(evidence - NEARLY, 0))
    below = np.minimum(
        np.where(evidence < NEARLY, evidence, pressed), np.nextafter(1, 0, dtype="f")
    )
    return np.where(weakest >= 1, np.maximum(evidence, 1), below).astype(np.float32)


def _apart(clause: Clause, board: Board) -> Array:
    """The mean (P,) of the best scores of the wanted things, ignoring positions, sizes and
    relations."""
    best = [board.of(thing).max(axis=1) for chain in wanted(clause) for thing in chain.things]
    return np.asarray(np.mean(best, axis=0), np.float32)


def links(clause: Clause, board: Board) -> Array:
    """The score (P,) of the weakest link."""
    if isinstance(clause, Not):
        return np.asarray(2 - links(clause.part, board), np.float32)
    if isinstance(clause, And):
        return np.asarray(np.min([links(part, board) for part in clause.parts], axis=0), np.float32)
    assert isinstance(clause, Chain), "an alternative has no Or"
    thing = alone(clause)
    if thing is not None and id(thing) in board.photos:
        return board.photos[id(thing)]
    return _best(clause, board, "weakest", 1)


def fulfilling(chain: Chain, board: Board) -> list[Array]:
    """For each thing of a chain, how well every region (P, R) serves as that thing: the weakest
    link of the best chain through it.
    """
    backwards = Chain(chain.things[::-1], chain.relations[::-1])
    onward = _from_the_end(chain, board, "weakest", 1)
    before = _from_the_end(backwards, board, "weakest", 1, turned=True)[::-1]
    return [np.minimum(a, b) for a, b in zip(onward, before, strict=True)]


class Counted(NamedTuple):
    """The candidate places of each photo for counting, best first: `regions` and `scores` (P, K), K
    one more than `MOST_COUNTED`. Where a photo has fewer, `there` is false and the score `WORST`.
    """

    regions: npt.NDArray[np.int64]
    scores: Array
    there: npt.NDArray[np.bool_]


def counted_places(boxes: Floats, scores: Array) -> Counted:
    """The places for scores (P, R) of regions; -inf excludes a region."""
    # Only scores above 0 make places; below it only their order matters.
    positive = np.where(scores > 0, scores, 1e-6 * np.exp(np.minimum(scores, 0)))
    positive = np.where(np.isfinite(scores), positive, 0).astype(np.float32)
    shown = distinct(overlaps(boxes), positive, MOST_COUNTED + 1)
    order = np.argsort(shown.photo, kind="stable")
    photo, region = shown.photo[order], shown.region[order]
    rank = np.arange(len(photo)) - np.searchsorted(photo, photo)
    regions = np.zeros((len(boxes), MOST_COUNTED + 1), np.int64)
    values = np.full(regions.shape, WORST, np.float32)
    there = np.zeros(regions.shape, bool)
    regions[photo, rank] = region
    values[photo, rank] = np.maximum(scores[photo, region], WORST)
    there[photo, rank] = True
    return Counted(regions, values, there)


def _contested(clause: Clause, board: Board) -> Board:
    """The board with scores clipped at `WORST`, less the regions' values as other things."""
    every = {id(thing): np.maximum(board.of(thing), WORST) for thing in things(clause)}
    scores = {}
    for key, own in every.items():
        rivals = [each for other, each in every.items() if other != key]
        contested = own - CONTEST * (np.max(rivals, axis=0) - USUAL) if rivals else own
        there = np.isfinite(board.scores[key])
        scores[key] = np.where(there, contested, -np.inf).astype(np.float32)
    return replace(board, scores=scores)


def _evidence(clause: Clause, board: Board) -> Array:
    """The evidence (P,) for a clause: the mean over its wanted things, minus penalties."""
    count = sum(len(chain.things) for chain in wanted(clause)) or 1
    total = np.zeros(len(board.boxes))
    parts = clause.parts if isinstance(clause, And) else (clause,)
    for part in parts:
        if isinstance(part, Not):
            against = np.maximum(_evidence(part.part, board), WORST)
            total -= CONTEST * (against - USUAL)
        elif isinstance(part, And):
            inner = sum(len(chain.things) for chain in wanted(part)) or 1
            total += _evidence(part, board) * inner / count
        else:
            assert isinstance(part, Chain), "an alternative has no Or"
            total += _best(part, board, "evidence", count)
    return np.asarray(total, np.float32)


def _best(chain: Chain, board: Board, measure: Measure, count: int) -> Array:
    """The best choice of places for a chain: (P,)."""
    head = chain.things[0]
    through = _from_the_end(chain, board, measure, count)[0]
    if head.count == Count():
        return np.asarray(through.max(axis=1), np.float32)
    return _counted(counted_places(board.boxes, through).scores, head.count, measure)


def _from_the_end(
    chain: Chain, board: Board, measure: Measure, count: int, *, turned: bool = False
) -> list[Array]:
    """For each thing, the best value of the rest of the chain starting at every region: (P, R)
    each.

    `turned`: the relations are read from the later thing to the earlier one.
    """
    around = {
        number + (not turned) for number, name in enumerate(chain.relations) if name == "inside"
    }
    through = [
        _fit(thing, board, measure, count, whole=number in around)
        for number, thing in enumerate(chain.things)
    ]
    for number in range(len(chain.relations) - 1, -1, -1):
        following, boxes = through[number + 1], board.boxes
        wanted_count = chain.things[number + 1].count
        if wanted_count != Count():
            places = counted_places(boxes, following)
            following = places.scores
            boxes = np.take_along_axis(boxes, places.regions[..., None], axis=1)
        here, there = board.boxes[:, :, None], boxes[:, None]
        relation = RELATIONS[chain.relations[number]]
        degree = relation(there, here) if turned else relation(here, there)
        linked = _with(following[:, None], degree, measure)  # (P, R, K)
        best = _counted(linked, wanted_count, measure)
        here_too = through[number]
        through[number] = (
            np.minimum(here_too, best) if measure == "weakest" else here_too + best
        ).astype(np.float32)
    return through


def _fit(thing: Thing, board: Board, measure: Measure, count: int, *, whole: bool) -> Array:
    """The scores (P, R) of the regions as this thing, including its position and size; as evidence,
    its share among `count` things. `whole`: distinct places only.
    """
    scores = board.of(thing)
    if whole or thing.size is not None or thing.position is not None:
        places = counted_places(board.boxes, scores)
        photo, rank = np.nonzero(places.there)
        distinct_ones = np.zeros(scores.shape, bool)
        distinct_ones[photo, places.regions[photo, rank]] = True
        scores = np.where(distinct_ones, scores, -np.inf).astype(np.float32)
    if measure == "evidence":
        scores = (scores / count).astype(np.float32)
    if thing.position is not None:
        scores = _with(scores, at(board.boxes, thing.position), measure)
    if thing.size is not None:
        scores = _with(scores, sized(board.boxes, thing.size), measure)
    if thing.box is not None:
        scores = _with(scores, placed(board.boxes, np.array(thing.box)), measure)
    return np.asarray(scores, np.float32)


def _with(scores: Array, degree: Floats, measure: Measure) -> Array:
    """Combine scores with a degree."""
    if measure == "weakest":
        return np.minimum(scores, 2 * degree).astype(np.float32)
    return (scores + 2 * degree - 2).astype(np.float32)


def _counted(scores: Array, count: Count, measure: Measure) -> Array:
    """The score of a count of places, for scores (..., K) of places: (...)."""
    if count == Count():
        return np.asarray(scores.max(axis=-1))
    ordered = -np.sort(-scores, axis=-1)
    enough = ordered[..., count.low - 1]
    if count.high is None:
        return np.asarray(enough, np.float32)
    further = ordered[..., count.high]
    if measure == "weakest":
        return np.asarray(np.minimum(enough, 2 - further), np.float32)
    return np.asarray(enough - CONTEST * (np.maximum(further, WORST) - USUAL), np.float32)
