"""The fields that searches can filter by: one table for payloads, indexes and filter syntax.

A row defines a field of a point's payload (`point_payload`), how the engines index it, what
browsing keeps in memory (`search/browse/columns.py`) and the filter syntax (`search/filters.py`).
To turn a catalog fact into a filter, add a row here; `tips rebuild` then adds it to existing
points.
"""

from __future__ import annotations

from calendar import timegm
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from indexer.folders.paths import folders

Row = Mapping[str, Any]
FieldType = Literal["keyword", "integer", "float", "geo"]


@dataclass(frozen=True, slots=True)
class Field:
    """A payload field with a fact about a photo.

    type: index type in the engine. columns: catalog columns that `value` reads; a value of None is
    not stored. indexed: the kinds of points for which embedded shards keep an index ("images" for
    facets, both for selective filters); other filters read the payload.
    written: filter syntax under the field's own name, which then has a single column: "text" for a
    substring, "number" for a number or a range; "" for fields with their own keywords.
    example: such a filter.
    """

    type: FieldType
    columns: tuple[str, ...]
    value: Callable[[Row], object | None]
    indexed: tuple[Literal["images", "regions"], ...] = ()
    written: Literal["", "text", "number"] = ""
    example: str = ""


def _same(name: str) -> Callable[[Row], object | None]:
    return lambda row: row[name]


def _folders(row: Row) -> list[str]:
    return sorted({folder for file in row["files"] for folder in folders(file["path"])})


def _taken(row: Row) -> int | None:
    return None if row["taken"] is None else timegm(row["taken"].timetuple())


def _year(row: Row) -> int | None:
    return None if row["taken"] is None else int(row["taken"].year)


def _month(row: Row) -> str | None:
    return None if row["taken"] is None else f"{row['taken']:%Y-%m}"


def _type(row: Row) -> str | None:
    return None if row["format"] is None else str(row["format"]).lower()


def _place(row: Row) -> dict[str, float] | None:
    latitude, longitude = row["latitude"], row["longitude"]
    known = latitude is not None and longitude is not None
    return {"lat": latitude, "lon": longitude} if known else None


_BOTH: tuple[Literal["images", "regions"], ...] = ("images", "regions")
FIELDS: Mapping[str, Field] = MappingProxyType(
    {
        # Id of the photo, 32 hex characters.
        "image": Field("keyword", ("id",), _same("id"), _BOTH),
        # Every ancestor folder of every file of the photo.
        "folders": Field("keyword", ("files",), _folders, _BOTH),
        # Seconds since 1970 by the camera's clock.
        "taken": Field("integer", ("taken",), _taken, _BOTH),
        "year": Field("integer", ("taken",), _year, ("images",)),
        "month": Field("keyword", ("taken",), _month, ("images",)),  # "2024-05"
        "camera": Field("keyword", ("camera",), _same("camera"), _BOTH, "text", "camera:canon"),
        "lens": Field("keyword", ("lens",), _same("lens"), _BOTH, "text", "lens:50mm"),
        "type": Field("keyword", ("format",), _type, _BOTH),  # lower case: "jpeg"
        "place": Field("geo", ("latitude", "longitude"), _place, _BOTH),  # {"lat", "lon"}, degrees
        "title": Field("keyword", ("title",), _same("title"), (), "text", 'title:"the lake"'),
        "keyword": Field("keyword", ("keywords",), _same("keywords"), _BOTH, "text", "keyword:cat"),
        # What was left out or is missing when the photo was read.
        "note": Field("keyword", ("notes",), _same("notes"), (), "text", 'note:"cut off"'),
        # Pixels of the upright photo.
        "width": Field("integer", ("width",), _same("width"), (), "number", "width:2000..4000"),
        "height": Field("integer", ("height",), _same("height"), (), "number", "height:..1080"),
        "rating": Field("integer", ("rating",), _same("rating"), (), "number", "rating:>=4"),
        "iso": Field("integer", ("iso",), _same("iso"), (), "number", "iso:100..800"),
    }
)
"""Payload of both kinds of points; regions also have `box`, `area` and `k`."""
REGION_FIELDS: Mapping[str, FieldType] = MappingProxyType({"area": "float"})
COLUMNS = tuple(dict.fromkeys(name for field in FIELDS.values() for name in field.columns))
"""The catalog columns that `point_payload` reads."""


def written(how: Literal["text", "number"]) -> tuple[str, ...]:
    """The fields with this filter syntax."""
    return tuple(name for name, field in FIELDS.items() if field.written == how)


def point_payload(row: Row) -> dict[str, Any]:
    """The payload of a photo's points, from `COLUMNS` of its row; unknown values are omitted."""
    values = {name: field.value(row) for name, field in FIELDS.items()}
    return {name: value for name, value in values.items() if value is not None}
