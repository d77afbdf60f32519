"""Vectors of a collection: points, filters, and the one interface that both engines implement.

Vectors are derived data that the catalog can recreate, so the interface is small: read
(`VectorStore`) and publish (`VectorWriter`). Scores are cosines in [-1, 1], best first.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal, Protocol
from uuid import UUID

import numpy as np
import numpy.typing as npt

from tips_model.errors import TipsError

Kind = Literal["images", "regions"]
KINDS: tuple[Kind, ...] = ("images", "regions")
FloatArray = npt.NDArray[np.float32]
PointArray = npt.NDArray[np.bytes_]  # S16: the 16 bytes of each point's UUID
KeyArray = npt.NDArray[np.bytes_]  # S15: the bytes shared by all points of an image
Payload = dict[str, Any]

REGION_VECTOR = "region"  # the name of the only vector of a region point
MAX_REGIONS = 255  # the region's number lives in one byte of its point id


class VectorError(TipsError):
    """The vector store cannot do what was asked; the message says what to do instead."""


@dataclass(frozen=True, slots=True)
class Match:
    """The field equals one of the values (for a list field: one of its entries does)."""

    field: str
    values: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """gte <= field < lt; None leaves that side open."""

    field: str
    gte: float | None = None
    lt: float | None = None


@dataclass(frozen=True, slots=True)
class Near:
    """The photo was taken within `km` kilometres of the place (degrees)."""

    lat: float
    lon: float
    km: float


@dataclass(frozen=True, slots=True)
class Within:
    """The photo was taken between these degrees, edges included; `west` > `east` crosses the date
    line.
    """

    south: float
    west: float
    north: float
    east: float

    def widened(self) -> Within:
        """A slightly larger box: Qdrant's own boxes exclude their edges."""
        return Within(
            max(-90.0, math.nextafter(self.south, -math.inf)),
            max(-180.0, math.nextafter(self.west, -math.inf)),
            min(90.0, math.nextafter(self.north, math.inf)),
            min(180.0, math.nextafter(self.east, math.inf)),
        )


@dataclass(frozen=True, slots=True)
class Has:
    """The field is present and not empty."""

    field: str


@dataclass(frozen=True, slots=True)
class All:
    """Every part holds; true when there is none."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one part holds; false when there is none."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: Filter


Filter = Match | Range | Near | Within | Has | All | AnyOf | Not


@dataclass(frozen=True, slots=True)
class PointBatch:
    """N points of one kind: `ids` UUID strings, `vectors` name -> (N, D) float32, `payload` dicts.

    Every payload has `image`. A batch holds all points of each of its images: publishing it
    replaces their previous points.
    """

    ids: list[str]
    vectors: dict[str, FloatArray]
    payload: list[Payload]

    def __post_init__(self) -> None:
        lengths = {len(self.ids), len(self.payload), *(len(v) for v in self.vectors.values())}
        if len(lengths) != 1:
            raise ValueError(f"ids, vectors and payload must have one length, not {lengths}")

    def __len__(self) -> int:
        return len(self.ids)

    def images(self) -> list[str]:
        """The distinct image ids of the batch, in order of appearance."""
        return list(dict.fromkeys(entry["image"] for entry in self.payload))


@dataclass(frozen=True, slots=True)
class VectorHits:
    """The answer to one query vector, best first: `points` (N,) and their cosines `scores` (N,)."""

    points: PointArray
    scores: FloatArray

    @property
    def ids(self) -> list[str]:
        """The point ids as UUID texts."""
        return point_texts(self.points)


class VectorWriter(AbstractContextManager["VectorWriter"], Protocol):
    """The only way to change a store; one writer at a time. Exit drops uncommitted changes."""

    def upsert(self, kind: Kind, points: PointBatch) -> None:
        """Replace all points of this kind of the batch's images by the batch."""
        ...

    def remove(self, image_ids: Sequence[str]) -> None:
        """Drop the points of both kinds of these images; unknown ids are ignored."""
        ...

    def commit(self, revision: int) -> None:
        """Make all changes so far visible and durable, as revision `revision` of the catalog."""
        ...


