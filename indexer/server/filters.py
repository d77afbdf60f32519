"""Translate filters for qdrant-client (`indexer.edge.filters` describes the semantics).

A separate module, because the client takes a second to import and the embedded engine does not need
it.
"""

from __future__ import annotations

from qdrant_client import models

from indexer.vectors import All, AnyOf, Filter, Has, Match, Near, Not, Range, Within


def to_client(filter: Filter | None) -> models.Filter | None:
    """The filter for `qdrant_client` requests."""
    return None if filter is None else models.Filter(must=[_client_condition(filter)])


def _client_condition(filter: Filter) -> models.Condition:
    match filter:
        case Match(_, ()) | AnyOf(()):
            return models.HasIdCondition(has_id=[])
        case Match(field, values):
            return models.FieldCondition(key=field, match=models.MatchAny(any=list(values)))  # type: ignore[arg-type]
        case Range(field, gte, lt):
            return models.FieldCondition(key=field, range=models.Range(gte=gte, lt=lt))
        case Near(lat, lon, km):
            circle = models.GeoRadius(center=models.GeoPoint(lat=lat, lon=lon), radius=km * 1000.0)
            return models.FieldCondition(key="place", geo_radius=circle)
        case Within():
            wide = filter.widened()
            area = models.GeoBoundingBox(
                top_left=models.GeoPoint(lat=wide.north, lon=wide.west),
                bottom_right=models.GeoPoint(lat=wide.south, lon=wide.east),
            )
            return models.FieldCondition(key="place", geo_bounding_box=area)
        case Has(field):
            empty = models.IsEmptyCondition(is_empty=models.PayloadField(key=field))
            return models.Filter(must_not=[empty])
        case All(parts):
            return models.Filter(must=[_client_condition(part) for part in parts])
        case AnyOf(parts):
            return models.Filter(should=[_client_condition(part) for part in parts])
        case Not(part):
            return models.Filter(must_not=[_client_condition(part)])
