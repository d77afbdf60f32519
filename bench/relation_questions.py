"""Questions to a library of pictures about how things lie, and their answers by boxes; see
`bench/relations.py`.

Letters: N pictures, C names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt
from relation_pairs import GRID, SENTENCES, Floats, quoted, where

from tips_model.train.scenes.concepts import article

QUERIES = 25
"""Of each kind of query; of two things those that lie both ways in the library."""
Question = tuple[str, str, str, str, Floats]


@dataclass(frozen=True, slots=True)
class Lie:
    """Where things lie: whether a picture shows a name, `there` (N, C), and its box, `place`
    (N, C, 4) as fractions; nan unless it shows exactly one such thing.
    """

    names: Sequence[str]
    place: Floats
    there: npt.NDArray[np.bool_]


def questions(rng: np.random.Generator, lie: Lie) -> Iterator[Question]:
    """(relation, query, its things alone or "", sentence, truth (N,): 1, 0, or nan where it is not
    clear how the things lie), at most `QUERIES` of each relation, each true in two pictures.

    Clear: one box ends before the other begins; for a position, the centre in that third.
    """
    for relation in SENTENCES:
        yield from islice(_side_by_side(rng, lie, relation), QUERIES)
    for ask in (_positions, _with, _without):
        yield from islice((each for each in ask(rng, lie) if np.nansum(each[4]) >= 2), QUERIES)


def _pairs(rng: np.random.Generator, lie: Lie) -> Iterator[tuple[int, int]]:
    """All pairs of names that occur, in a random order."""
    present = np.flatnonzero(lie.there.any(axis=0))
    for number in rng.permutation(len(present) ** 2):
        a, b = present[number // len(present)], present[number % len(present)]
        if a != b:
            yield int(a), int(b)


def _side_by_side(rng: np.random.Generator, lie: Lie, relation: str) -> Iterator[Question]:
    axis = 0 if relation in ("left of", "right of") else 1
    for a, b in _pairs(rng, lie):
        first, second = (a, b) if relation in ("left of", "above") else (b, a)
        truth = _ahead(lie, first, second, axis)
        if np.nansum(truth) >= 2 and np.nansum(_ahead(lie, second, first, axis)) >= 2:
            one, other = lie.names[a], lie.names[b]
            words = f"{article(one)} {SENTENCES[relation]} {article(other)}"
            pair = f"{quoted(one)} AND {quoted(other)}"
            yield relation, f"{quoted(one)} {relation} {quoted(other)}", pair, words, truth


def _ahead(lie: Lie, a: int, b: int, axis: int) -> Floats:
    centre = (lie.place[..., :2] + lie.place[..., 2:]) / 2
    clear = lie.place[:, a, axis + 2] <= lie.place[:, b, axis]
    behind = centre[:, a, axis] >= centre[:, b, axis]  # false where there are several
    unclear = lie.there[:, a] & lie.there[:, b] & ~clear & ~behind
    return np.where(unclear, np.nan, clear)


def _positions(rng: np.random.Generator, lie: Lie) -> Iterator[Question]:
    centre = (lie.place[..., :2] + lie.place[..., 2:]) / 2
    present = np.flatnonzero(lie.there.any(axis=0))
    for number in rng.permutation(9 * len(present)):
        a, cell = int(present[number // 9]), int(number % 9)
        x, y = centre[:, a].T
        right = (np.floor(3 * x) == cell % 3) & (np.floor(3 * y) == cell // 3)
        name = GRID[cell // 3][cell % 3]
        # "left" alone leaves the height free: the middle third is what the truth means.
        side = {"left": x < 1 / 3, "right": x > 2 / 3, "top": y < 1 / 3, "bottom": y > 2 / 3}
        unclear = lie.there[:, a] & np.isnan(x) | side.get(name, np.array(False)) & ~right
        words = [
            f"{thing} {where(name)}" for thing in (quoted(lie.names[a]), article(lie.names[a]))
        ]
        yield "position", words[0], "", words[1], np.where(unclear, np.nan, right)


def _with(rng: np.random.Generator, lie: Lie) -> Iterator[Question]:
    for a, b in _pairs(rng, lie):
        one, other = lie.names[a], lie.names[b]
        truth = (lie.there[:, a] & lie.there[:, b]).astype(float)
        words = f"{article(one)} and {article(other)}"
        yield "and", f"{quoted(one)} AND {quoted(other)}", "", words, truth


def _without(rng: np.random.Generator, lie: Lie) -> Iterator[Question]:
    for a, b in _pairs(rng, lie):
        one, other = lie.names[a], lie.names[b]
        truth = (lie.there[:, a] & ~lie.there[:, b]).astype(float)
        words = f"{article(one)} and not {article(other)}"
        yield "and not", f"{quoted(one)} and not {quoted(other)}", "", words, truth
