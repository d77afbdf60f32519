"""Cursors: where the next page of an answer begins, as a text that a client hands back."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from search.errors import QueryError
from search.request import Request

UNBOUND = frozenset({"limit", "offset", "cursor", "refine"})
"""Fields of a request that may differ from page to page: they change no photo's rank."""
_DIGITS = 16  # of the fingerprint: it tells queries apart, and protects nothing


@dataclass(frozen=True, slots=True)
class Cursor:
    """A rank (from 0) in the answer to a query: `query` is its `fingerprint`, and `revision` the
    state of the collection that gave the page before.
    """

    rank: int
    query: str
    revision: int

    def __str__(self) -> str:
        text = json.dumps([self.rank, self.query, self.revision], separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def read(cls, text: str) -> Cursor:
        """The cursor that `str` wrote. Raises `QueryError`."""
        try:
            padded = text.encode("ascii") + b"=" * (-len(text) % 4)
            rank, query, revision = json.loads(base64.b64decode(padded, b"-_", validate=True))
        except (ValueError, TypeError, binascii.Error, RecursionError):
            rank = query = revision = None
        whole = type(rank) is int and type(revision) is int and isinstance(query, str)
        if not whole or rank < 0:
            raise QueryError("The cursor is damaged; use `next` of the page before as it is.")
        return cls(rank, query, revision)


def fingerprint(request: Request, collection: str) -> str:
    """What tells a query to a collection from others: 16 hex digits. Page and refinement do not
    count; pictures count by their pixels.
    """
    names = sorted(Request.model_fields.keys() - UNBOUND)
    said = [collection, *((name, _said(getattr(request, name))) for name in names)]
    return hashlib.sha256(repr(said).encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]


def _said(value: Any) -> object:
    """A value of a request as something with a stable `repr`."""
    if isinstance(value, Image.Image):
        pixels = hashlib.sha256(value.tobytes()).hexdigest()
        return (value.mode, value.size, pixels)
    if is_dataclass(value):
        return [_said(getattr(value, field.name)) for field in fields(value)]
    if isinstance(value, tuple | list):
        return [_said(each) for each in value]
    return str(value) if isinstance(value, Path) else value
