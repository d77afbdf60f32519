"""The result types of a search: photos with score, path and the places in them.

Boxes are (x0, y0, x1, y1) as fractions of the upright photo. Scores of text queries are on the
scale of `search/confidence/cutoff.py`: 0 is what the best photo for an unrelated text gets in this
collection, 1 is the confidence line above which a hit counts.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from indexer.vectors import KeyArray, point_array, point_keys
from search.query import Box as Box

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class RegionHit:
    """A place in a photo: its box, its score, and its cells on the photo's patch grid, (h, w).

    `text` names the thing in it when a query asks for several; "" otherwise.
    """

    box: Box
    score: float
    mask: Mask = field(repr=False, compare=False)
    text: str = ""

    def to_dict(self) -> dict[str, Any]:
        """`{"box", "score"}`, and "text" where there is one."""
        place: dict[str, Any] = {
            "box": [round(edge, 6) for edge in self.box],
            "score": round(self.score, 6),
        }
        return place | ({"text": self.text} if self.text else {})


@dataclass(frozen=True, slots=True)
class Hit:
    """A matching photo, with its regions best first.

    `taken` is the camera's local time; `latitude` and `longitude` are degrees. `path` is the first
    of `paths` (copies of one photo share an id), in the reversible text form of
    `indexer.folders.paths`. `width` and `height` are pixels of the upright photo. `confident`: the
    score reaches the confidence line.
    """

    id: str
    path: str
    paths: tuple[str, ...]
    score: float
    confident: bool
    width: int
    height: int
    regions: tuple[RegionHit, ...] = ()
    taken: datetime | None = None
    camera: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    keywords: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The hit as in the command line's JSON."""
        return {
            "id": self.id,
            "path": self.path,
            "score": round(self.score, 6),
            "confident": self.confident,
            "regions": [region.to_dict() for region in self.regions],
            **self.facts(),
        }

    def facts(self) -> dict[str, Any]:
        """`{"taken", "camera", "latitude", "longitude", "keywords"}` for JSON: the date in ISO
        8601, null for what is unknown.
        """
        return {
            "taken": self.taken and self.taken.isoformat(),
            "camera": self.camera,
            "latitude": self.latitude,
            "longitude": self.longitude,
            "keywords": list(self.keywords),
        }


@dataclass(frozen=True, slots=True)
class Results:
    """One page of hits, best first.

    `confident` counts the confident photos of the whole answer, not of the page. `searched` is the
    number of photos that passed the filter. `total` counts the photos on all pages: the confident
    ones, or with `all` those that passed the filter. `offset` of them precede this page. `next` is
    the cursor of the following page, None on the last one. `notes` are sentences for the user, for
    instance about the truncated part of a long query. `keys`: all confident photos of the answer,
    best first, as the shared part of their point ids (`indexer.vectors.image_key`).
    """

    query: str
    model: str
    hits: tuple[Hit, ...]
    confident: int
    searched: int
    notes: tuple[str, ...] = ()
    keys: KeyArray = field(
        default_factory=lambda: point_keys(point_array([])), repr=False, compare=False
    )
    total: int = 0
    offset: int = 0
    next: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """`{"query", "model", "total", "next", "hits": [{"id", "path", "score", "confident",
        "regions": [{"box", "score"}], ...}]}` with `Hit.facts`; regions of a composed query also
        have the "text" of their thing.
        """
        return {
            "query": self.query,
            "model": self.model,
            "total": self.total,
            "next": self.next,
            "hits": [hit.to_dict() for hit in self.hits],
        }

    def to_json(self) -> str:
        """`to_dict` as indented JSON text, with unescaped non-ASCII characters."""
        return json.dumps(self.to_dict(), ensure_ascii=False, indent=2)

    def to_polars(self) -> pl.DataFrame:
        """One row per hit: the JSON fields, width and height in pixels, and all paths; the regions
        are a list of structs (box, score, text), with text null for a plain query.
        """
        region = pl.Struct({"box": pl.Array(pl.Float64, 4), "score": pl.Float64, "text": pl.String})
        schema: dict[str, pl.DataType | type[pl.DataType]] = {
            "id": pl.String,
            "path": pl.String,
            "score": pl.Float64,
            "confident": pl.Boolean,
            "regions": pl.List(region),
            "width": pl.Int64,
            "height": pl.Int64,
            "paths": pl.List(pl.String),
            "taken": pl.Datetime("us"),
            "camera": pl.String,
            "latitude": pl.Float64,
            "longitude": pl.Float64,
            "keywords": pl.List(pl.String),
        }
        rows = [
            hit.to_dict()
            | {"width": hit.width, "height": hit.height, "paths": list(hit.paths)}
            | {"taken": hit.taken}
            for hit in self.hits
        ]
        return pl.DataFrame(rows, schema=schema)