class VectorStore(Protocol):
    """The published points, searchable; `refresh` loads what was published since."""

    @property
    def revision(self) -> int:
        """The catalog revision that this state shows; 0 before the first publish."""
        ...

    def count(self, kind: Kind, filter: Filter | None = None) -> int:
        """The number of points that match."""
        ...

    def search(
        self,
        kind: Kind,
        vectors: npt.ArrayLike,
        *,
        using: str,
        filter: Filter | None = None,
        limit: int,
        exact: bool = False,
    ) -> list[VectorHits]:
        """The `limit` nearest points for each row of `vectors` (Q, D); `using` names the vector.

        `exact`: compare every point; otherwise an engine may miss some of them.
        """
        ...

    def vectors(self, kind: Kind, ids: Sequence[str], using: str) -> FloatArray:
        """The vectors (N, D), unit norm, of these points in this order.

        An unknown id raises `VectorError`.
        """
        ...

    def scores(
        self, kind: Kind, points: PointArray, vector: npt.ArrayLike, *, using: str
    ) -> FloatArray:
        """The cosines (N,) of these points, each named once, with one vector (D,).

        An unknown point raises `VectorError`.
        """
        ...

    def payloads(
        self, kind: Kind, points: PointArray, fields: Sequence[str] | None = None
    ) -> list[Payload]:
        """The payloads of these points in this order, all fields or some.

        An unknown point raises `VectorError`.
        """
        ...

    def facet(
        self, field: str, filter: Filter | None = None, limit: int = 100
    ) -> list[tuple[str | int, int]]:
        """The values of a keyword or integer field over images: (value, count), most frequent
        first."""
        ...

    def scroll_ids(self, kind: Kind) -> Iterator[list[str]]:
        """All point ids, in pages, in no particular order."""
        ...

    def refresh(self) -> bool:
        """Load what was published since; True when there was something new."""
        ...

    def writer(self, rebuild: bool = False) -> VectorWriter:
        """A writer on top of the published state, or on an empty one for `rebuild`."""
        ...

    def damaged(self) -> list[str]:
        """The files of the published state that are damaged, as names for people; reads all of
        them.
        """
        ...

    def tidy(self) -> None:
        """Delete leftovers of killed writers; only the one writer may."""
        ...

    def close(self) -> None:
        """Release files and connections; the store must not be used afterwards."""
        ...


def image_point_id(image_id: str) -> str:
    """The UUID of an image's point: its 32 hex characters with the last byte 0."""
    return str(UUID(hex=image_id[:30] + "00"))


def region_point_id(image_id: str, k: int) -> str:
    """The UUID of region k (0 <= k < 255): the image's with the last byte k + 1."""
    if not 0 <= k < MAX_REGIONS:
        raise ValueError(f"region number {k} is not in 0..{MAX_REGIONS - 1}")
    return str(UUID(hex=f"{image_id[:30]}{k + 1:02x}"))


def point_ids(image_ids: Sequence[str]) -> list[str]:
    """`image_point_id` of each."""
    return [image_point_id(image_id) for image_id in image_ids]


def image_key(identifier: str) -> str:
    """The 30 hex characters that an image id and all point ids of that image share."""
    return identifier.replace("-", "")[:30]


def point_array(ids: Sequence[str]) -> PointArray:
    """Point ids as an array (N,) of their bytes."""
    raw = bytes.fromhex("".join(ids).replace("-", ""))
    return np.frombuffer(raw, "S16")


def point_hex(points: PointArray) -> list[str]:
    """The ids of points (N,) as 32 hex digits, which stores accept as well as UUID texts."""
    text = np.ascontiguousarray(points).tobytes().hex()
    return [text[i : i + 32] for i in range(0, len(text), 32)]


def point_texts(points: PointArray) -> list[str]:
    """The ids of points (N,) as UUID texts."""
    return [f"{p[:8]}-{p[8:12]}-{p[12:16]}-{p[16:20]}-{p[20:]}" for p in point_hex(points)]


def point_keys(points: PointArray) -> KeyArray:
    """The bytes that the points (N,) of one image share (see `image_key`)."""
    return np.ascontiguousarray(_octets(points)[:, :15]).view("S15").reshape(-1)


def image_point_array(keys: KeyArray) -> PointArray:
    """The image points of keys (N,)."""
    return keys.astype("S16")  # the last byte of an image point is 0


def region_numbers(points: PointArray) -> npt.NDArray[np.int64]:
    """The number k of each region point, (N,)."""
    return _octets(points)[:, 15].astype(np.int64) - 1


def _octets(points: PointArray) -> npt.NDArray[np.uint8]:
    return np.ascontiguousarray(points, "S16").view(np.uint8).reshape(-1, 16)


def query_rows(vectors: npt.ArrayLike, dim: int) -> FloatArray:
    """Query vectors as (Q, dim) float32; raises `ValueError` unless finite and of that shape."""
    rows = np.ascontiguousarray(vectors, np.float32)
    if rows.ndim != 2 or rows.shape[1] != dim:
        raise ValueError(f"query vectors must be (Q, {dim}), not {rows.shape}")
    if not np.isfinite(rows).all():
        raise ValueError("query vectors must be finite")
    return rows


def check_points(kind: Kind, points: PointBatch, names: Sequence[str], dim: int) -> None:
    """Raise `ValueError` unless the batch has exactly these vectors with `dim` finite entries
    each."""
    if set(points.vectors) != set(names):
        raise ValueError(f"{kind} have the vectors {sorted(names)}, not {sorted(points.vectors)}")
    for name, vectors in points.vectors.items():
        if vectors.shape != (len(points), dim) or not np.isfinite(vectors).all():
            raise ValueError(f"vectors {name!r} must be ({len(points)}, {dim}) and finite")


def vector_names(kind: Kind, heads: Sequence[str]) -> tuple[str, ...]:
    """The vector names of the points of this kind."""
    return tuple(heads) if kind == "images" else (REGION_VECTOR,)
