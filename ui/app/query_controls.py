"""Query inputs besides words: a picture, a layout, similar photos, marked places. All parts of the
query are shown, and can be removed one by one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import streamlit as st
from PIL import Image

from search.explain import explain
from tips_model.errors import TipsError
from ui.app import state
from ui.app.components.canvas import draw_layout
from ui.app.components.picture import take_picture
from ui.app.library import Library
from ui.app.state import PlacedWord, View
from ui.formatting import counted, plain

PICTURES = "pictures"  # session key: uploaded pictures by name
MOST_PICTURES = 8
LOOK_AGAIN = 1.5  # seconds
WORDS = "layout-words"  # session key: the layout in the dialog


def picture(view: View) -> Image.Image | None:
    """The uploaded picture in the view's query, if the session still has it."""
    kept: dict[str, Image.Image] = st.session_state.get(PICTURES, {})
    return kept.get(view.picture or "")


def part_of_answer(view: View) -> View:
    """The view reduced to the fields that affect which photos are found."""
    return replace(view, overlay="Box", mode="Grid", photo=None)


def show_picture_button() -> None:
    """The button to search by a picture."""
    if st.button(
        "Picture",
        icon=":material/add_photo_alternate:",
        help="Search with a picture",
        key="by-picture",
    ):
        _ask_picture()


def show_layout_button() -> None:
    """The button to search by a layout."""
    if st.button(
        "Layout",
        icon=":material/dashboard_customize:",
        help="Search by layout: what should be where",
        key="by-layout",
    ):
        st.session_state.pop(WORDS, None)
        _ask_layout(state.current().layout)


def show_asked(library: Library, view: View) -> None:
    """The parts of the query besides words, each with a button to remove it."""
    if view.like or view.unlike:
        with _line("asked-photos"):
            _photos(library, "Like", view.like)
            _photos(library, "Unlike", view.unlike)
            if st.button("Clear", icon=":material/close:", key="clear-like"):
                state.forget("like")
                state.forget("unlike")
                st.rerun()
    if view.find:
        good = counted(sum(place.positive for place in view.find), "place")
        bad = sum(not place.positive for place in view.find)
        said = f"Things like those at {good}" + (f", not like {bad}" if bad else "")
        photos = tuple(dict.fromkeys(place.photo for place in view.find))
        with _line("asked-places"):
            _photos(library, said, photos)
            _clear("find")
    if view.layout:
        with _line("asked-layout"):
            placed = ", ".join(word.text for word in view.layout)
            st.markdown(f"Laid out: **{plain(placed)}**", width="content")
            if st.button("Change", icon=":material/edit:", key="change-layout"):
                st.session_state.pop(WORDS, None)
                _ask_layout(view.layout)
            _clear("layout")
    if view.picture:
        with _line("asked-picture"):
            shown = picture(view)
            if shown is not None:
                st.image(shown, width=72, output_format="JPEG", alt="Your picture")
            st.markdown("Photos like your picture", width="content")
            _clear("picture")
    if view.same:
        with _line("asked-same"):
            st.markdown("This photo and its near-duplicates", width="content")
            _clear("same")


def show_reading(view: View) -> None:
    """How the words are read, as chips, unless they are searched for as they are."""
    try:
        read = explain(view.q, places=view.finds_places) if view.q else None
    except TipsError:  # the answer says why they cannot be read
        return
    if read is None or (read.plain and len(read.parts) == 1):
        return
    with st.container(key="reading", horizontal=True, vertical_alignment="center", gap="small"):
        for line in read.lines:
            st.badge(plain(line), color="gray")


def show_examples(library: Library) -> None:
    """Example searches from the collection's contents, shown as they are found."""
    every = None if library.suggested_all else LOOK_AGAIN
    st.fragment(_examples, run_every=every)(library)


def _examples(library: Library) -> None:
    found = library.suggestions()
    with st.container(key="examples", horizontal=True, vertical_alignment="center", gap="small"):
        st.caption("Try" if found else "", width="content")
        for number, words in enumerate(found):
            if st.button(plain(words), key=f"example-{number}", type="tertiary"):
                state.search_words(words)
                st.rerun()


@st.dialog("Search by a picture", width="medium")
def _ask_picture() -> None:
    try:
        given = take_picture("picture")
    except TipsError as error:
        st.warning(plain(str(error)))
        return
    if given is None:
        return
    name = hashlib.sha256(given.tobytes()).hexdigest()[:32]
    kept: dict[str, Image.Image] = st.session_state.setdefault(PICTURES, {})
    kept[name] = given
    for old in list(kept)[:-MOST_PICTURES]:
        del kept[old]
    state.search_picture(name)
    st.rerun()


@st.dialog("Search by layout", width="large")
def _ask_layout(given: Sequence[PlacedWord]) -> None:
    words: tuple[PlacedWord, ...] = st.session_state.setdefault(WORDS, tuple(given))
    st.caption("Type a word and drag it to where the thing should be in the photo.")
    changed = draw_layout(key="layout-canvas", things=words)
    if changed is not None:
        words = st.session_state[WORDS] = changed
    if st.button("Find photos", type="primary", icon=":material/search:", disabled=not words):
        state.lay_out(words)
        st.rerun()


def _line(key: str) -> st.delta_generator.DeltaGenerator:
    return st.container(key=key, horizontal=True, vertical_alignment="center", gap="small")


def _photos(library: Library, label: str, identifiers: Sequence[str]) -> None:
    """A label and the thumbnails of some photos."""
    if not identifiers:
        return
    st.markdown(label, width="content")
    for identifier in identifiers:
        data = library.pictures.thumbnail(identifier)
        if data is not None:
            st.image(data, width=64, alt=label)


def _clear(name: str) -> None:
    if st.button("Clear", icon=":material/close:", key=f"clear-{name}"):
        state.forget(name)
        st.rerun()
