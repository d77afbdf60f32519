"""Filters in the words of the two engines: as Qdrant Edge objects and as client models.

Both engines share their semantics: a condition on a list field holds when it holds for one entry,
a condition on a missing field does not hold, and `Near` measures on the sphere.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

import qdrant_edge as edge
from qdrant_client import models

from indexer.vectors import All, AnyOf, Filter, Has, Match, Near, Not, Range


def all_of(*parts: Filter | None) -> Filter | None:
    """The conjunction of the parts that are there; None when none is."""
    present = tuple(part for part in parts if part is not None)
    return None if not present else reduce(lambda a, b: All((a, b)), present)


def to_edge(filter: Filter | None) -> edge.Filter | None:
    """The filter for `qdrant_edge` requests."""
    return None if filter is None else edge.Filter(must=[_edge_condition(filter)])


def to_client(filter: Filter | None) -> models.Filter | None:
    """The filter for `qdrant_client` requests."""
    return None if filter is None else models.Filter(must=[_client_condition(filter)])


def _edge_condition(filter: Filter) -> Any:
    match filter:
        case Match(_, ()) | AnyOf(()):
            return edge.HasIdCondition(set())  # no id is in the empty set: never true
        case Match(field, values):
            return edge.FieldCondition(field, match=edge.MatchAny(list(values)))  # type: ignore[arg-type]
        case Range(field, gte, lt):
            return edge.FieldCondition(field, range=edge.RangeFloat(gte=gte, lt=lt))
        case Near(lat, lon, km):
            circle = edge.GeoRadius(edge.GeoPoint(lon, lat), km * 1000.0)
            return edge.FieldCondition("place", geo_radius=circle)
        case Has(field):
            return edge.Filter(must_not=[edge.IsEmptyCondition(field)])
        case All(parts):
            return edge.Filter(must=[_edge_condition(part) for part in parts])
        case AnyOf(parts):
            return edge.Filter(should=[_edge_condition(part) for part in parts])
        case Not(part):
            return edge.Filter(must_not=[_edge_condition(part)])


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
        case Has(field):
            empty = models.IsEmptyCondition(is_empty=models.PayloadField(key=field))
            return models.Filter(must_not=[empty])
        case All(parts):
            return models.Filter(must=[_client_condition(part) for part in parts])
        case AnyOf(parts):
            return models.Filter(should=[_client_condition(part) for part in parts])
        case Not(part):
            return models.Filter(must_not=[_client_condition(part)])
