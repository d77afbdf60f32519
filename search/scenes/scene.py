"""The data model of a composed query: things, relations, counts, negation and alternatives.

    And(Chain((dog, car), ("left of",)), Not(Chain((cat,))))     # dog left of car and not cat

`search/scenes/language.py` parses scenes from text, `search/scenes/compose.py` scores them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from math import prod
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
MOST_ALTERNATIVES = 16
"""Maximum number of alternatives of a scene: each is scored by itself."""


@dataclass(frozen=True, slots=True)
class Position:
    """A part of the picture; "" leaves an axis free."""

    column: Column = ""
    row: Row = ""


CENTRE = Position("centre", "centre")


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


@dataclass(frozen=True, slots=True)
class Or:
    """At least one part holds."""

    parts: tuple[Clause, ...]


Clause = Chain | Not | And | Or


@dataclass(frozen=True, slots=True)
class Scene:
    """A composed query and its original wording.

    Each of its alternatives must look for something, and there may be `MOST_ALTERNATIVES`; any
    other scene raises `QueryError`.
    """

    clause: Clause
    text: str

    def __post_init__(self) -> None:
        check_ways(_ways(self.clause))
        empty = [not any(True for _ in wanted(each)) for each in alternatives(self.clause)]
        if all(empty):
            raise QueryError(
                f"'{self.text}' only says what not to show: add something to look for."
            )
        if any(empty):
            raise QueryError(
                f"One side of OR in '{self.text}' only says what not to show: add to it what to "
                "look for."
            )

    def __str__(self) -> str:
        return self.text


def alternatives(clause: Clause) -> tuple[Clause, ...]:
    """The clauses without `Or` of which one must hold, in their written order: the disjunctive
    normal form. `a AND (b OR c)` is `a AND b`, `a AND c`; `NOT (a OR b)` is `NOT a AND NOT b`.
    """
    if isinstance(clause, Chain):
        return (clause,)
    if isinstance(clause, Or):
        return tuple(each for part in clause.parts for each in alternatives(part))
    if isinstance(clause, Not):
        parts = tuple(Not(each) for each in alternatives(clause.part))
        return parts if len(parts) == 1 else (And(parts),)
    if not any(_has_or(part) for part in clause.parts):
        return (clause,)
    return tuple(And(chosen) for chosen in product(*map(alternatives, clause.parts)))


def check_ways(count: int) -> None:
    """Raise `QueryError` for more than `MOST_ALTERNATIVES` alternatives."""
    if count > MOST_ALTERNATIVES:
        raise QueryError(
            f"The query can hold in {count} ways, and at most {MOST_ALTERNATIVES} can be looked "
            "for together; use OR less often, or search for them one after the other."
        )


def _has_or(clause: Clause) -> bool:
    if isinstance(clause, Chain):
        return False
    if isinstance(clause, Not):
        return _has_or(clause.part)
    return isinstance(clause, Or) or any(_has_or(part) for part in clause.parts)


def _ways(clause: Clause) -> int:
    """The number of alternatives, without making them. A negation has one; where its part has too
    many, that number is returned.
    """
    if isinstance(clause, Chain):
        return 1
    if isinstance(clause, Not):
        inner = _ways(clause.part)
        return inner if inner > MOST_ALTERNATIVES else 1
    ways = [_ways(part) for part in clause.parts]
    return sum(ways) if isinstance(clause, Or) else prod(ways)


def wanted(clause: Clause) -> Iterator[Chain]:
    """The chains that must be in the photo, in their written order; those of all alternatives."""
    if isinstance(clause, Chain):
        yield clause
    elif isinstance(clause, And | Or):
        for part in clause.parts:
            yield from wanted(part)
    elif isinstance(clause.part, Not):
        yield from wanted(clause.part.part)


def chains(clause: Clause) -> Iterator[Chain]:
    """All chains, in their written order."""
    if isinstance(clause, Chain):
        yield clause
    else:
        for part in clause.parts if isinstance(clause, And | Or) else (clause.part,):
            yield from chains(part)


def things(clause: Clause) -> tuple[Thing, ...]:
    """All things, in their written order."""
    return tuple(thing for chain in chains(clause) for thing in chain.things)


def excludes(clause: Clause) -> bool:
    """Whether something is negated."""
    if isinstance(clause, Not):
        return True
    return isinstance(clause, And | Or) and any(map(excludes, clause.parts))


def alone(clause: Clause) -> Thing | None:
    """The thing of a clause that is nothing but one thing without a place, size or count."""
    if isinstance(clause, Chain) and len(clause.things) == 1 and not clause.things[0].bound:
        return clause.things[0]
    return None


def sentence(clause: Clause) -> str:
    """The wanted things of an alternative in plain words, "" if one of them contains a picture:
    "dog left of car and tree".
    """
    parts = []
    for chain in wanted(clause):
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
