"""Evaluate filters on the in-memory columns of all photos, with the semantics of the vector stores.
`tests/search/browse/test_index.py` compares both.

A page of a filtered collection needs all matching rows: milliseconds here, and some tenths of a
second from a store.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import numpy as np

from indexer.folders.paths import is_under
from indexer.vectors import (
    All,
    AnyOf,
    Filter,
    Has,
    Match,
    Near,
    Not,
    Range,
    Within,
    point_array,
    point_keys,
)
from search.browse.columns import BETWEEN, MISSING, TEXTS, Columns, Flags, Floats, Texts
from search.browse.places import distance_km, inside

_ID_DIGITS = 32


def mask(columns: Columns, filter: Filter) -> Flags:
    """Whether the filter keeps each row (N,), live or dead. Raises `ValueError` for a field that
    photos do not have.
    """
    match filter:
        case Match():
            return _matches(columns, filter)
        case Range(field, gte, lt):
            numbers = _numbers(columns, field)
            # Comparisons with missing values (NaN) are false.
            above = ~np.isnan(numbers) if gte is None else numbers >= gte
            return above if lt is None else above & (numbers < lt)
        case Near(lat, lon, km):
            return distance_km(columns.latitude, columns.longitude, lat, lon) <= km
        case Within():
            return inside(columns.latitude, columns.longitude, filter)
        case Has(field):
            if field in TEXTS:
                return np.not_equal(columns.texts[field].codes, MISSING)
            return ~np.isnan(_numbers(columns, field))
        case All(parts):
            return reduce(np.logical_and, (mask(columns, p) for p in parts), _all(columns, True))
        case AnyOf(parts):
            return reduce(np.logical_or, (mask(columns, p) for p in parts), _all(columns, False))
        case Not(part):
            return ~mask(columns, part)


def texts_with(texts: Texts, holds: Callable[[str], bool]) -> Flags:
    """Whether each row (N,) has a text for which `holds` is true; called once per text."""
    table = np.array([*(holds(value) for value in texts.values), False])
    return table[texts.codes]  # MISSING is the last


def parts(value: str) -> list[str]:
    """The texts that a value of a column joins, for instance folders."""
    return value.split(BETWEEN)


def _matches(columns: Columns, filter: Match) -> Flags:
    field, asked = filter.field, set(filter.values)
    if field == "folders":
        return texts_with(columns.texts[field], lambda value: _lies_in(value, asked))
    if field in TEXTS:
        return texts_with(columns.texts[field], lambda value: not asked.isdisjoint(parts(value)))
    if field == "image":
        ids = [str(value) for value in asked if len(str(value)) == _ID_DIGITS]
        rows = columns.find(point_keys(point_array(ids)))
        found = _all(columns, False)
        found[rows[rows != MISSING]] = True
        return found
    if field == "month":
        months = np.array([str(value) for value in asked], "datetime64[M]")
        return np.isin(columns.taken.astype("datetime64[M]"), months)
    return np.isin(_numbers(columns, field), [float(value) for value in asked])


def _lies_in(value: str, asked: set[str | int]) -> bool:
    return any(is_under(holder, str(folder)) for holder in parts(value) for folder in asked)


def _numbers(columns: Columns, field: str) -> Floats:
    """A numeric field (N,), NaN where it is missing."""
    if field in columns.numbers:
        return columns.numbers[field].astype(np.float64)
    if field == "place":
        return columns.latitude
    if field in ("taken", "year"):
        unit, start = ("s", 0) if field == "taken" else ("Y", 1970)
        numbers = columns.taken.astype(f"datetime64[{unit}]").astype(np.float64) + start
        return np.where(np.isnat(columns.taken), np.nan, numbers)
    raise ValueError(f"photos have no field {field!r}")


def _all(columns: Columns, value: bool) -> Flags:
    return np.full(len(columns.ids), value)
