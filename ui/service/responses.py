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
    "offset": 0,
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
        }
    ],
}


class Place(BaseModel):
    """A place in a photo."""

    box: Fractions = Field(
        description="x0, y0, x1, y1 as fractions of the upright photo.",
        examples=[[0.1, 0.2, 0.5, 0.6]],
    )
    score: float = Field(description="1 is the line above which a place counts.", examples=[1.42])
    text: str = Field(
        default="", description="The thing that is there, when a query asks for several."
    )


class FoundPhoto(BaseModel):
    """A hit."""

    id: str = Field(description="The photo's id, which follows from its content.")
    path: str = Field(description="The first of its files.", examples=["/photos/beach.jpg"])
    paths: list[str] = Field(description="All of its files: copies share an id.")
    score: float = Field(
        description="0 is what an unrelated text's best photo gets in this collection, 1 the line "
        "above which a hit counts.",
        examples=[1.42],
    )
    confident: bool = Field(description="Whether the score reaches the line; else it is possible.")
    width: int = Field(description="Pixels of the upright photo.")
    height: int = Field(description="Pixels of the upright photo.")
    regions: list[Place] = Field(description="The places found, best first.")

    @classmethod
    def of(cls, hit: Hit) -> FoundPhoto:
        """A hit of the search, scores and boxes as in the command line's JSON."""
        more = {"paths": list(hit.paths), "width": hit.width, "height": hit.height}
        return cls.model_validate(hit.to_dict() | more)


class Found(BaseModel):
    """A page of hits, best first."""

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLE})

    collection: str
    query: str = Field(description="The question as it was read.")
    model: str = Field(description="The model that made the vectors.")
    confident: int = Field(description="Confident photos of the whole answer, not of the page.")
    searched: int = Field(description="Photos that pass the filter.")
    offset: int = Field(description="Hits that were left out before.")
    notes: list[str] = Field(description="What the user should know of the answer, as sentences.")
    hits: list[FoundPhoto]

    @classmethod
    def of(cls, collection: str, results: Results, offset: int) -> Found:
        """A page of the search."""
        return cls(
            collection=collection,
            query=results.query,
            model=results.model,
            confident=results.confident,
            searched=results.searched,
            offset=offset,
            notes=list(results.notes),
            hits=[FoundPhoto.of(hit) for hit in results.hits],
        )


class PhotoFile(BaseModel):
    """A file that holds a photo."""

    path: str
    size: int = Field(description="Bytes.")


class PhotoFacts(BaseModel):
    """What is known of a photo."""

    id: str
    files: list[PhotoFile]
    format: str | None = Field(examples=["jpeg"])
    width: int | None = Field(description="Pixels of the upright photo.")
    height: int | None = Field(description="Pixels of the upright photo.")
    bytes: int | None
    taken: datetime | None = Field(description="The camera's own time, without a zone.")
    camera: str | None
    lens: str | None
    latitude: float | None = Field(description="Degrees, north positive.")
    longitude: float | None = Field(description="Degrees, east positive.")
    iso: int | None
    f_number: float | None
    exposure: float | None = Field(description="Seconds.")
    focal_length: float | None = Field(description="Millimetres.")


class Value(BaseModel):
    """A value and how many of the photos have it."""

    value: str | int
    count: int


class Facets(BaseModel):
    """What the photos under a filter have, most frequent first; months and years newest first."""

    collection: str
    photos: int = Field(description="Photos that pass the filter.")
    undated: int = Field(description="Photos among them that have no date.")
    cameras: list[Value]
    lenses: list[Value]
    types: list[Value]
    years: list[Value]
    months: list[Value] = Field(examples=[[{"value": "2021-05", "count": 12}]])
    folders: list[Value] = Field(description="The folders right below `folder`, by name.")


class CollectionSummary(BaseModel):
    """A collection of this service."""

    name: str = Field(description="What requests call it.", examples=["holiday"])
    title: str
    default: bool = Field(description="Whether it answers requests that name none.")
    ready: bool = Field(description="Whether it can be searched.")
    problem: str = Field(default="", description="Why it cannot be searched.")


class Status(CollectionSummary):
    """What a collection holds."""

    photos: int = Field(description="Photos in the catalog.")
    failed: int = Field(description="Files that cannot be read.")
    images: int = Field(description="Photos that can be found.")
    regions: int = Field(description="Places that can be found.")
    revision: int = Field(description="The catalog's revision that searches see.")
    model: str
    model_id: str
    tiles: int = Field(description="Windows along a side in which each photo is seen; 1 is none.")
    max_regions: int = Field(description="Places that are kept of a photo, at most.")
    engine: str = Field(examples=["embedded"])
    roots: list[str] = Field(description="Folders of photos that were indexed.")


class IndexJob(BaseModel):
    """Indexing in the background, as far as it is."""

    model_config = ConfigDict(from_attributes=True)

    collection: str
    command: Literal["index", "rebuild"]
    state: Literal["running", "stopping", "paused", "stopped", "failed", "done"]
    stage: str = Field(description="What it is at; empty at first.", examples=["index"])
    done: int
    total: int | None
    failed: int
    rate: float = Field(description="Photos a second.")
    eta: float | None = Field(description="Seconds to go.")
    started: float = Field(description="Seconds since 1970.")
    error: str = Field(description="Why it failed.")
    report: dict[str, Any] | None = Field(description="What became of it, when it is done.")

    @classmethod
    def of(cls, collection: str, job: Job) -> IndexJob:
        """A job of the collection with this name."""
        names = cls.model_fields.keys() - {"collection"}
        return cls(collection=collection, **{name: getattr(job, name) for name in names})


class Health(BaseModel):
    """Whether the service is there, or can answer."""

    status: Literal["alive", "ready", "not ready"]
