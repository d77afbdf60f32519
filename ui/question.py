"""What people ask from outside, over the page or the service, made ready for the search: words,
photos by id, an uploaded picture. Whoever asks need not be the owner of the disk, so files cannot
be named.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from indexer.vectors import All, Filter, Match, Not
from search.errors import QueryError
from search.filters import parse_filter
from search.query import ImageTerm, Query
from search.scenes.language import QUOTED, TYPOGRAPHIC, parse, with_pictures
from search.scenes.scene import Scene

if TYPE_CHECKING:
    from PIL import Image

NAMED_FILE = re.compile(r"(?:^|[\s(:])(?:\.{0,2}/|~/)")


def question(
    words: str,
    *,
    like: Sequence[str] = (),
    unlike: Sequence[str] = (),
    picture: Image.Image | None = None,
    places: bool = False,
) -> Query | Scene:
    """Words and pictures, read as `tips search` does, or with `places` as `tips regions` does.

    like, unlike: ids of indexed photos. Raises `QueryError` for what cannot be asked.
    """
    refuse_files(words)
    terms = [ImageTerm(identifier) for identifier in like]
    terms += [ImageTerm(identifier, -1.0) for identifier in unlike]
    if picture is not None:
        terms.append(ImageTerm(picture))
    if not words:
        return Query(images=tuple(terms))
    return with_pictures(parse(words, places=places), tuple(terms))


def narrowed(
    filter: str, *, without: tuple[str, ...] = (), only: tuple[str, ...] = ()
) -> Filter | None:
    """A filter's text with the photos (ids) `without` left out, and `only` those kept; None when it
    keeps everything. Raises `FilterError`.
    """
    written = parse_filter(filter)
    parts: list[Filter] = [] if written is None else [written]
    if without:
        parts.append(Not(Match("image", without)))
    if only:
        parts.append(Match("image", only))
    return All(tuple(parts)) if parts else None


def refuse_files(words: str) -> None:
    """Raise `QueryError` for words that name a picture file outside quotes."""
    if NAMED_FILE.search(QUOTED.sub("", words.translate(TYPOGRAPHIC))):
        raise QueryError('A picture file cannot be named here; put the words in quotes ("...").')
