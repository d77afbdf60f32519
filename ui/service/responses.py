"""Response bodies."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:  # the client parses responses without importing the search
    from search.hits import Hit, Results
    from ui.jobs import Job

Fractions = tuple[float, float, float, float]


EXAMPLE: dict[str, Any] = {
    "collection": "holiday",
    "query": "red umbrella",
    "model": "tipsv2-b14:9f2c41d07ab3e658:fit1-448:values:d48f3e94e04353fa",
    "confident": 12,
    "searched": 48210,
    "total": 12,
    "offset": 0,
    "next": "WzEsIjlhMWIyYzNkNGU1ZjYwNzEiLDddCg",
    "notes": [],
    "hits": [
        {
            "id": "00a1b2c3d4e5f60718293a4b5c6d7e8f",
            "path": "/photos/2023/IMG_2041.jpg",
            "paths": ["/photos/2023/IMG_2041.jpg"],
            "score": 1.42,
            "confident": True,
            "width": 4000,
            "height": 3000,
            "regions": [{"box": [0.1, 0.2, 0.5, 0.6], "score": 1.38, "text": ""}],
            "taken": "2023-05-14T16:20:00",
            "camera": "Canon EOS R5",
            "latitude": 48.1,
            "longitude": 11.5,
            "keywords": ["rain"],
        }
    ],
}


class Place(BaseModel):
    """A place in a photo."""

    box: Fractions = Field(
        description="x0, y0, x1, y1 as fractions of the upright photo.",
        examples=[[0.1, 0.2, 0.5, 0.6]],
    )
    score: float = Field(
        description="1 is the threshold above which a place counts.", examples=[1.42]
    )
    text: str = Field(default="", description="The thing shown there, if the query names several.")


class FoundPhoto(BaseModel):
    """A hit."""

    id: str = Field(description="The photo's id, derived from its content.")
    path: str = Field(description="The path of its first file.", examples=["/photos/beach.jpg"])
    paths: list[str] = Field(description="The paths of all its files; copies share an id.")
    score: float = Field(
        description="0 is the score of the best photo for an unrelated text in this collection, 1 "
        "the threshold above which a hit is confident.",
        examples=[1.42],
    )
    confident: bool = Field(
        description="Whether the score reaches the threshold; if not, the hit is only possible."
    )
    width: int = Field(description="Pixels of the upright photo.")
    height: int = Field(description="Pixels of the upright photo.")
    regions: list[Place] = Field(description="The places found, best first.")
    taken: datetime | None = Field(
        default=None, description="The camera's local time, without a time zone."
    )
    camera: str | None = None
    latitude: float | None = Field(default=None, description="Degrees, north positive.")
    longitude: float | None = Field(default=None, description="Degrees, east positive.")
    keywords: list[str] = Field(default=[], description="What people wrote in the photo.")

    @classmethod
    def of(cls, hit: Hit) -> FoundPhoto:
        """A hit of the search, scores and boxes as in the command line's JSON."""
        more = {"paths": list(hit.paths), "width": hit.width, "height": hit.height}
        return cls.model_validate(hit.to_dict() | more)


class Found(BaseModel):
    """A page of hits, best first unless the request sorts them."""

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLE})

    collection: str
    query: str = Field(description="The query as it was parsed.")
    model: str = Field(description="The model that made the vectors.")
    confident: int = Field(description="Confident photos on all pages, not only this one.")
    searched: int = Field(description="Photos that pass the filter.")
    total: int = Field(
        default=0,
        description="Photos on all pages: the confident ones, or with `all` those that pass the "
        "filter.",
    )
    offset: int = Field(description="Hits skipped before this page.")
    next: str | None = Field(
        default=None,
        description="The `cursor` of the following page; null on the last one. It belongs to this "
        "query; after a change of the collection the page says so in `notes`.",
    )
    notes: list[str] = Field(description="Notes on the results for the user, as sentences.")
    hits: list[FoundPhoto]

    @classmethod
    def of(cls, collection: str, results: Results) -> Found:
        """A page of the search."""
        return cls(
            collection=collection,
            query=results.query,
            model=results.model,
            confident=results.confident,
            searched=results.searched,
            total=results.total,
            offset=results.offset,
            next=results.next,
            notes=list(results.notes),
            hits=[FoundPhoto.of(hit) for hit in results.hits],
        )


