"""The page's state, kept in its URL, so that a search is a link and the back button works.

Widgets are bound to the URL by Streamlit; everything else is written here. URLs can be typed by
hand: invalid parts are ignored.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar, cast, get_args
from urllib.parse import quote, unquote

import streamlit as st

from search.query import Box, PlacedThing
from search.typed_filters import typed_filters

Show = Literal["Photos", "Places"]
Overlay = Literal["None", "Box", "Mask", "Heat"]
Order = Literal["Best", "Newest", "Oldest"]
Mode = Literal["Grid", "Map"]
SHOWS: tuple[Show, ...] = get_args(Show)
OVERLAYS: tuple[Overlay, ...] = get_args(Overlay)
ORDERS: tuple[Order, ...] = get_args(Order)
MODES: tuple[Mode, ...] = get_args(Mode)
LONGEST_PAGE = 6  # digits
MOST_PHOTOS = 20  # photos to be like or unlike
MOST_MARKS = 20
MOST_THINGS = 8
LONGEST_WORD = 100  # characters
PENDING = "pending"  # session key: pending values for widgets that are drawn already
ASKED = ("like", "unlike", "find", "layout", "picture", "same")  # parts of the query besides words
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Place:
    """A place in an indexed photo that the user marked: a box, or a point with x0 == x1 and y0 ==
    y1, fractions of the upright picture; `positive` False excludes what is there.
    """

    photo: str
    box: Box
    positive: bool = True

    @property
    def is_point(self) -> bool:
        """Whether it is a point."""
        return self.box[:2] == self.box[2:]


@dataclass(frozen=True, slots=True)
class PlacedWord(PlacedThing):
    """A word and where on the canvas the user put it."""

    text: str


@dataclass(frozen=True, slots=True)
class View:
    """One state of the page.

    q: the query text. like, unlike: ids of photos that results should be like or unlike. find:
    places to find again. layout: words with their places. picture: name of an uploaded picture to
    search by (its pixels are kept in the session, never in the URL). same: a photo whose
    near-duplicates are shown.
    group: near-duplicates are shown as one. page: from 1. photo: id of the open photo.
    """

    q: str = ""
    show: Show = "Photos"
    filter: str = ""
    overlay: Overlay = "Box"
    order: Order = "Best"
    mode: Mode = "Grid"
    group: bool = False
    page: int = 1
    like: tuple[str, ...] = ()
    unlike: tuple[str, ...] = ()
    find: tuple[Place, ...] = ()
    layout: tuple[PlacedWord, ...] = ()
    picture: str | None = None
    same: str | None = None
    photo: str | None = None

    @property
    def asks(self) -> bool:
        """Whether there is a query."""
        return bool(self.q or self.like or self.picture or self.find or self.layout)

    @property
    def nearest(self) -> bool:
        """Whether the query asks for the nearest photos without a confidence line: for a picture or
        a place, absence cannot be detected.
        """
        return self.asks and not self.q and not self.layout

    @property
    def finds_places(self) -> bool:
        """Whether the hits are ranked by their best place."""
        by_words = self.show == "Places" and bool(self.q)
        return by_words or bool(self.find or self.layout)


def settle() -> None:
    """Apply pending values to widgets, and move filters from the box of words to the filter; call
    it before any widget is drawn.
    """
    for name, value in st.session_state.pop(PENDING, {}).items():
        st.session_state[name] = value
    typed = typed_filters(str(st.session_state.get("q") or ""))
    if typed.filter:
        st.session_state["q"] = typed.words
        before = str(st.session_state.get("filter") or "")
        st.session_state["filter"] = " ".join(filter(None, (before, typed.filter)))


def current() -> View:
    """The state after the widgets have been drawn."""
    state, address = st.session_state, st.query_params
    view = View(
        q=str(state.get("q") or "").strip(),
        show=cast(Show, state.get("show") or "Photos"),
        filter=str(state.get("filter") or "").strip(),
        overlay=cast(Overlay, state.get("overlay") or "Box"),
        mode=cast(Mode, state.get("mode") or "Grid"),
        group=bool(state.get("group")),
        page=_page(address.get("page")),
        like=_identifiers(address.get("like")),
        unlike=_identifiers(address.get("unlike")),
        find=read_places(address.get("find") or ""),
        layout=read_words(address.get("layout") or ""),
        picture=_picture(address.get("picture")),
        same=_identifier(address.get("same")),
        photo=_identifier(address.get("photo")),
    )
    order = (state.get("order") or "Best") if view.asks else (state.get("dates") or "Newest")
    return replace(view, order=cast(Order, order))


def asked_anew() -> None:
    """A new query starts at page 1."""
    _forget("page", "photo", "same")


def open_photo(identifier: str) -> None:
    """Show one photo large."""
    st.query_params["photo"] = identifier


def close_photo() -> None:
    """Back to the grid."""
    _forget("photo")


def more_like(identifier: str) -> None:
    """Search for photos like this one too; the first one replaces the words."""
    _judge(identifier, "like", "unlike")


def less_like(identifier: str) -> None:
    """Search away from photos like this one."""
    _judge(identifier, "unlike", "like")


def find_again(places: Sequence[Place]) -> None:
    """Search for what is at these places; replaces words and pictures."""
    _ask_only("find", write_places(places))


def lay_out(words: Sequence[PlacedWord]) -> None:
    """Search for photos with this layout; replaces words and pictures."""
    _ask_only("layout", write_words(words))


def search_picture(name: str) -> None:
    """Search by the uploaded picture that the session keeps under this name."""
    _ask_only("picture", name)


def search_words(words: str) -> None:
    """Search for these words only."""
    _forget(*ASKED)
    _write("q", words)
    asked_anew()


def forget(name: str) -> None:
    """Remove one of `ASKED` from the query."""
    asked_anew()
    _forget(name)


def turn_to(page: int) -> None:
    """Go to another page of the hits."""
    st.query_params["page"] = str(page)


def use_filter(text: str) -> None:
    """Set the filter text."""
    _write("filter", text)
    asked_anew()


def rank_by(show: Show) -> None:
    """Rank photos, or the places in them."""
    _write("show", show)
    asked_anew()


def unfold(identifier: str) -> None:
    """Show a photo and its near-duplicates."""
    asked_anew()
    st.query_params["same"] = identifier


def write_places(places: Iterable[Place]) -> str:
    """Places as they appear in the URL; `read_places` reads them back, to four digits."""
    parts = []
    for place in places:
        numbers = place.box[:2] if place.is_point else place.box
        sign = "" if place.positive else "-"
        parts.append(f"{sign}{place.photo}@{_numbers(numbers)}")
    return ";".join(parts)


def read_places(text: str) -> tuple[Place, ...]:
    """The places in a URL."""

    def read(part: str) -> Place | None:
        name, _, numbers = part.removeprefix("-").partition("@")
        box = _box(numbers, points=True)
        if box is None or not is_identifier(name):
            return None
        return Place(name, box, not part.startswith("-"))

    return _parts(text, read, MOST_MARKS)


def write_words(words: Iterable[PlacedWord]) -> str:
    """Placed words as they appear in the URL; `read_words` reads them back, to four digits."""
    return ";".join(f"{quote(word.text, safe=' ')}@{_numbers(word.box)}" for word in words)


def read_words(text: str) -> tuple[PlacedWord, ...]:
    """The placed words in a URL."""

    def read(part: str) -> PlacedWord | None:
        name, _, numbers = part.partition("@")
        box = _box(numbers, points=False)
        word = unquote(name).strip()[:LONGEST_WORD]
        return PlacedWord(word, box) if box is not None and word else None

    return _parts(text, read, MOST_THINGS)


def is_identifier(value: object) -> bool:
    """Whether a value from outside has the form of a photo's id."""
    return isinstance(value, str) and len(value) == 32 and value.isascii() and value.isalnum()


