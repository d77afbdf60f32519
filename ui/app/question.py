"""Builds search requests from the page's state and runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from PIL import Image

from indexer.vectors import All, Match
from search.errors import QueryError
from search.filters import parse_filter
from search.hits import Results
from search.query import Example, ImageTerm, Query
from search.request import Page, Request
from search.scenes.language import refuse_files
from search.scenes.scene import Scene
from ui.app.state import Place, View

if TYPE_CHECKING:
    from search.searcher import Searcher


def ask(
    searcher: Searcher,
    view: View,
    picture: Image.Image | None,
    *,
    limit: int,
    offset: int = 0,
    only: tuple[str, ...] = (),
) -> Results:
    """The nearest photos for the view, weak ones too; `only` restricts to these ids.

    Raises `TipsError` for an invalid question.
    """
    asked = request(view, picture, limit=limit, offset=offset, all=True)
    if only:
        parts = (parse_filter(view.filter), Match("image", only))
        within = All(tuple(part for part in parts if part is not None))
        asked = asked.model_copy(update={"filter": within})
    return searcher.search(asked)


def request(view: View, picture: Image.Image | None, **page: Unpack[Page]) -> Request:
    """The view as a `Request`. `picture` is the uploaded one that the URL names. Raises
    `QueryError` when that is gone, and for words that name a file.
    """
    page["filter"] = view.filter
    for words in [word.text for word in view.layout] or [view.q]:
        refuse_files(words)
    if view.layout:
        return Request(layout=view.layout, **page)
    if view.find:
        return Request(examples=tuple(example(place) for place in view.find), **page)
    if view.picture and picture is None:
        raise QueryError("The uploaded picture has expired; choose it again.")
    return Request(
        words=view.q,
        like=view.like,
        unlike=view.unlike,
        pictures=() if picture is None else (ImageTerm(picture),),
        by="places" if view.finds_places else "photos",
        **page,
    )


def question(view: View, picture: Image.Image | None) -> Query | Scene:
    """Words and pictures of a view, parsed."""
    return request(view, picture).query


def example(place: Place) -> Example:
    """A place that the user marked, as a search example."""
    if place.is_point:
        return Example(place.photo, point=place.box[:2], positive=place.positive)
    return Example(place.photo, box=place.box, positive=place.positive)
