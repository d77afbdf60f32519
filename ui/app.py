"""The app in the browser: one box, a grid of photos with the places found, and a photo in large.

tips ui -c DIR          (runs `streamlit run ui/app.py` with the theme of `.streamlit/config.toml`)
"""

from __future__ import annotations

import os
from pathlib import Path

import streamlit as st

from search.errors import QuerySyntaxError
from tips_model.errors import TipsError
from ui import state
from ui.detail import show_detail
from ui.gallery import show_answer, show_grid
from ui.options import default_collection
from ui.services import Answer, Library
from ui.state import OVERLAYS, SHOWS, View
from ui.words import counted, plain

STYLE = Path(__file__).with_name("page.css")
ICON = Path(__file__).with_name("icon.png")  # a named one would be fetched from a server
OPEN_COLLECTIONS = 4


@st.cache_resource(max_entries=OPEN_COLLECTIONS, show_spinner="Opening the collection …")
def open_library(folder: str) -> Library:
    """The collection, opened once for all sessions."""
    return Library.open(Path(folder))


def page() -> None:
    """Draw the page."""
    st.set_page_config(page_title="tips-search", page_icon=ICON, layout="wide")
    st.html(STYLE)
    folder = os.environ.get("TIPS_COLLECTION") or str(default_collection())
    try:
        library = open_library(folder)
        revision = library.refresh()
    except TipsError as error:
        st.markdown("### No collection is open")
        st.error(plain(str(error)), icon=":material/folder_off:")
        st.markdown("Make one in a terminal, then load this page again:")
        st.code("tips index ~/Pictures\ntips ui", language="bash")
        return
    show_controls(library)
    view = state.current()
    show_like(library, view)
    if view.asks:
        show_search(library, view, revision)
    else:
        show_start(library, view, revision)
    if view.photo:
        show_detail(library, view)


def show_controls(library: Library) -> None:
    """Title, note on the model, search box, filter and switches."""
    counts = library.counts()
    failed = f", {counts['failed']:,} could not be read" if counts["failed"] else ""
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"
    ):
        st.markdown("### :material/image_search: tips-search", width="content")
        model = plain(library.collection.model.name)
        st.caption(f"{counted(counts['ok'], 'photo')}{failed} · {model}", width="content")
    if library.collection.model.note:
        st.info(plain(library.collection.model.note), icon=":material/info:")
    st.text_input(
        "Search",
        key="q",
        bind="query-params",
        type="search",
        icon=":material/search:",
        placeholder="What does the photo show?",
        label_visibility="collapsed",
        on_change=state.asked_anew,
        max_chars=500,
    )
    with st.container(key="switches", horizontal=True, vertical_alignment="bottom", gap="medium"):
        st.segmented_control(
            "Look for",
            SHOWS,
            default="Images",
            required=True,
            key="show",
            bind="query-params",
            on_change=state.asked_anew,
        )
        st.segmented_control(
            "Overlay", OVERLAYS, default="Box", required=True, key="overlay", bind="query-params"
        )
        st.text_input(
            "Filter",
            key="filter",
            bind="query-params",
            placeholder='camera:canon date:2021-05 in:"Trip to Rome" -type:png',
            on_change=state.asked_anew,
            max_chars=500,
            width=420,
        )


def show_like(library: Library, view: View) -> None:
    """The photo that others should be like, with the way to let it go."""
    if view.like is None:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        thumbnail = library.thumbnail(view.like)
        if thumbnail is not None:
            st.image(thumbnail, width=72, alt="The photo that others should be like")
        st.markdown("Photos like this one", width="content")
        st.button("Clear", icon=":material/close:", on_click=state.forget_like)


def show_search(library: Library, view: View, revision: int) -> None:
    """Ask, unless the answer is still here, and show it."""
    asked = (
        library.collection.folder,
        revision,
        view.q,
        view.show,
        view.filter,
        view.page,
        view.like,
    )
    if st.session_state.get("asked") != asked:
        try:
            st.session_state["answer"] = library.answer(view)
        except TipsError as error:
            st.session_state.pop("asked", None)
            st.warning(plain(str(error)), icon=":material/edit:")
            if isinstance(error, QuerySyntaxError):
                st.code(error.marked(), language=None)
            return
        st.session_state["asked"] = asked
    answer: Answer = st.session_state["answer"]
    show_answer(library, view, answer, revision)


def show_start(library: Library, view: View, revision: int) -> None:
    """Nothing was asked yet: some of the photos, to begin with."""
    sample = library.sample()
    if not sample:
        st.markdown("This collection has no photos yet.")
        st.code("tips index ~/Pictures", language="bash")
        return
    st.markdown("From this collection")
    show_grid(library, view, sample, "sample", revision)


page()