def _judge(identifier: str, side: str, other: str) -> None:
    """Add a photo to the positive or negative side of the query."""
    if not st.query_params.get("like") and not st.query_params.get("unlike") and side == "like":
        _write("q", "")
    _forget("find", "layout", "picture")
    asked_anew()
    away = [known for known in _identifiers(st.query_params.get(other)) if known != identifier]
    here = [known for known in _identifiers(st.query_params.get(side)) if known != identifier]
    for name, ids in ((other, away), (side, [*here, identifier][-MOST_PHOTOS:])):
        if ids:
            st.query_params[name] = ",".join(ids)
        else:
            _forget(name)


def _ask_only(name: str, value: str) -> None:
    asked_anew()
    _forget(*ASKED)
    _write("q", "")
    if value:
        st.query_params[name] = value


def _write(name: str, value: object) -> None:
    st.session_state.setdefault(PENDING, {})[name] = value


def _forget(*names: str) -> None:
    for name in names:
        st.query_params.pop(name, None)


def _parts(text: str, read: Callable[[str], T | None], most: int) -> tuple[T, ...]:
    found = (read(part) for part in text.split(";") if part)
    return tuple(part for part in found if part is not None)[:most]


def _numbers(numbers: Iterable[float]) -> str:
    return ",".join(f"{number:.4f}".rstrip("0").rstrip(".") for number in numbers)


def _box(text: str, *, points: bool) -> Box | None:
    """Four fractions that form a box in the picture, or two that form a point, if points are
    allowed.
    """
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        return None
    if points and len(numbers) == 2:
        numbers *= 2
    if len(numbers) != 4 or not all(math.isfinite(n) and 0 <= n <= 1 for n in numbers):
        return None
    x0, y0, x1, y1 = numbers
    is_point = x0 == x1 and y0 == y1
    return (x0, y0, x1, y1) if (x0 < x1 and y0 < y1) or (points and is_point) else None


def _page(text: str | None) -> int:
    # An invalid page number means the first page.
    return max(1, int(text)) if text and text.isdecimal() and len(text) <= LONGEST_PAGE else 1


def _identifiers(text: str | None) -> tuple[str, ...]:
    names = dict.fromkeys((text or "").split(","))
    return tuple(name for name in names if is_identifier(name))[:MOST_PHOTOS]


def _identifier(text: str | None) -> str | None:
    return next(iter(_identifiers(text)), None)


def _picture(text: str | None) -> str | None:
    return text if text and text.isascii() and text.isalnum() and len(text) <= 64 else None
