"""What a state of the page asks, put to the search."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image

from indexer.vectors import Filter
from search.errors import QueryError
from search.hits import Results
from search.query import Example, Query
from search.scenes.scene import Scene
from ui import question as asked_of
from ui.app.state import Place, View
from ui.question import refuse_files

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
    """The nearest photos for what the view asks, weak ones too; `only` narrows to these ids.

    Raises `TipsError` for what cannot be asked.
    """
    within = narrowed(view, only)
    if view.layout:
        for word in view.layout:
            refuse_files(word.text)
        things = [(word.text, word.box) for word in view.layout]
        return searcher.layout(things, limit=limit, offset=offset, filter=within, all=True)
    if view.find:
        examples = [example(place) for place in view.find]
        return searcher.find_again(examples, limit=limit, offset=offset, filter=within, all=True)
    method = searcher.regions if view.finds_places else searcher.images
    asked = question(view, picture)
    return method(asked, limit=limit, offset=offset, filter=within, all=True)


def question(view: View, picture: Image.Image | None) -> Query | Scene:
    """Words and pictures of a view, see `ui.question.question`."""
    if view.picture and picture is None:
        raise QueryError("The uploaded picture is not here any more; choose it again.")
    return asked_of.question(
        view.q, like=view.like, unlike=view.unlike, picture=picture, places=view.finds_places
    )


def narrowed(view: View, only: tuple[str, ...] = ()) -> Filter | None:
    """The view's filter, without the photos that are part of the question."""
    return asked_of.narrowed(view.filter, without=(*view.like, *view.unlike), only=only)


def example(place: Place) -> Example:
    """A place that the user marked, as the search takes it."""
    if place.is_point:
        return Example(place.photo, point=place.box[:2], positive=place.positive)
    return Example(place.photo, box=place.box, positive=place.positive)
