"""What can be asked: the bodies of requests, with their limits."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from search.errors import QueryError
from search.hits import Box
from search.query import check_box
from ui.service.settings import (
    MOST_FILTER,
    MOST_FOLDERS,
    MOST_HITS,
    MOST_OFFSET,
    MOST_PHOTOS,
    MOST_REFINED,
    MOST_TEXT,
)


def _inside(box: Box) -> Box:
    try:
        check_box(box)
    except QueryError as error:
        raise ValueError(str(error)) from error
    return box


A_PHOTO = "00a1b2c3d4e5f60718293a4b5c6d7e8f"
"""An id, in examples."""
PhotoId = Annotated[
    str,
    Field(
        pattern="^[0-9a-f]{32}$",
        description="The id of a photo, as hits have it.",
        examples=[A_PHOTO],
    ),
]
Words = Annotated[
    str,
    Field(
        max_length=MOST_TEXT,
        description="What the photo shows, in English: a sentence, weighted terms "
        "(`2:red mug - coffee`), or things with places (`dog left of car`). Files cannot be named.",
        examples=["a red umbrella in the rain"],
    ),
]
FilterText = Annotated[
    str,
    Field(
        max_length=MOST_FILTER,
        description="Only photos that fit: `camera: lens: type: date: in: near: within: has:`, as "
        "`tips search --filter` takes it.",
        examples=["date:2021..2023 -has:gps"],
    ),
]
CollectionName = Annotated[
    str | None,
    Field(
        max_length=100,
        description="The name of a collection, as /v1/collections lists it; the first when it is "
        "left out.",
    ),
]
Fraction = Annotated[float, Field(ge=0, le=1)]
PlaceBox = Annotated[
    tuple[Fraction, Fraction, Fraction, Fraction],
    AfterValidator(_inside),
    Field(
        description="x0, y0, x1, y1 as fractions of the upright photo, x0 < x1 and y0 < y1.",
        examples=[[0.1, 0.2, 0.5, 0.6]],
    ),
]


class Asked(BaseModel):
    """A body whose fields are known: another one is a mistake, and is said to be."""

    model_config = ConfigDict(extra="forbid")

    collection: CollectionName = None


class Page(Asked):
    """Which hits, and how many."""

    filter: FilterText = ""
    limit: int = Field(default=20, ge=1, le=MOST_HITS, description="At most so many hits.")
    offset: int = Field(
        default=0, ge=0, le=MOST_OFFSET, description="Leave out so many hits before."
    )
    all: bool = Field(
        default=False,
        description="Also possible hits: those that do not stand out from what unrelated words "
        "find in this collection.",
    )


class RefinedPage(Page):
    """A page of places, which may be computed again from the photos."""

    refine: bool = Field(
        default=False,
        description="Compute the places of the hits again from the photos: tighter boxes, at some "
        f"passes of the model a photo; at most {MOST_REFINED} hits.",
    )

    @field_validator("refine")
    @classmethod
    def _affordable(cls, refine: bool, others: ValidationInfo) -> bool:
        if refine and others.data.get("limit", 0) > MOST_REFINED:
            raise ValueError(f"at most {MOST_REFINED} hits can be refined; lower limit")
        return refine


class Composed(BaseModel):
    """Words, photos of the collection, or both."""

    q: Words = ""
    like: list[PhotoId] = Field(
        default=[], max_length=MOST_PHOTOS, description="Photos to find more of."
    )
    unlike: list[PhotoId] = Field(
        default=[], max_length=MOST_PHOTOS, description="Photos to find less of."
    )


class Question(Page, Composed):
    """Photos for words and photos. What `like` and `unlike` name is not among the hits."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"q": "a dog on a beach", "filter": "date:2021", "limit": 10},
                {"q": "dog left of car", "all": True},
            ]
        }
    )


class PlaceQuestion(RefinedPage, Composed):
    """Places for words and photos, grouped by photo."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"q": "red umbrella", "limit": 10}]})


class SimilarQuestion(Page):
    """Photos like one of the collection, or places like a part of it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"photo": A_PHOTO, "box": [0.1, 0.2, 0.5, 0.6]}]}
    )

    photo: PhotoId
    box: PlaceBox | None = Field(
        default=None, description="A part of the photo: places like it are found."
    )
    all: bool = Field(
        default=True, description="Also possible hits, as nothing but likeness is asked for."
    )


class PlacedThing(BaseModel):
    """A thing and where it shall be."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(min_length=1, max_length=MOST_TEXT, examples=["tree"])
    box: PlaceBox


class LayoutQuestion(RefinedPage):
    """Photos that show things where they are placed."""

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

    things: list[PlacedThing] = Field(min_length=1, max_length=MOST_PHOTOS)


class MarkedPlace(BaseModel):
    """A place in a photo of the collection: a box or a point, one of the two."""

    model_config = ConfigDict(extra="forbid")

    photo: PhotoId
    box: PlaceBox | None = None
    point: tuple[Fraction, Fraction] | None = Field(
        default=None, description="x, y as fractions of the upright photo.", examples=[[0.4, 0.6]]
    )
    positive: bool = Field(default=True, description="False for what shall not be found.")

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.box is None) == (self.point is None):
            raise ValueError("give a box or a point, one of the two")
        return self


class AgainQuestion(RefinedPage):
    """The same thing in other photos."""

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

    examples: list[MarkedPlace] = Field(
        min_length=1, max_length=MOST_PHOTOS, description="At least one of them is positive."
    )
    all: bool = Field(
        default=True, description="Also possible hits, as nothing but likeness is asked for."
    )


class HeatQuestion(Asked):
    """Where a photo shows the words."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"q": "red umbrella"}]})

    q: str = Field(min_length=1, max_length=MOST_TEXT, examples=["red umbrella"])
    exact: bool = Field(
        default=False, description="From the photo's pixels, which is finer and takes longer."
    )


class JobQuestion(Asked):
    """Folders to index into a collection."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"folders": ["/photos/2024"]}]})

    folders: list[Annotated[str, Field(min_length=1, max_length=4096)]] = Field(
        default=[],
        max_length=MOST_FOLDERS,
        description="Absolute paths on the machine of the service, below those that it was allowed "
        "to read; none means what the collection knows.",
        examples=[["/photos/2024"]],
    )
    retry_failed: bool = Field(
        default=False, description="Read photos once more that could not be read before."
    )
