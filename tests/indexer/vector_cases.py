"""Points with known values, and what a store must answer for them, computed the slow way."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from indexer.vectors import (
    All,
    AnyOf,
    Filter,
    FloatArray,
    Has,
    Kind,
    Match,
    Near,
    Not,
    PointBatch,
    Range,
    VectorWriter,
    Within,
    image_point_id,
    region_point_id,
)

DIM = 24
HEADS = ("web", "caption")
CAMERAS = ("Canon EOS R5", "Nikon Z6", "Pixel 8")


def image_id(number: int) -> str:
    """A content hash."""
    return hashlib.blake2b(str(number).encode(), digest_size=16).hexdigest()


def unit(seed: int, rows: int, dim: int = DIM) -> FloatArray:
    """(rows, dim) random unit vectors."""
    vectors = np.random.default_rng(seed).standard_normal((rows, dim)).astype(np.float32)
    result: FloatArray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return result


def facts(number: int) -> dict[str, Any]:
    """The payload of photo `number`; every field is missing from some photos."""
    payload: dict[str, Any] = {
        "image": image_id(number),
        "folders": ["/photos", f"/photos/{'trips' if number % 2 else 'home'}"],
        "type": "jpeg" if number % 5 else "png",
        "width": 100 + number,
        "height": 80,
    }
    if number % 3:
        payload |= {"taken": 1_600_000_000 + number * 86_400, "year": 2020 + number % 3}
    if number % 4:
        payload["camera"] = CAMERAS[number % 3]
    if number % 2:
        payload["place"] = {"lat": 48.0 + number / 100, "lon": 11.0}
    return payload


def images(numbers: Sequence[int], version: int = 0) -> PointBatch:
    """The image points of these photos; another version has other vectors."""
    return PointBatch(
        ids=[image_point_id(image_id(n)) for n in numbers],
        vectors={
            head: np.concatenate([unit(10 * n + place + 1_000_003 * version, 1) for n in numbers])
            for place, head in enumerate(HEADS)
        },
        payload=[facts(n) for n in numbers],
    )


def regions(numbers: Sequence[int], version: int = 0, each: int = 3) -> PointBatch:
    """The region points of these photos."""
    return PointBatch(
        ids=[region_point_id(image_id(n), k) for n in numbers for k in range(each)],
        vectors={
            "region": np.concatenate(
                [unit(7_000_000 + n + 1_000_003 * version, each) for n in numbers]
            )
        },
        payload=[
            {**facts(n), "box": [0.0, 0.0, 0.5, (k + 1) / 4], "area": (k + 1) / 8, "k": k}
            for n in numbers
            for k in range(each)
        ],
    )


@dataclass
class Model:
    """What a store should hold: kind -> point id -> (vectors by name, payload)."""

    points: dict[Kind, dict[str, tuple[dict[str, FloatArray], dict[str, Any]]]] = field(
        default_factory=lambda: {"images": {}, "regions": {}}
    )

    def upsert(self, writer: VectorWriter, kind: Kind, batch: PointBatch) -> None:
        """Do it to the store and to the model."""
        writer.upsert(kind, batch)
        self._drop(kind, set(batch.images()))
        for i, point_id in enumerate(batch.ids):
            vectors = {name: values[i] for name, values in batch.vectors.items()}
            self.points[kind][point_id] = (vectors, batch.payload[i])

    def remove(self, writer: VectorWriter, image_ids: Sequence[str]) -> None:
        """Do it to the store and to the model."""
        writer.remove(image_ids)
        for kind in self.points:
            self._drop(kind, set(image_ids))

    def matching(self, kind: Kind, filter: Filter | None) -> list[str]:
        """The ids of the points that the filter keeps."""
        return [i for i, (_, p) in self.points[kind].items() if filter is None or holds(filter, p)]

    def search(
        self, kind: Kind, query: FloatArray, using: str, filter: Filter | None, limit: int
    ) -> list[tuple[str, float]]:
        """Brute force."""
        ids = self.matching(kind, filter)
        cosines = [float(self.points[kind][i][0][using] @ query) for i in ids]
        return sorted(zip(ids, cosines, strict=True), key=lambda hit: -hit[1])[:limit]

    def _drop(self, kind: Kind, image_ids: set[str]) -> None:
        kept = {i: p for i, p in self.points[kind].items() if p[1]["image"] not in image_ids}
        self.points[kind] = kept


def holds(filter: Filter, payload: dict[str, Any]) -> bool:
    """The meaning of a filter, spelt out."""
    match filter:
        case Match(name, values):
            value = payload.get(name)
            entries = value if isinstance(value, list) else [value]
            return any(entry in values for entry in entries if entry is not None)
        case Range(name, gte, lt):
            value = payload.get(name)
            if value is None:
                return False
            return (gte is None or value >= gte) and (lt is None or value < lt)
        case Near(lat, lon, km):
            return "place" in payload and _distance_km(payload["place"], lat, lon) <= km
        case Within(south, west, north, east):
            if "place" not in payload:
                return False
            lat, lon = payload["place"]["lat"], payload["place"]["lon"]
            across = lon >= west or lon <= east
            return south <= lat <= north and (west <= lon <= east if west <= east else across)
        case Has(name):
            return payload.get(name) not in (None, [])
        case All(parts):
            return all(holds(part, payload) for part in parts)
        case AnyOf(parts):
            return any(holds(part, payload) for part in parts)
        case Not(part):
            return not holds(part, payload)


FILTERS: dict[str, Filter] = {
    "camera": Match("camera", ("Canon EOS R5",)),
    "one of two cameras": Match("camera", ("Canon EOS R5", "Pixel 8")),
    "folder in a list": Match("folders", ("/photos/trips",)),
    "year": Match("year", (2021, 2022)),
    "no value": Match("camera", ()),
    "unknown value": Match("camera", ("Leica",)),
    "half-open range": Range(
        "taken", gte=1_600_000_000 + 10 * 86_400, lt=1_600_000_000 + 31 * 86_400
    ),
    "open range": Range("taken", gte=1_600_000_000 + 30 * 86_400),
    "field without index": Range("width", lt=120),
    "near": Near(48.1, 11.0, 6.0),
    "within": Within(48.05, 10.9, 48.15, 11.0),
    "within, across the date line": Within(-10.0, 10.5, 48.3, -170.0),
    "within, the other way around": Within(-10.0, 11.0, 48.25, 10.5),
    "has": Has("place"),
    "has not": Not(Has("taken")),
    "not a camera": Not(Match("camera", ("Nikon Z6",))),
    "all": All((Match("type", ("jpeg",)), Has("camera"), Range("year", gte=2021))),
    "all of nothing": All(()),
    "any": AnyOf((Match("type", ("png",)), Near(48.3, 11.0, 3.0))),
    "any of nothing": AnyOf(()),
    "nested": Not(AnyOf((All((Has("place"), Has("taken"))), Match("camera", ("Pixel 8",))))),
    "by image": Match("image", (image_id(3), image_id(7))),
}


def _distance_km(place: dict[str, float], lat: float, lon: float) -> float:
    """Haversine on a sphere of 6371 km."""
    a, b = math.radians(place["lat"]), math.radians(lat)
    half = math.sin((a - b) / 2) ** 2
    half += math.cos(a) * math.cos(b) * math.sin(math.radians(place["lon"] - lon) / 2) ** 2
    return 2 * 6371.0 * math.asin(math.sqrt(half))