class PhotoFile(BaseModel):
    """A file that holds a photo."""

    path: str
    size: int = Field(description="Size in bytes.")


class PhotoFacts(BaseModel):
    """The metadata of a photo."""

    id: str
    files: list[PhotoFile]
    format: str | None = Field(examples=["jpeg"])
    width: int | None = Field(description="Pixels of the upright photo.")
    height: int | None = Field(description="Pixels of the upright photo.")
    bytes: int | None
    taken: datetime | None = Field(description="The camera's local time, without a time zone.")
    camera: str | None
    lens: str | None
    latitude: float | None = Field(description="Degrees, north positive.")
    longitude: float | None = Field(description="Degrees, east positive.")
    iso: int | None
    f_number: float | None
    exposure: float | None = Field(description="Seconds.")
    focal_length: float | None = Field(description="Millimetres.")


class Value(BaseModel):
    """A value, and the number of photos that have it."""

    value: str | int
    count: int


class Facets(BaseModel):
    """Facets of the photos under a filter, most frequent first; months and years newest first."""

    collection: str
    photos: int = Field(description="Photos that pass the filter.")
    undated: int = Field(description="Matching photos without a date.")
    cameras: list[Value]
    lenses: list[Value]
    types: list[Value]
    years: list[Value]
    months: list[Value] = Field(examples=[[{"value": "2021-05", "count": 12}]])
    folders: list[Value] = Field(description="The folders directly below `folder`, by name.")


class CollectionSummary(BaseModel):
    """A collection of this service."""

    name: str = Field(description="The name to use in requests.", examples=["holiday"])
    title: str
    default: bool = Field(description="Whether requests that name no collection use it.")
    ready: bool = Field(description="Whether it can be searched.")
    problem: str = Field(default="", description="Why it cannot be searched.")


class Status(CollectionSummary):
    """The contents and settings of a collection."""

    photos: int = Field(description="Photos in the catalog.")
    failed: int = Field(description="Files that cannot be read.")
    images: int = Field(description="Searchable photos.")
    regions: int = Field(description="Searchable places.")
    revision: int = Field(description="The catalog's revision that searches use.")
    model: str
    model_id: str
    tiles: int = Field(
        description="Windows per side in which each photo is also indexed; 1 for none."
    )
    max_regions: int = Field(description="Maximum number of places stored per photo.")
    engine: str = Field(examples=["embedded"])
    roots: list[str] = Field(description="The indexed folders of photos.")


class ReadPart(BaseModel):
    """A part of a query, and the parts that it consists of."""

    role: Literal[
        "text",
        "weight",
        "thing",
        "count",
        "size",
        "position",
        "relation",
        "not",
        "and",
        "or",
        "filter",
    ]
    text: str
    parts: list[ReadPart] = []


class Explained(BaseModel):
    """How a query is read."""

    query: str
    reading: str = Field(
        description="The query in one line, with all signs in capitals and all texts in quotes; "
        "it is read as the query was.",
        examples=['"dog" left of "car" AND NOT "cat"'],
    )
    plain: bool = Field(description="Whether it is a text, or weighted texts, without things.")
    parts: list[ReadPart] = Field(description="What it consists of, joined by `and`.")
    lines: list[str] = Field(description="The parts in plain English, a line each.")
    filters: list[str] = Field(description="The filters found among the words.")
    notes: list[str] = Field(description="About words that look like filters or dates.")


class IndexJob(BaseModel):
    """A background job and its progress."""

    model_config = ConfigDict(from_attributes=True)

    collection: str
    command: Literal["index", "rebuild"]
    state: Literal["running", "stopping", "paused", "stopped", "failed", "done"]
    stage: str = Field(description="The current stage; empty at first.", examples=["index"])
    done: int
    total: int | None
    failed: int
    rate: float = Field(description="Photos per second.")
    eta: float | None = Field(description="Seconds left.")
    started: float = Field(description="Start time, in seconds since 1970.")
    error: str = Field(description="Why it failed.")
    report: dict[str, Any] | None = Field(description="The result, once it is done.")

    @classmethod
    def of(cls, collection: str, job: Job) -> IndexJob:
        """A job of the collection with this name."""
        names = cls.model_fields.keys() - {"collection"}
        return cls(collection=collection, **{name: getattr(job, name) for name in names})


class Health(BaseModel):
    """Whether the service is alive, or ready to answer."""

    status: Literal["alive", "ready", "not ready"]
