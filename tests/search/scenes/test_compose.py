"""Scores of scenes against a slow reference that tries every choice of regions, one photo at a
time.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from search.scenes.compose import (
    CONTEST,
    LAID_OUT,
    USUAL,
    WHOLE,
    WORST,
    Board,
    counted_places,
    evaluate,
    fulfilling,
    links,
)
from search.scenes.language import parse
from search.scenes.relations import RELATIONS, at, placed
from search.scenes.scene import (
    And,
    Chain,
    Clause,
    Not,
    Scene,
    Thing,
    alternatives,
    things,
    wanted,
)
from search.scenes.search import score

PHOTOS, REGIONS = 7, 6


def clause_of(text: str) -> Clause:
    asked = parse(text)
    assert isinstance(asked, Scene)
    return asked.clause


def random_board(clause: Clause, seed: int) -> Board:
    """Boxes and scores at random; the last two regions of every other photo are padding."""
    rng = np.random.default_rng(seed)
    low = rng.random((PHOTOS, REGIONS, 2)) * 0.7
    boxes = np.concatenate([low, low + 0.05 + 0.25 * rng.random(low.shape)], axis=2)
    boxes[::2, -2:] = 0
    scores = {}
    for thing in things(clause):
        scores[id(thing)] = rng.normal(0.5, 2, (PHOTOS, REGIONS)).astype(np.float32)
        scores[id(thing)][::2, -2:] = -np.inf
    return Board(boxes, scores, rng.normal(0, 1, PHOTOS).astype(np.float32))


def degrees(chain: Chain, board: Board, photo: int, choice: tuple[int, ...]) -> list[float]:
    """How well a choice of regions holds to the relations, positions and boxes of a chain."""
    boxes = board.boxes[photo]
    found = [
        float(RELATIONS[relation](boxes[a], boxes[b]))
        for relation, a, b in zip(chain.relations, choice, choice[1:], strict=False)
    ]
    for thing, region in zip(chain.things, choice, strict=True):
        if thing.position is not None:
            found.append(float(at(boxes[region], thing.position)))
        if thing.box is not None:
            found.append(float(placed(boxes[region], np.array(thing.box))))
    return found


def choices(chain: Chain, board: Board, photo: int) -> list[tuple[int, ...]]:
    """All choices of regions; of distinct places only for things with a position and those that
    have others inside.
    """
    allowed = []
    for number, thing in enumerate(chain.things):
        there = np.flatnonzero(np.isfinite(board.of(thing)[photo]))
        if thing.position is not None or "inside" in chain.relations[max(number - 1, 0) : number]:
            places = counted_places(board.boxes, board.of(thing))
            there = places.regions[photo][places.there[photo]]
        allowed.append(there.tolist())
    return list(product(*allowed))


def slow_links(clause: Clause, board: Board, photo: int) -> float:
    if isinstance(clause, Not):
        return 2 - slow_links(clause.part, board, photo)
    if isinstance(clause, And):
        return min(slow_links(part, board, photo) for part in clause.parts)
    return max(
        min(
            *(float(board.of(t)[photo, r]) for t, r in zip(clause.things, choice, strict=True)),
            *(2 * degree for degree in degrees(clause, board, photo, choice)),
            np.inf,
        )
        for choice in choices(clause, board, photo)
    )


def slow_evidence(clause: Clause, board: Board, photo: int) -> float:
    """For clauses whose negated parts are single chains."""
    every = things(clause)

    def contested(thing: Thing, region: int) -> float:
        own, *rivals = (
            max(float(board.of(each)[photo, region]), WORST)
            for each in sorted(every, key=lambda each: each is not thing)
        )
        return own - CONTEST * (max(rivals) - USUAL) if rivals else own

    def best(chain: Chain, count: int) -> float:
        return max(
            sum(contested(t, r) for t, r in zip(chain.things, choice, strict=True)) / count
            + sum(2 * degree - 2 for degree in degrees(chain, board, photo, choice))
            for choice in choices(chain, board, photo)
        )

    chains = list(wanted(clause))
    count = sum(len(chain.things) for chain in chains)
    total = sum(best(chain, count) for chain in chains)
    for part in clause.parts if isinstance(clause, And) else ():
        if isinstance(part, Not):
            assert isinstance(part.part, Chain)
            total -= CONTEST * (max(best(part.part, len(part.part.things)), WORST) - USUAL)
    there = np.flatnonzero(np.isfinite(board.of(every[0])[photo]))
    apart = [max(contested(t, r) for r in there) for chain in chains for t in chain.things]
    laid_out = LAID_OUT * (total - float(np.mean(apart)))
    return total + laid_out + WHOLE * float(board.whole[photo])


SCENES = [
    "a left of b",
    "a above b right of c",
    "a inside b",
    "a next to b and c",
    "a top left",
    "a AND b in the centre",
    "a and not b",
    "a left of b and not c below d",
    "NOT a AND b",
]


@pytest.mark.parametrize("text", SCENES)
@pytest.mark.parametrize("seed", range(3))
def test_scores_are_those_of_the_best_of_all_choices(text: str, seed: int) -> None:
    clause = clause_of(text)
    board = random_board(clause, seed)
    weakest = [slow_links(clause, board, photo) for photo in range(PHOTOS)]
    np.testing.assert_allclose(links(clause, board), weakest, rtol=1e-5, atol=1e-5)
    scores = evaluate(clause, board)
    evidence = np.array([slow_evidence(clause, board, photo) for photo in range(PHOTOS)])
    sure = np.array(weakest) >= 1
    assert ((scores >= 1) == sure).all()
    np.testing.assert_allclose(scores[sure], np.maximum(evidence[sure], 1), rtol=1e-4)
    low = ~sure & (evidence < 0.9)
    np.testing.assert_allclose(scores[low], evidence[low], rtol=1e-4, atol=1e-4)
    for side in (sure, ~sure):  # in the order of evidence on both sides of the line
        ordered = scores[side][np.argsort(evidence[side])]
        assert (np.diff(ordered) >= 0).all()


@pytest.mark.parametrize("text", SCENES[:6])
def test_how_regions_serve_is_the_best_choice_through_them(text: str) -> None:
    clause = clause_of(text)
    board = random_board(clause, 5)
    for chain in wanted(clause):
        for place, served in enumerate(fulfilling(chain, board)):
            for photo in range(PHOTOS):
                expected = np.full(REGIONS, -np.inf)
                for choice in choices(chain, board, photo):
                    things_then = zip(chain.things, choice, strict=True)
                    parts = [float(board.of(thing)[photo, r]) for thing, r in things_then]
                    parts += [2 * degree for degree in degrees(chain, board, photo, choice)]
                    value = min(parts)
                    expected[choice[place]] = max(expected[choice[place]], value)
                np.testing.assert_allclose(served[photo], expected, rtol=1e-5, atol=1e-5)


def row_board(thing: Thing, scores: list[float]) -> Board:
    """One photo with regions side by side that do not overlap."""
    edges = np.arange(len(scores)) / 10
    boxes = np.stack([edges, edges * 0, edges + 0.08, edges * 0 + 0.08], axis=1)
    return Board(boxes[None], {id(thing): np.array([scores], "f")}, np.zeros(1, "f"))


@pytest.mark.parametrize(
    ("text", "scores", "link"),
    [
        (">=2 a", [3.0, 1.5, -1.0], 1.5),
        (">=3 a", [3.0, 1.5, -1.0], -1.0),
        (">=4 a", [3.0, 1.5, -1.0], WORST),  # there are only three places
        ("=2 a", [3.0, 1.5, 0.2], 1.5),
        ("=1 a", [3.0, 1.5, 0.2], 0.5),  # 2 - the second place's
        ("=3 a", [3.0, 1.5, 1.2], 1.2),
        ("<=2 a", [3.0, 1.5, 0.8], 1.2),  # 2 - the third place's
        ("<=2 a", [0.5, -1.0, -1.0], 0.5),  # one at least
    ],
)
def test_counts_go_by_the_last_place_that_counts_and_the_first_that_must_not(
    text: str, scores: list[float], link: float
) -> None:
    clause = clause_of(text)
    (thing,) = things(clause)
    assert links(clause, row_board(thing, scores))[0] == pytest.approx(link)


def test_nested_regions_are_one_place_when_counted() -> None:
    (thing,) = things(clause_of(">=2 a"))
    boxes = np.array([[(0.1, 0.1, 0.3, 0.3), (0.1, 0.1, 0.35, 0.35), (0.6, 0.6, 0.8, 0.8)]])
    scores = np.array([[2.0, 1.9, 1.5]], "f")
    places = counted_places(boxes, scores)
    assert places.there[0].sum() == 2
    assert places.scores[0, :2].tolist() == pytest.approx([1.9, 1.5])
    board = Board(boxes, {id(thing): scores}, np.zeros(1, "f"))
    assert links(Chain((thing,)), board)[0] == pytest.approx(1.5)


@pytest.mark.parametrize("seed", range(3))
def test_a_scene_is_as_good_as_the_best_of_its_alternatives(seed: int) -> None:
    clause = clause_of("(a OR b) left of c OR d AND NOT (a OR b)")
    board = random_board(clause, seed)
    chain_1, chain_2, third = alternatives(clause)
    assert isinstance(third, And)
    assert [type(part) for part in third.parts] == [Chain, And]
    each = [evaluate(one, board) for one in (chain_1, chain_2, third)]
    np.testing.assert_array_equal(score(clause, [board] * 3), np.max(each, axis=0))
    confident = score(clause, [board] * 3) >= 1
    np.testing.assert_array_equal(
        confident, np.max([links(one, board) for one in (chain_1, chain_2, third)], axis=0) >= 1
    )


def test_alternatives_without_places_keep_their_scores_among_photos() -> None:
    clause = clause_of("a OR b")
    a, b = things(clause)
    board = random_board(clause, 0)
    photos = {id(a): np.arange(PHOTOS, dtype="f"), id(b): np.ones(PHOTOS, "f")}
    board = replace(board, photos=photos)
    assert score(clause, [board, board]).tolist() == [1, 1, 2, 3, 4, 5, 6]
    excluding = And((Chain((a,)), Not(Chain((b,)))))
    assert links(excluding, board).tolist() == [0, 1, 1, 1, 1, 1, 1]


def test_counted_things_must_each_be_related() -> None:
    clause = clause_of(">=2 a left of b")
    a, b = things(clause)
    edges = np.array([0.0, 0.2, 0.5, 0.8])
    boxes = np.stack([edges, edges * 0, edges + 0.1, edges * 0 + 0.1], axis=1)
    scores = {
        id(a): np.array([[2.0, -1.0, -1.0, 1.6]], "f"),
        id(b): np.array([[-1.0, -1.0, 1.8, -1.0]], "f"),
    }
    assert links(clause, Board(boxes[None], scores, np.zeros(1, "f")))[0] < 1  # one is to the right
    scores[id(a)] = np.array([[2.0, 1.6, -1.0, -1.0]], "f")
    found = links(clause, Board(boxes[None], scores, np.zeros(1, "f")))
    assert found[0] == pytest.approx(1.6)


def test_a_part_of_a_huge_thing_is_not_a_tiny_one() -> None:
    clause = clause_of("TINY a")
    (thing,) = things(clause)
    boxes = np.array([[(0.0, 0.0, 0.8, 0.8), (0.1, 0.1, 0.15, 0.15)]])
    whole = Board(boxes, {id(thing): np.array([[2.0, 1.99]], "f")}, np.zeros(1, "f"))
    assert links(clause, whole)[0] == pytest.approx(0)
    alone = Board(boxes, {id(thing): np.array([[-3.0, 2.0]], "f")}, np.zeros(1, "f"))
    assert links(clause, alone)[0] == pytest.approx(2)
