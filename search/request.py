"""The search request: what to look for, and which of the hits to show.

    Request(words="red bicycle", by="places", filter="date:2021", limit=5)

`Searcher.search` answers it. The command line, the page's URL, the service and its client all use
this one class and its descriptions, and a field added here appears in all of them. Importing it
loads no model, no engine and no numpy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypedDict

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    model_validator,
)
from pydantic.json_schema import SkipJsonSchema

from search.errors import QueryError
from search.query import Box, Example, ImageTerm, Made, PlacedThing, Query, check_box
from search.scenes.scene import Scene

if TYPE_CHECKING:
    from indexer.vectors import Filter
else:
    Filter = Any  # its module loads numpy; only Python can provide one


Sort = Literal["relevance", "newest", "oldest", "name", "random"]
"""Orders of an answer; see `search/sorting.py`."""
SUBJECT = frozenset(
    {"words", "like", "unlike", "pictures", "box", "exact", "layout", "examples", "by", "refine"}
)
"""Fields of a `Request` that define the query; a command or a route takes some of them, in its own
form. All take the other fields as they are here.
"""


class Page(TypedDict, total=False):
    """Page arguments of the short methods of `Searcher`: fields of `Request`."""

    filter: Filter | str | None
    limit: int
    offset: int
    cursor: str
    all: bool
    sort: Sort
    seed: int


class RefinedPage(Page, total=False):
    """The same for places."""

    refine: bool


class Request(BaseModel):
    """What to look for: words, photos and pictures together, or things in a layout, or examples.

    A wrong page, a box that is none, or two of these at once raise `QueryError`; words and filter
    are read when the question is asked. In JSON `words` is `q`, and `layout` is `things`.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, defer_build=True
    )  # built on first use: `tips --help` only reads the names of its fields

    words: Annotated[
        str | SkipJsonSchema[Annotated[Query, Made] | Annotated[Scene, Made]],
        PlainSerializer(str),
        Field(
            alias="q",
            description="What the photo shows, in English: a sentence, weighted terms "
            "(`2:red mug - coffee`), or things with places (`dog left of car`).",
        ),
    ] = ""
    like: tuple[str, ...] = Field(
        default=(), description="Photos of the collection that hits should be like."
    )
    unlike: tuple[str, ...] = Field(
        default=(), description="Photos of the collection that hits should be unlike."
    )
    pictures: SkipJsonSchema[tuple[Annotated[ImageTerm, Made], ...]] = Field(
        default=(), description="Pictures that hits should be like."
    )
    box: Box | None = Field(
        default=None, description="A part of the photo, to find places like it."
    )
    exact: bool = Field(
        default=False,
        description="Compute `box` and `like` from the photo's pixels, not from stored data.",
    )
    layout: Annotated[tuple[PlacedThing, ...], Field(alias="things")] = Field(
        default=(), description="Things, each with the box where it should be."
    )
    examples: tuple[Example, ...] = Field(
        default=(),
        description="Boxes and points in photos that show what to find, or what to exclude.",
    )
    by: Literal["photos", "places"] = Field(
        default="photos",
        description="Rank by the whole photo and its best place, or by the place alone.",
    )
    limit: int = Field(default=20, description="At most N photos.")
    offset: int = Field(default=0, description="Skip the first N photos.")
    cursor: str = Field(
        default="",
        description="Continue after the page whose `next` this is, instead of an offset.",
    )
    filter: str | SkipJsonSchema[Filter | None] = Field(
        default="",
        description="Only photos that match, such as 'camera:canon date:2021 -in:Trash'.",
    )
    all: bool = Field(
        default=False,
        description="Include weaker matches, which do not stand out from what unrelated words "
        "find.",
    )
    sort: Sort = Field(
        default="relevance",
        description="Order of the matches above the line; with `all`, of all photos. Photos "
        "without a date come last.",
    )
    seed: int = Field(default=0, description="Another number sorts at random in another order.")
    refine: bool = Field(
        default=False,
        description="Recompute the places from the photos for tighter boxes; takes one or more "
        "model passes per photo.",
    )

    @model_validator(mode="after")
    def _can_be_asked(self) -> Self:
        if self.limit < 1 or self.offset < 0:
            raise QueryError("A page has at least one hit and does not begin before the first.")
        if self.cursor and self.offset:
            raise QueryError("A page begins at a cursor or at an offset; give one of the two.")
        composed = self.words or self.like or self.unlike or self.pictures
        if bool(composed) + bool(self.layout) + bool(self.examples) > 1:
            raise QueryError(
                "A question is words and pictures, or a layout, or examples; ask one of the three."
            )
        if self.box is not None:
            check_box(self.box)
            if len(self.like) != 1 or self.words or self.unlike or self.pictures:
                raise QueryError("A box is a part of one photo: ask for it with that photo alone.")
        return self

    @property
    def finds_places(self) -> bool:
        """Whether hits are ranked by their best place: always so for a part of a photo, a layout
        and examples.
        """
        return self.by == "places" or bool(self.box or self.layout or self.examples)

    @property
    def query(self) -> Query | Scene:
        """Parse words, pictures and layout. Raises `QueryError`; for a syntax error, a
        `QuerySyntaxError` with the spot.
        """
        from search.layout import layout_scene
        from search.scenes.language import parse, with_pictures
        from search.typed_filters import typed_filters

        if self.layout:
            return layout_scene(self.layout)
        photos = [ImageTerm(photo, box=self.box) for photo in self.like]
        photos += [ImageTerm(photo, -1.0) for photo in self.unlike]
        terms = (*photos, *self.pictures)
        if isinstance(self.words, str):
            words = typed_filters(self.words).words
            if not words.strip() and terms:
                return Query(images=terms)
            if not words.strip() and self.words.strip():
                raise QueryError(f"'{self.words}' only filters; add what the photos show.")
            return with_pictures(parse(words, places=self.finds_places), terms)
        return with_pictures(self.words, terms)

    @property
    def within(self) -> Filter | None:
        """The filter and the filters among the words, without the photos that the query names; None
        when it keeps everything. Raises `FilterError`.
        """
        from indexer.vectors import All, Match, Not
        from search.filters import parse_filter
        from search.typed_filters import typed_filters

        written = parse_filter(self.filter) if isinstance(self.filter, str) else self.filter
        typed = parse_filter(
            typed_filters(self.words).filter if isinstance(self.words, str) else ""
        )
        if typed is not None:
            written = typed if written is None else All((written, typed))
        named = (*self.like, *self.unlike, *(example.image for example in self.examples))
        if not named:
            return written
        others = Not(Match("image", tuple(dict.fromkeys(named))))
        return others if written is None else All((written, others))

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know of how the words were read."""
        from search.typed_filters import typed_filters

        if not isinstance(self.words, str):
            return ()
        typed = typed_filters(self.words)
        return (*((f"Filter: {typed.filter}",) if typed.filter else ()), *typed.notes)
