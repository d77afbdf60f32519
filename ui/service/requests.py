"""Request bodies and their limits. Search bodies are subsets of `search.request.Request`: each
route takes some of its fields, with their descriptions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetPydanticSchema,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
)

from search import query
from search.errors import QueryError
from search.query import check_box
from search.request import SUBJECT, Request
from ui.service.settings import (
    MOST_CURSOR,
    MOST_FILTER,
    MOST_FOLDERS,
    MOST_HITS,
    MOST_OFFSET,
    MOST_PHOTOS,
    MOST_REFINED,
    MOST_TEXT,
)


def _limited(name: str, more: str = "", **changes: Any) -> Any:
    """A field of `Request` with its alias, default and description, plus the given changes."""
    field = Request.model_fields[name]
    said = {"default": field.default, "alias": field.alias}
    return Field(**said | {"description": f"{field.description}{more}"} | changes)


def _told(value: Any, make: ValidatorFunctionWrapHandler) -> Any:
    try:
        return make(value)
    except QueryError as error:
        raise ValueError(str(error)) from error


def _tuple_of(kind: Any, least: int | None = None) -> GetPydanticSchema:
    """A list in JSON, a tuple in Python."""
    some = Annotated[list[kind], Field(min_length=least, max_length=MOST_PHOTOS)]
    return GetPydanticSchema(lambda _, make: make(Annotated[some, AfterValidator(tuple)]))


TOLD = WrapValidator(_told)
"""Reports an error of the search as an error in this part of the body."""
A_PHOTO = "00a1b2c3d4e5f60718293a4b5c6d7e8f"
"""An example id."""
PhotoId = Annotated[
    str,
    Field(
        pattern="^[0-9a-f]{32}$",
        description="The id of a photo, as returned in hits.",
        examples=[A_PHOTO],
    ),
]
OnePhoto = Annotated[
    tuple[str, ...],
    GetPydanticSchema(lambda _, make: make(Annotated[PhotoId, AfterValidator(lambda it: (it,))])),
]
"""A photo's id in JSON, a tuple of it in Python."""
FilterText = Annotated[
    str,
    Field(
        max_length=MOST_FILTER,
        description="Only photos that match: `camera: lens: type: date: in: near: within: has:`, "
        "as in `tips search --filter`.",
        examples=["date:2021..2023 -has:gps"],
    ),
]
CollectionName = Annotated[
    str | None,
    Field(
        max_length=100,
        description="The name of a collection, as listed by /v1/collections; by default the "
        "first one.",
    ),
]
Fraction = Annotated[float, Field(ge=0, le=1)]
PlaceBox = Annotated[
    tuple[Fraction, Fraction, Fraction, Fraction],
    AfterValidator(check_box),
    TOLD,
    Field(
        description="x0, y0, x1, y1 as fractions of the upright photo, x0 < x1 and y0 < y1.",
        examples=[[0.1, 0.2, 0.5, 0.6]],
    ),
]


@dataclass(frozen=True, slots=True)
class PlacedThing(query.PlacedThing):
    """A thing and the box where it should be."""

    text: Annotated[str, Field(min_length=1, max_length=MOST_TEXT, examples=["tree"])]
    box: PlaceBox


@dataclass(frozen=True, slots=True)
class MarkedPlace(query.Example):
    """A place in a photo of the collection: either a box or a point."""

    image: Annotated[PhotoId, Field(alias="photo")]
    box: PlaceBox | None = None
    point: Annotated[
        tuple[Fraction, Fraction] | None,
        Field(description="x, y as fractions of the upright photo.", examples=[[0.4, 0.6]]),
    ] = None
    positive: Annotated[bool, Field(description="False for what to exclude.")] = True


class InCollection(BaseModel):
    """A body with a fixed set of fields: unknown fields are rejected."""

    model_config = ConfigDict(extra="forbid")

    collection: CollectionName = None


