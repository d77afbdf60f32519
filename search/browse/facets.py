"""Facet counts: photos per camera, lens, year, type and folder, under the current choices and among
the photos that a search found.

As in online shops, the counts of a field ignore the choices in that field, so that they show what
another choice would give. Each costs a few milliseconds for 100,000 photos.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np

from indexer.names import comparable
from search.browse.columns import Rows, Texts
from search.browse.filter import parts
from search.browse.index import PhotoIndex
from search.browse.selection import Choices, filter_text

Field = Literal["cameras", "lenses", "years", "types"]
FIELDS: tuple[Field, ...] = get_args(Field)
_COLUMNS = {"cameras": "camera", "lenses": "lens", "types": "type"}


@dataclass(frozen=True, slots=True)
class FacetValue:
    """A value of a field, its number of photos, and whether it is chosen."""

    value: str | int
    count: int
    chosen: bool


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder with the number of photos in it and below; `deeper`: some are in subfolders."""

    path: str
    count: int
    deeper: bool

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rsplit("/", 1)[1] or "/"


def narrowed(
    index: PhotoIndex, choices: Choices, rows: Rows | None = None, *, without: str = ""
) -> Rows:
    """The rows (None: all photos) that the choices keep, in their order, ignoring the choice in the
    field `without`. Raises `FilterError` where `choices.rest` cannot be parsed.
    """
    kept = replace(choices, **{without: getattr(Choices(), without)}) if without else choices
    return index.matching(filter_text(kept), rows)


def spelled(index: PhotoIndex, choices: Choices) -> Choices:
    """The choices with the names of cameras, lenses and folders as the collection spells them, so
    that a typed one is the value that is counted.
    """
    return replace(
        choices,
        cameras=index.spelled("camera", choices.cameras),
        lenses=index.spelled("lens", choices.lenses),
        folders=index.spelled("folders", choices.folders),
    )


def facets(
    index: PhotoIndex, choices: Choices, rows: Rows | None = None, limit: int = 100
) -> dict[Field, tuple[FacetValue, ...]]:
    """The `limit` most frequent values of each field, most frequent first; years in descending
    order.

    rows: the photos that a search without these choices found; None for all. Chosen values are
    always included, with 0 if nothing has them.
    """
    choices = spelled(index, choices)
    return {field: _facet(index, choices, field, rows, limit) for field in FIELDS}


def subfolders(index: PhotoIndex, folder: str, rows: Rows | None = None) -> list[Folder]:
    """The direct subfolders of a folder that hold some of the photos, by name."""
    counts: dict[str, int] = {}
    deep: set[str] = set()
    prefix = folder.rstrip("/") + "/"
    for lowest, count in _holders(index, rows):
        below = [holder.removeprefix(prefix) for holder in lowest if holder.startswith(prefix)]
        for name in {each.split("/", 1)[0] for each in below if each}:
            counts[name] = counts.get(name, 0) + count
        deep.update(each.split("/", 1)[0] for each in below if "/" in each)
    names = sorted(counts, key=lambda name: (comparable(name), name))
    return [Folder(prefix + name, counts[name], name in deep) for name in names]


def folder(index: PhotoIndex, path: str, rows: Rows | None = None) -> Folder:
    """A folder, for instance a root of the collection, with its count."""
    count, deeper, prefix = 0, False, path.rstrip("/") + "/"
    for lowest, photos in _holders(index, rows):
        below = [holder for holder in lowest if f"{holder}/".startswith(prefix)]
        count += photos if below else 0
        deeper |= any(holder != path for holder in below)
    return Folder(path, count, deeper)


def _facet(
    index: PhotoIndex, choices: Choices, field: Field, rows: Rows | None, limit: int
) -> tuple[FacetValue, ...]:
    kept, chosen = narrowed(index, choices, rows, without=field), getattr(choices, field)
    counts: dict[Any, int]
    if field == "years":
        counts = {}
        for month in index.months(kept):
            counts[month.year] = counts.get(month.year, 0) + month.count
    else:
        counts = dict(_count(index.columns.texts[_COLUMNS[field]], kept))
    counts |= {value: 0 for value in chosen if value not in counts}
    found = sorted(counts, key=lambda value: (-counts[value], str(value)))
    found = [value for place, value in enumerate(found) if place < limit or value in chosen]
    if field == "years":
        found.sort(reverse=True)
    return tuple(FacetValue(value, counts[value], value in chosen) for value in found)


def _count(texts: Texts, rows: Rows) -> Iterator[tuple[str, int]]:
    """Each text that occurs in the rows, and its count."""
    counts = np.bincount(texts.codes[rows] + 1, minlength=len(texts.values) + 1)[1:]
    for code in np.flatnonzero(counts):
        yield texts.values[code], int(counts[code])


def _holders(index: PhotoIndex, rows: Rows | None) -> Iterator[tuple[list[str], int]]:
    """The folders that hold the files of some photos, and their numbers of photos."""
    rows = index.matching(None) if rows is None else rows
    found = _count(index.columns.texts["folders"], rows)
    return ((parts(value), count) for value, count in found)
