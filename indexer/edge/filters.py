"""Translate filters for Qdrant Edge (`indexer.server.filters` does the same for the server).

Both engines share the semantics: a condition on a list field holds when it holds for one entry, a
condition on a missing field does not hold, and `Near` measures on the sphere.
"""

from __future__ import annotations

from typing import Any, cast

import qdrant_edge as edge

from indexer.vectors import All, AnyOf, Filter, Has, Match, Near, Not, Range, Within


def to_edge(filter: Filter | None) -> edge.Filter | None:
    """The filter for `qdrant_edge` requests."""
    return None if filter is None else edge.Filter(must=[_edge_condition(filter)])


def _edge_condition(filter: Filter) -> Any:
    match filter:
        case Match(_, ()) | AnyOf(()):
            return edge.HasIdCondition(set())  # the empty set contains no id: never true
        case Match(field, values):
            return edge.FieldCondition(field, match=edge.MatchAny(cast(list[str], list(values))))
        case Range(field, gte, lt):
            return edge.FieldCondition(field, range=edge.RangeFloat(gte=gte, lt=lt))
        case Near(lat, lon, km):
            circle = edge.GeoRadius(edge.GeoPoint(lon, lat), km * 1000.0)
            return edge.FieldCondition("place", geo_radius=circle)
        case Within():
            wide = filter.widened()
            area = edge.GeoBoundingBox(
                edge.GeoPoint(wide.west, wide.north), edge.GeoPoint(wide.east, wide.south)
            )
            return edge.FieldCondition("place", geo_bounding_box=area)
        case Has(field):
            return edge.Filter(must_not=[edge.IsEmptyCondition(field)])
        case All(parts):
            return edge.Filter(must=[_edge_condition(part) for part in parts])
        case AnyOf(parts):
            return edge.Filter(should=[_edge_condition(part) for part in parts])
        case Not(part):
            return edge.Filter(must_not=[_edge_condition(part)])
