"""Pairs of pictures that differ in one relation only, drawn for `bench/relations.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tips_model.train.scenes.backgrounds import plan_backgrounds
from tips_model.train.scenes.compose import Composer
from tips_model.train.scenes.concepts import NAMES, PLURAL, article
from tips_model.train.scenes.plan import ScenePlan

SIDE = 288
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
NUMBER_WORDS = ("zero", "one", "two", "three", "four")
GRID = (
    ("top left", "top", "top right"),
    ("left", "centre", "right"),
    ("bottom left", "bottom", "bottom right"),
)
SIDES = {"tiny": 0.08, "small": 0.2, "large": 0.5, "huge": 0.8}
OPPOSITE = {"tiny": "large", "small": "huge", "large": "tiny", "huge": "small"}


@dataclass(frozen=True, slots=True)
class Item:
    """One drawing in a picture: its concept, centre (x, y) and side as fractions of the picture."""

    concept: int
    x: float
    y: float
    side: float


@dataclass(frozen=True, slots=True)
class Pair:
    """Two arrangements of the same things, of which the first fulfils the query."""

    relation: str
    query: str
    sentence: str
    right: tuple[Item, ...]
    wrong: tuple[Item, ...]


def make_pairs(rng: np.random.Generator, concepts: Ints, count: int) -> list[Pair]:
    """`count` pairs for each relation."""
    pairs = []
    for make in (*(_side_by_side(name) for name in SENTENCES), *OTHERS):
        for _ in range(count):
            chosen = rng.choice(concepts, 3, replace=False)
            pairs.append(make(rng, *(int(concept) for concept in chosen)))
    return pairs


SENTENCES = {
    "left of": "to the left of",
    "right of": "to the right of",
    "above": "above",
    "below": "below",
}


def _side_by_side(relation: str) -> Callable[..., Pair]:
    def make(rng: np.random.Generator, a: int, b: int, _: int) -> Pair:
        side = rng.uniform(0.34, 0.46, 2)
        near, far = rng.uniform(0.23, 0.27), rng.uniform(0.73, 0.77)
        across = rng.uniform(0.35, 0.65, 2)
        ends = (near, far) if relation in ("left of", "above") else (far, near)
        level = relation in ("left of", "right of")

        def item(concept: int, number: int, along: float) -> Item:
            place = (along, across[number]) if level else (across[number], along)
            return Item(concept, *place, side[number])

        return Pair(
            relation,
            f"{name_of(a)} {relation} {name_of(b)}",
            f"{article(NAMES[a])} {SENTENCES[relation]} {article(NAMES[b])}",
            (item(a, 0, ends[0]), item(b, 1, ends[1])),
            (item(a, 0, ends[1]), item(b, 1, ends[0])),
        )

    return make


def _inside(rng: np.random.Generator, a: int, b: int, _: int) -> Pair:
    x, y = rng.uniform(0.34, 0.37), rng.uniform(0.4, 0.6)
    large, small = rng.uniform(0.62, 0.68), rng.uniform(0.24, 0.3)
    around = Item(b, x, y, large)
    return Pair(
        "inside",
        f"{name_of(a)} inside {name_of(b)}",
        f"{article(NAMES[a])} inside {article(NAMES[b])}",
        (around, Item(a, x, y, small)),
        (around, Item(a, 0.84, y, small)),
    )


def _next_to(rng: np.random.Generator, a: int, b: int, _: int) -> Pair:
    side = rng.uniform(0.28, 0.34, 2)
    y = rng.uniform(0.25, 0.75)
    first = Item(a, 0.18, y, side[0])
    near = 0.18 + side.sum() / 2 + rng.uniform(0, 0.03)
    return Pair(
        "next to",
        f"{name_of(a)} next to {name_of(b)}",
        f"{article(NAMES[a])} next to {article(NAMES[b])}",
        (first, Item(b, near, y, side[1])),
        (first, Item(b, 0.82, y, side[1])),
    )


def _position(rng: np.random.Generator, a: int, b: int, _: int) -> Pair:
    here, there = rng.choice(9, 2, replace=False)
    side = rng.uniform(0.28, 0.33, 2)
    places = [(1 / 6 + (cell % 3) / 3, 1 / 6 + (cell // 3) / 3) for cell in (here, there)]
    at = where(GRID[here // 3][here % 3])
    return Pair(
        "position",
        f"{name_of(a)} {at}",
        f"{article(NAMES[a])} {at}",
        (Item(a, *places[0], side[0]), Item(b, *places[1], side[1])),
        (Item(a, *places[1], side[0]), Item(b, *places[0], side[1])),
    )


def _size(rng: np.random.Generator, a: int, b: int, _: int) -> Pair:
    size = str(rng.choice(list(SIDES)))
    other = Item(b, rng.uniform(0.15, 0.85), 0.13, 0.22)
    x, y = rng.uniform(0.4, 0.6), rng.uniform(0.6, 0.65)
    return Pair(
        "size",
        f"{size.upper()} {name_of(a)}",
        f"a {size} {NAMES[a]}",
        (other, Item(a, x, y, SIDES[size])),
        (other, Item(a, x, y, SIDES[OPPOSITE[size]])),
    )


def _count(rng: np.random.Generator, a: int, b: int, _: int) -> Pair:
    few, many = ((1, 2), (1, 3), (2, 4), (1, 4))[rng.integers(4)]
    exact, reverse = rng.random() < 0.5, rng.random() < 0.5
    right, wrong = (few, many) if exact and reverse else (many, few)
    cells = rng.permutation([(0.27, 0.27), (0.73, 0.27), (0.27, 0.73), (0.73, 0.73)])
    items = [
        Item(a, *(cell + rng.uniform(-0.04, 0.04, 2)), rng.uniform(0.28, 0.36)) for cell in cells
    ]
    words = NAMES[a] if a in PLURAL or right == 1 else f"{NAMES[a]}s"
    return Pair(
        "count",
        f"{'=' if exact else '>='}{right} {name_of(a)}",
        f"{NUMBER_WORDS[right]} {words}",
        tuple(items[:right]),
        tuple(items[:wrong]),
    )


def _without(rng: np.random.Generator, a: int, b: int, c: int) -> Pair:
    side = rng.uniform(0.34, 0.46, 2)
    y = rng.uniform(0.3, 0.7, 2)
    places = [0.26, 0.74] if rng.random() < 0.5 else [0.74, 0.26]
    first = Item(a, places[0], y[0], side[0])
    return Pair(
        "and not",
        f"{name_of(a)} and not {name_of(b)}",
        f"{article(NAMES[a])} and not {article(NAMES[b])}",
        (first, Item(c, places[1], y[1], side[1])),
        (first, Item(b, places[1], y[1], side[1])),
    )


OTHERS = (_inside, _next_to, _position, _size, _count, _without)


def name_of(concept: int) -> str:
    """A concept's name as the language takes it."""
    return quoted(NAMES[concept])


