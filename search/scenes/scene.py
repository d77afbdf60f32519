"""The data model of a composed query: things, relations, counts and negation.

    And(Chain((dog, car), ("left of",)), Not(Chain((cat,))))     # dog left of car and not cat

`search/scenes/language.py` parses scenes from text, `search/scenes/compose.py` scores them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from search.errors import QueryError
from search.query import Box, Query

Relation = Literal["left of", "right of", "above", "below", "inside", "next to"]
Size = Literal["tiny", "small", "large", "huge"]
Column = Literal["left", "centre", "right", ""]
Row = Literal["top", "centre", "bottom", ""]

MOST_COUNTED = 8
"""Maximum count: a photo is stored as a few dozen regions, which do not separate more places than
these."""


@dataclass(frozen=True, slots=True)
class Position:
    """A part of the picture; "" leaves an axis free."""

    column: Column = ""
    row: Row = ""


@dataclass(frozen=True, slots=True)
class Count:
    """From `low` to `high` distinct places, 1 <= low <= high <= `MOST_COUNTED`; None: no upper
    end.
    """

    low: int = 1
    high: int | None = None


@dataclass(frozen=True, slots=True)
class Thing:
    """Something with a place: its appearance, and its allowed position, size and count.

    `name` is its original wording. `box` (fractions of the upright picture) is its place in a
    layout.
    """

    query: Query
    name: str
    count: Count = field(default_factory=Count)
    size: Size | None = None
    position: Position | None = None
    box: Box | None = None

    @property
    def bound(self) -> bool:
        """Whether its position, size or count is given."""
        return self != Thing(self.query, self.name)


@dataclass(frozen=True, slots=True)
class Chain:
    """Things in a row, each related to the next: K things, K - 1 relations. One thing is a chain
    too.
    """

    things: tuple[Thing, ...]
    relations: tuple[Relation, ...] = ()


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: Clause


@dataclass(frozen=True, slots=True)
class And:
    """All parts hold, each with its own choice of places."""

    parts: tuple[Clause, ...]


Clause = Chain | Not | And


@dataclass(frozen=True, slots=True)
class Scene:
    """A composed query and its original wording. It must look for something: a scene with only
    negated things raises `QueryError`.
    """

    clause: Clause
    text: str

    def __post_init__(self) -> None:
        if not any(True for _ in wanted(self.clause)):
            raise QueryError(
                f"'{self.text}' only says what not to show: add something to look for."
            )

    def __str__(self) -> str:
        return self.text


def wanted(clause: Clause) -> Iterator[Chain]:
    """The chains that must be in the photo, in their written order."""
    if isinstance(clause, Chain):
        yield clause
    elif isinstance(clause, And):
        for part in clause.parts:
            yield from wanted(part)
    elif isinstance(clause.part, Not):
        yield from wanted(clause.part.part)


def things(clause: Clause) -> tuple[Thing, ...]:
    """All things, in their written order."""
    found: list[Thing] = []
    if isinstance(clause, Chain):
        found += clause.things
    else:
        for part in clause.parts if isinstance(clause, And) else (clause.part,):
            found += things(part)
    return tuple(found)


def sentence(scene: Scene) -> str:
    """The wanted things in plain words, "" if one of them contains a picture: "dog left of car and
    tree".
    """
    parts = []
    for chain in wanted(scene.clause):
        words = []
        for thing, relation in zip(chain.things, (*chain.relations, ""), strict=True):
            if thing.query.images:
                return ""
            words += [term.text for term in thing.query.texts if term.weight > 0] + [relation]
        parts.append(" ".join(words).strip())
    return " and ".join(parts)


def wanted_things(scene: Scene) -> list[Thing]:
    """The things that must be there."""
    return [thing for chain in wanted(scene.clause) for thing in chain.things]


def wanted_queries(scene: Scene) -> list[Query]:
    """The queries of the wanted things."""
    return [thing.query for thing in wanted_things(scene)]
