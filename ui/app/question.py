"""What a state of the page asks, put to the search."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from PIL import Image

from indexer.vectors import All, Filter, Match, Not
from search.errors import QueryError
from search.filters import parse_filter
from search.hits import Results
from search.language import QUOTED, TYPOGRAPHIC, parse, with_pictures
from search.query import Example, ImageTerm, Query
from search.scene import Scene
from ui.app.state import Place, View

if TYPE_CHECKING:
    from search.searcher import Searcher

NAMED_FILE = re.compile(r"(?:^|[\s(:])(?:\.{0,2}/|~/)")


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
    """Words and pictures, read as `tips search` and `tips regions` do. Files cannot be named: the
    page may be open to others than the owner of the disk.
    """
    refuse_files(view.q)
    terms = [ImageTerm(identifier) for identifier in view.like]
    terms += [ImageTerm(identifier, -1.0) for identifier in view.unlike]
    if view.picture and picture is None:
        raise QueryError("The uploaded picture is not here any more; choose it again.")
    if picture is not None:
        terms.append(ImageTerm(picture))
    if not view.q:
        return Query(images=tuple(terms))
    return with_pictures(parse(view.q, places=view.finds_places), tuple(terms))


def narrowed(view: View, only: tuple[str, ...] = ()) -> Filter | None:
    """The view's filter, without the photos that are part of the question."""
    parts: list[Filter] = []
    written = parse_filter(view.filter)
    if written is not None:
        parts.append(written)
    judged = (*view.like, *view.unlike)
    if judged:
        parts.append(Not(Match("image", judged)))
    if only:
        parts.append(Match("image", only))
    return All(tuple(parts)) if parts else None


def example(place: Place) -> Example:
    """A place that the user marked, as the search takes it."""
    if place.is_point:
        return Example(place.photo, point=place.box[:2], positive=place.positive)
    return Example(place.photo, box=place.box, positive=place.positive)


def refuse_files(words: str) -> None:
    """Raise `QueryError` for words that name a picture file outside quotes."""
    if NAMED_FILE.search(QUOTED.sub("", words.translate(TYPOGRAPHIC))):
        raise QueryError('A picture file cannot be named here; put the words in quotes ("...").')