def quoted(name: str) -> str:
    """A name as the language takes it: in quotes where it has several words."""
    return f'"{name}"' if " " in name else name


def where(position: str) -> str:
    """A position of `GRID` behind a thing: "on the left"."""
    word = {"left": "on", "right": "on", "top": "at", "bottom": "at"}.get(position, "in")
    return f"{word} the {position}"


def draw(
    rng: np.random.Generator,
    composer: Composer,
    scenes: Sequence[Sequence[Item]],
    drawings: Sequence[dict[int, int]],
    seeds: Sequence[int],
) -> Iterator[npt.NDArray[np.uint8]]:
    """The pictures (H, W, 3) of scenes; equal seeds give the same background, turn and tone."""
    for items, drawing, seed in zip(scenes, drawings, seeds, strict=True):
        own = np.random.default_rng(seed)
        background = plan_backgrounds(own, 1)
        turn = {concept: own.uniform(-0.2, 0.2) for concept in sorted(drawing)}
        shape = (1, len(items))
        plan = ScenePlan(
            count=np.array([len(items)]),
            drawing=np.array([[drawing[item.concept] for item in items]]),
            concept=np.array([[item.concept for item in items]]),
            hue=np.zeros(shape, np.int64),
            size=np.array([[item.side for item in items]]),
            centre=np.array([[(item.x, item.y) for item in items]]),
            angle=np.array([[turn[item.concept] for item in items]]),
            stretch=np.ones(shape),
            flip=np.zeros(shape, bool),
            tone=np.tile([0.0, 1.0, 1.0], (*shape, 1)),
            seed=np.array([seed]),
            background=background,
        )
        yield composer.draw(plan, SIDE, SIDE).images[0].transpose(1, 2, 0)