class Asked(Request, InCollection):
    """A `Request` with the limits of the service. Of the fields in `SUBJECT`, a route's body has
    those that it `takes`; the others are `fixed`, or as the class has them.
    """

    model_config = ConfigDict(populate_by_name=False, defer_build=False)

    words: str = _limited(
        "words",
        " It cannot name files.",
        max_length=MOST_TEXT,
        examples=["a red umbrella in the rain"],
    )
    like: Annotated[tuple[PhotoId, ...], _tuple_of(PhotoId)] = _limited("like")
    unlike: Annotated[tuple[PhotoId, ...], _tuple_of(PhotoId)] = _limited("unlike")
    box: PlaceBox | None = _limited("box")
    layout: Annotated[tuple[PlacedThing, ...], _tuple_of(Annotated[PlacedThing, TOLD], least=1)] = (
        _limited("layout", default=...)
    )
    examples: Annotated[
        tuple[MarkedPlace, ...], _tuple_of(Annotated[MarkedPlace, TOLD], least=1)
    ] = _limited("examples", " At least one must be positive.", default=...)
    filter: FilterText = ""
    limit: int = _limited("limit", ge=1, le=MOST_HITS)
    offset: int = _limited("offset", ge=0, le=MOST_OFFSET)
    cursor: str = _limited("cursor", max_length=MOST_CURSOR)
    refine: bool = _limited("refine", f" At most {MOST_REFINED} hits.")

    def __init_subclass__(cls, takes: str = "", **fixed: Any) -> None:
        super().__init_subclass__()
        for name in SUBJECT.difference(takes.split()) if takes else ():
            cls.__annotations__[name] = ClassVar[Any]  # which takes the field away
            setattr(cls, name, fixed.get(name, Request.model_fields[name].default))

    @field_validator("refine", check_fields=False)
    @classmethod
    def _affordable(cls, refine: bool, others: ValidationInfo) -> bool:
        if refine and others.data.get("limit", 0) > MOST_REFINED:
            raise ValueError(f"at most {MOST_REFINED} hits can be refined; lower limit")
        return refine


class Question(Asked, takes="words like unlike"):
    """A search for photos, by words, photos or both. Hits exclude those in `like` and `unlike`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"q": "a dog on a beach", "filter": "date:2021", "limit": 10},
                {"q": "dog left of car", "all": True},
            ]
        }
    )


class PlaceQuestion(Asked, takes="words like unlike refine", by="places"):
    """A search for places, by words, photos or both. Hits are grouped by photo."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"q": "red umbrella", "limit": 10}]})


class SimilarQuestion(Asked, takes="like box"):
    """A search for photos like one of the collection, or for places like a part of it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"photo": A_PHOTO, "box": [0.1, 0.2, 0.5, 0.6]}]}
    )

    like: OnePhoto = Field(alias="photo")
    all: bool = _limited("all", default=True)


class LayoutQuestion(Asked, takes="layout refine"):
    """A search for photos that show things in the given boxes."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "things": [
                        {"text": "tree", "box": [0, 0, 0.4, 1]},
                        {"text": "dog", "box": [0.5, 0.6, 0.9, 1]},
                    ]
                }
            ]
        }
    )


class AgainQuestion(Asked, takes="examples refine"):
    """A search for the same thing in other photos."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "examples": [
                        {"photo": A_PHOTO, "box": [0.1, 0.2, 0.5, 0.6]},
                        {"photo": A_PHOTO, "point": [0.8, 0.3], "positive": False},
                    ]
                }
            ]
        }
    )

    all: bool = _limited("all", default=True)


class HeatQuestion(InCollection):
    """Words to locate in a photo."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"q": "red umbrella"}]})

    q: str = Field(min_length=1, max_length=MOST_TEXT, examples=["red umbrella"])
    exact: bool = Field(
        default=False, description="Compute it from the photo's pixels: finer, but slower."
    )


class ExplainQuestion(BaseModel):
    """A query to explain."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"q": "dog left of car and no cat"}]}
    )

    q: str = Field(min_length=1, max_length=MOST_TEXT, examples=["dog left of car and no cat"])
    by: Literal["photos", "places"] = Field(
        default="photos", description="Read it as in a search for photos or for places."
    )


class JobQuestion(InCollection):
    """Folders to index into a collection."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"folders": ["/photos/2024"]}]})

    folders: list[Annotated[str, Field(min_length=1, max_length=4096)]] = Field(
        default=[],
        max_length=MOST_FOLDERS,
        description="Absolute paths on the service's machine, below the folders that it is allowed "
        "to index; without any, the folders that the collection already has.",
        examples=[["/photos/2024"]],
    )
    retry_failed: bool = Field(
        default=False, description="Retry photos that could not be read before."
    )
