"""Browsing choices (cameras, years, folders, months, map bounds) as a filter text and back: the app
stores that text, and the user can edit it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from indexer.folders.storage import is_url
from indexer.vectors import Match, Within
from search.browse.places import Bounds
from search.filters import EXACT, parse_filter, quoted, term_groups, term_values

YEAR = re.compile(r"\d{4}$")
MONTHS = re.compile(r"(\d{4}-\d\d)(?:\.\.(\d{4}-\d\d))?$")


@dataclass(frozen=True, slots=True)
class Choices:
    """Each field with choices must match one of its values.

    folders: absolute paths or URLs. months: the first and the last, "2021-05". rest: the rest of
    the filter, as text.
    """

    cameras: tuple[str, ...] = ()
    lenses: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    years: tuple[int, ...] = ()
    months: tuple[str, str] | None = None
    area: Bounds | None = None
    rest: str = ""


def filter_text(choices: Choices) -> str:
    """The filter text for the choices; `read_choices` parses it back exactly."""
    terms = [
        f"{name}:{'|'.join(values)}"
        for name, values in (
            ("camera", [EXACT + quoted(value) for value in choices.cameras]),
            ("lens", [EXACT + quoted(value) for value in choices.lenses]),
            ("type", list(choices.types)),
            ("in", [quoted(value) for value in choices.folders]),
            ("date", [f"{year:04}" for year in choices.years]),
            ("date", [] if choices.months is None else [_stretch(*choices.months)]),
            ("within", [] if choices.area is None else [_sides(choices.area)]),
        )
        if values
    ]
    # There are no parentheses: the choices are repeated in every alternative of the rest.
    return " | ".join(" ".join([*terms, *group]) for group in term_groups(choices.rest))


def read_choices(text: str) -> Choices:
    """The choices in a filter, and the rest of it. Raises `FilterError` for a text that cannot be
    parsed.
    """
    parse_filter(text)
    first, *others = term_groups(text)
    made: dict[str, Any] = {}
    taken: set[str] = set()
    for term in first:
        field, value = _choice(term)
        if field and field not in made and all(term in group for group in others):
            made[field] = value
            taken.add(term)
    left = [[term for term in group if term not in taken] for group in (first, *others)]
    if others and not all(left):
        return Choices(rest=text)  # one alternative is only the choices: they cannot be separated
    return Choices(**made, rest=" | ".join(" ".join(group) for group in left))


def _choice(term: str) -> tuple[str, Any]:
    """The field of `Choices` that a term fills, and its value; an empty name for any other term."""
    name, values = term_values(term)
    if name in ("camera", "lens") and all(value.startswith(EXACT) for value in values):
        field = {"camera": "cameras", "lens": "lenses"}[name]
        return field, tuple(value.removeprefix(EXACT) for value in values)
    if name == "in" and all(value.startswith("/") or is_url(value) for value in values):
        return "folders", tuple(values)
    if name == "type":
        types = parse_filter(term)
        assert isinstance(types, Match)
        return "types", types.values
    if name == "date" and all(YEAR.match(value) for value in values):
        return "years", tuple(int(value) for value in values)
    if name == "date" and len(values) == 1 and (months := MONTHS.match(values[0])):
        return "months", (months[1], months[2] or months[1])
    if name == "within" and len(values) == 1:
        area = parse_filter(term)
        assert isinstance(area, Within)
        return "area", Bounds(area.south, area.west, area.north, area.east)
    return "", None


def _stretch(first: str, last: str) -> str:
    return first if first == last else f"{first}..{last}"


def _sides(area: Bounds) -> str:
    sides = (area.south, area.west, area.north, area.east)
    return ",".join(np.format_float_positional(side, trim="-") for side in sides)
