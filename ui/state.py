"""What the page shows, kept in its address, so that a search is a link and the back button works.

The widgets `q`, `show`, `filter` and `overlay` are bound to the address by Streamlit; the page
number, the photo that is open
and the photo that others should be like are written here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast, get_args

import streamlit as st

Show = Literal["Images", "Regions"]
Overlay = Literal["None", "Box", "Mask", "Heat"]
SHOWS: tuple[Show, ...] = get_args(Show)
OVERLAYS: tuple[Overlay, ...] = get_args(Overlay)
WIDGETS = ("q", "show", "filter", "overlay")
LONGEST_PAGE = 6  # digits


@dataclass(frozen=True, slots=True)
class View:
    """One state of the page.

    q: the words searched for. like: id of the photo that others should be like. page: from 1.
    photo: id of the photo that is open.
    """

    q: str
    show: Show
    filter: str
    overlay: Overlay
    page: int
    like: str | None
    photo: str | None

    @property
    def asks(self) -> bool:
        """Whether anything is searched for."""
        return bool(self.q or self.like)

    @property
    def finds_places(self) -> bool:
        """Whether places are looked for, not photos."""
        return self.show == "Regions" and not self.like


def current() -> View:
    """The state after the widgets have been drawn."""
    state = st.session_state
    return View(
        q=str(state.get("q") or "").strip(),
        show=cast(Show, state.get("show") or "Images"),
        filter=str(state.get("filter") or "").strip(),
        overlay=cast(Overlay, state.get("overlay") or "Box"),
        page=_page(st.query_params.get("page")),
        like=_identifier(st.query_params.get("like")),
        photo=_identifier(st.query_params.get("photo")),
    )


def asked_anew() -> None:
    """Another question begins on its first page."""
    _forget("page", "photo")


def open_photo(identifier: str) -> None:
    """Show one photo large."""
    st.query_params["photo"] = identifier


def close_photo() -> None:
    """Back to the grid."""
    _forget("photo")


def more_like(identifier: str) -> None:
    """Search for photos like this one; the words give way."""
    st.session_state["q"] = ""
    asked_anew()
    st.query_params["like"] = identifier


def forget_like() -> None:
    """Search by words alone."""
    asked_anew()
    _forget("like")


def turn_to(page: int) -> None:
    """Show another page of the hits."""
    st.query_params["page"] = str(page)


def _forget(*names: str) -> None:
    for name in names:
        st.query_params.pop(name, None)


def _page(text: str | None) -> int:
    # Addresses can be typed: what is not a page number is the first page.
    return max(1, int(text)) if text and text.isdecimal() and len(text) <= LONGEST_PAGE else 1


def _identifier(text: str | None) -> str | None:
    return text if text and len(text) == 32 and text.isalnum() else None
