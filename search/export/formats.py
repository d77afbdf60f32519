"""Stream a whole answer as CSV or JSON: hits are read page by page and written as they come.

    with open("hits.csv", "wb") as file:
        file.writelines(encoded(CsvFormat(), hits_of(ask)))

A format receives one hit at a time and returns bytes, so that an answer of any length takes the
memory of a page, and several files can be written in one pass. The COCO format is in
`search/export/coco.py`, copies of the photos are in `search/export/files.py`.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from search.hits import Hit, Results

Ask = Callable[[int, int], Results]
"""A query without its page: (limit, offset) -> that page of the answer."""

PAGE = 500
"""Hits read at a time: each has masks of a few kB."""
CSV_COLUMNS = (
    *("id", "path", "score", "confident", "width", "height", "regions"),
    *("taken", "camera", "latitude", "longitude", "keywords"),
)
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


class Format(Protocol):
    """A file format that is written hit by hit; one object writes one file."""

    def head(self) -> Iterable[bytes]:
        """The bytes before the hits."""
        ...

    def hit(self, hit: Hit) -> Iterable[bytes]:
        """The bytes of the next hit."""
        ...

    def tail(self) -> Iterable[bytes]:
        """The bytes after the hits."""
        ...


def encoded(format: Format, hits: Iterable[Hit]) -> Iterator[bytes]:
    """The file as chunks of bytes, each made on demand."""
    yield from format.head()
    for hit in hits:
        yield from format.hit(hit)
    yield from format.tail()


def pages_of(
    ask: Ask, *, limit: int | None = None, all: bool = False, page: int = PAGE
) -> Iterator[Results]:
    """An answer in pages, at least one.

    `limit` is the maximum number of ranks to read; None reads all confident hits, or with `all`,
    for an `ask` that includes weak hits, every photo. A page lacks hits whose files are gone.
    """
    offset = 0
    while True:
        size = page if limit is None else min(page, limit - offset)
        results = ask(size, offset)
        yield results
        offset += size
        if offset == limit or offset >= (results.total if all else results.confident):
            return


def hits_of(
    ask: Ask, *, limit: int | None = None, all: bool = False, page: int = PAGE
) -> Iterator[Hit]:
    """All hits of an answer, best first; arguments as for `pages_of`."""
    for results in pages_of(ask, limit=limit, all=all, page=page):
        yield from results.hits


class CsvFormat:
    """A table in UTF-8 (RFC 4180) with the columns `CSV_COLUMNS`; the regions are JSON text, the
    keywords a list with semicolons, and what is unknown is empty.

    A text that a spreadsheet would run as a formula gets an apostrophe prefix (see `plain_cell`).
    """

    def head(self) -> Iterable[bytes]:
        """The header row."""
        return [_csv_line(CSV_COLUMNS)]

    def hit(self, hit: Hit) -> Iterable[bytes]:
        """One row. The path is in its reversible text form (`indexer/folders/paths.py`)."""
        row = hit.to_dict() | {"width": hit.width, "height": hit.height}
        row["confident"] = str(hit.confident).lower()
        row["regions"] = _json(row["regions"])
        row["keywords"] = "; ".join(hit.keywords)
        return [_csv_line([row[name] for name in CSV_COLUMNS])]

    def tail(self) -> Iterable[bytes]:
        """Empty."""
        return []


class JsonFormat:
    """The JSON of `Results.to_dict` for a whole answer, one hit a line, and no next page. `total`:
    the photos of the answer, if known.
    """

    def __init__(self, query: str, model: str, total: int | None = None) -> None:
        self._heading: dict[str, Any] = {"query": query, "model": model}
        if total is not None:
            self._heading |= {"total": total, "next": None}
        self._begun = False

    def head(self) -> Iterable[bytes]:
        """Query, model and total."""
        return [_json(self._heading)[:-1].encode() + b', "hits": [']

    def hit(self, hit: Hit) -> Iterable[bytes]:
        """One line."""
        comma = b"," if self._begun else b""
        self._begun = True
        return [comma + b"\n" + _json(hit.to_dict()).encode()]

    def tail(self) -> Iterable[bytes]:
        """The closing brackets."""
        return [b"\n]}\n"]


def plain_cell(text: str) -> str:
    """A cell that a spreadsheet treats as text: prefixes an apostrophe to a character that begins a
    formula, as OWASP recommends against CSV injection.
    """
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def _csv_line(cells: Iterable[Any]) -> bytes:
    line = io.StringIO()
    texts = [plain_cell(cell) if isinstance(cell, str) else cell for cell in cells]
    csv.writer(line).writerow(texts)
    return line.getvalue().encode()


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
