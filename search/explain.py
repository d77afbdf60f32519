"""Explain how a text is read: `explain("dog left of car and no cat")`, without a search or a model.

An `Explanation` has the reading in one line, the same as a structure, and in plain English. The
line is a query again, with all signs in capitals and all texts in quotes: it is read as the text
was.

    "dog" left of "car" AND NOT "cat"
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from search.filters import parse_filter, term_groups
from search.query import Query
from search.scenes.language import parse
from search.scenes.scene import (
    CENTRE,
    And,
    Chain,
    Clause,
    Count,
    Not,
    Or,
    Position,
    Scene,
    Thing,
)
from search.typed_filters import typed_filters

Role = Literal[
    "text",
    "weight",
    "thing",
    "count",
    "size",
    "position",
    "relation",
    "not",
    "and",
    "or",
    "filter",
]


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a reading: its role, its text, and the parts that it consists of.

    `text`, a text that is searched for, has a `weight` where it is not 1; `thing` consists of its
    texts and what binds it (`count`, `size`, `position`); `relation` stands between the two things
    that it relates; `not` has one part, `and` and `or` several.
    """

    role: Role
    text: str
    parts: tuple[Part, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """`{"role", "text"}`, and "parts" where there are any."""
        found: dict[str, Any] = {"role": self.role, "text": self.text}
        return found | ({"parts": [part.to_dict() for part in self.parts]} if self.parts else {})


@dataclass(frozen=True, slots=True)
class Explanation:
    """How a query is read. `plain`: as a text, or as weighted texts, without things in places.

    `reading` is the canonical line. `parts` are joined by "and". `lines` say them in plain English,
    one short line each. `filters` are the filter terms found in the text; `notes` are sentences
    about words that look like filters or dates.
    """

    query: str
    reading: str
    plain: bool
    parts: tuple[Part, ...]
    lines: tuple[str, ...]
    filters: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """All fields, as in the command line's JSON."""
        return {
            "query": self.query,
            "reading": self.reading,
            "plain": self.plain,
            "parts": [part.to_dict() for part in self.parts],
            "lines": list(self.lines),
            "filters": list(self.filters),
            "notes": list(self.notes),
        }


def explain(text: str, places: bool = False) -> Explanation:
    """How a text is read. `places`: searching for places, not photos. Raises `QueryError`, and
    `FilterError` for a filter in it.
    """
    typed = typed_filters(text)
    parse_filter(typed.filter)
    filters = tuple(term for group in term_groups(typed.filter) for term in group)
    told = [f"only photos with {term}" for term in filters]
    own = tuple(Part("filter", term) for term in filters)
    if filters and not typed.words:
        return Explanation(text, "", True, own, tuple(told), filters, typed.notes)
    asked = parse(typed.words, places=places)
    if isinstance(asked, Query):
        parts, lines, plain = _texts(asked), list(_plain_lines(asked)), True
    else:
        clauses = asked.clause.parts if isinstance(asked.clause, And) else (asked.clause,)
        parts = tuple(part for clause in clauses for part in _parts(clause))
        lines, plain = [_said(clause) for clause in clauses], False
    lines += told
    return Explanation(
        text, canonical(asked), plain, (*parts, *own), tuple(lines), filters, typed.notes
    )


def canonical(asked: Query | Scene) -> str:
    """A query in one line, which is read as the same query: signs in capitals, texts in quotes."""
    return _written(asked) if isinstance(asked, Query) else _clause(asked.clause)


def _written(query: Query) -> str:
    """A plain query, or that of a thing, with its texts in quotes."""
    line = ""
    for weight, name in _weighted(query):
        sign = "- " if weight < 0 else "+ " if line else ""
        size = "" if abs(weight) == 1 else f"{abs(weight):g}:"
        line += f"{' ' if line else ''}{sign}{size}{name}"
    return line


def _weighted(query: Query) -> Iterator[tuple[float, str]]:
    yield from ((term.weight, f'"{" ".join(term.text.split())}"') for term in query.texts)
    yield from ((term.weight, str(term)) for term in query.images)


def _clause(clause: Clause, inside: type[Clause] | None = None) -> str:
    """A clause; in parentheses where it is a part of one that binds closer."""
    if isinstance(clause, Chain):
        words = [_thing(clause.things[0])]
        for relation, thing in zip(clause.relations, clause.things[1:], strict=True):
            words += [relation, _thing(thing)]
        return f"({' '.join(words)})" if inside is Not and len(words) > 1 else " ".join(words)
    if isinstance(clause, Not):
        return f"NOT {_clause(clause.part, Not)}"
    joint = " AND " if isinstance(clause, And) else " OR "
    line = joint.join(_clause(part, type(clause)) for part in clause.parts)
    bare = inside is None or (isinstance(clause, And) and inside is Or)
    return line if bare else f"({line})"


def _thing(thing: Thing) -> str:
    words = [_written(thing.query)]
    if thing.size is not None:
        words.insert(0, thing.size.upper())
    if thing.count != Count():
        words.insert(0, _number(thing.count))
    if thing.position is not None:
        words.append(_position(thing.position).upper())
    return " ".join(words)


def _number(count: Count) -> str:
    if count.high is None:
        return f">={count.low}"
    if count.low == count.high:
        return f"={count.low}"
    return f"<={count.high}" if count.low == 1 else f"between {count.low} and {count.high}"


def _position(position: Position) -> str:
    """Row and column in one or two words: "top left", "right centre"."""
    if position == CENTRE:
        return "centre"
    if position.row == "centre":
        return f"{position.column} centre".strip()
    return f"{position.row} {position.column}".strip()


def _texts(query: Query) -> tuple[Part, ...]:
    return tuple(
        Part("text", name, () if weight == 1 else (Part("weight", f"{weight:g}"),))
        for weight, name in (
            *((term.weight, term.text) for term in query.texts),
            *((term.weight, str(term)) for term in query.images),
        )
    )


def _parts(clause: Clause) -> tuple[Part, ...]:
    if isinstance(clause, Chain):
        found = [_thing_part(clause.things[0])]
        for relation, thing in zip(clause.relations, clause.things[1:], strict=True):
            found += [Part("relation", relation), _thing_part(thing)]
        return tuple(found)
    if isinstance(clause, Not):
        return (Part("not", "not", _parts(clause.part)),)
    role: Role = "and" if isinstance(clause, And) else "or"
    inner = [_parts(part) for part in clause.parts]
    return (Part(role, role, tuple(p[0] if len(p) == 1 else Part("and", "and", p) for p in inner)),)


def _thing_part(thing: Thing) -> Part:
    parts = list(_texts(thing.query))
    if thing.count != Count():
        parts.append(Part("count", _counted(thing.count)))
    if thing.size is not None:
        parts.append(Part("size", thing.size))
    if thing.position is not None:
        parts.append(Part("position", _position(thing.position)))
    return Part("thing", thing.name, tuple(parts))


def _plain_lines(query: Query) -> Iterator[str]:
    weighted = list(_weighted(query))
    for number, (weight, name) in enumerate(weighted):
        if len(weighted) == 1 and weight == 1:
            yield f"as text: {name}"
        else:
            much = "" if abs(weight) == 1 else f", {abs(weight):g} times"
            yield f"{'less of' if weight < 0 else 'more of' if number else 'find'} {name}{much}"


def _said(clause: Clause) -> str:
    if isinstance(clause, Not):
        return f"leave out {_english(clause.part)}"
    return f"find {_english(clause)}"


def _english(clause: Clause) -> str:
    if isinstance(clause, Chain):
        words = [_described(clause.things[0])]
        for relation, thing in zip(clause.relations, clause.things[1:], strict=True):
            words += [relation, _described(thing)]
        return " ".join(words)
    if isinstance(clause, Not):
        return f"no {_english(clause.part)}"
    if isinstance(clause, Or):
        return _joined([_english(part) for part in clause.parts], "or")
    return _joined([_english(part) for part in clause.parts], "and")


def _joined(words: Sequence[str], joint: str) -> str:
    return f"{', '.join(words[:-1])} {joint} {words[-1]}"


def _described(thing: Thing) -> str:
    words = [_counted(thing.count)] if thing.count != Count() else []
    words += [thing.size] if thing.size is not None else []
    words.append(_written(thing.query))
    if thing.position is not None:
        position = _position(thing.position)
        words.append(f"{'on' if position in ('left', 'right') else 'at'} the {position}")
    return " ".join(words)


def _counted(count: Count) -> str:
    if count.high is None:
        return f"at least {count.low}"
    if count.low == count.high:
        return f"exactly {count.low}"
    return f"at most {count.high}" if count.low == 1 else f"{count.low} to {count.high}"
