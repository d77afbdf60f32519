"""The page of photos: the search box, the filters, and the results or all photos."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import streamlit as st

from search.errors import QuerySyntaxError
from tips_model.errors import TipsError
from ui import jobs
from ui.app import media, page_results, query_controls, state
from ui.app.collection_choice import chosen
from ui.app.export_menu import show_taking
from ui.app.filter_controls import show_duplicates, show_facets, show_filter, show_places, show_time
from ui.app.gallery import show_answer
from ui.app.job_panel import words
from ui.app.library import Library
from ui.app.page_results import Answer
from ui.app.photo_view import show_detail
from ui.app.state import MODES, ORDERS, SHOWS, View
from ui.formatting import counted, plain
from ui.registry import Known

OPEN_COLLECTIONS = 4
LOOK_AGAIN = 2.0  # seconds


@st.cache_resource(max_entries=OPEN_COLLECTIONS, show_spinner="Opening the collection …")
def open_library(folder: str) -> Library:
    """The collection, opened once and shared by all sessions."""
    library = Library(Path(folder))
    media.serve(library)
    return library


def show_photos() -> None:
    """Draw the page."""
    state.settle()
    try:
        entry = chosen()
        library = open_library(str(entry.path))
        revision = library.refresh()
    except TipsError as error:
        _no_collection(error)
        return
    _head(library, entry)
    _question()
    view = state.current()
    _show_job(library, entry)
    if not library.counts()["ok"]:
        st.markdown("This collection has no photos yet.")
        st.code("tips index ~/Pictures", language="bash")
        return
    # Widgets that are not drawn lose their values: with a photo open they are drawn hidden.
    with st.container(key="aside" if view.photo else "around"):
        query_controls.show_asked(library, view)
        query_controls.show_reading(view)
        bar = st.container(
            key="switches", horizontal=True, vertical_alignment="center", gap="small"
        )
        with bar:
            _switches(view)
        with nullcontext() if view.photo else st.sidebar:
            show_filter()
    view = state.current()
    if not view.asks and not view.filter and not view.photo:
        query_controls.show_examples(library)
    answer = _answered(library, view, revision)
    if view.photo:
        show_detail(library, view, answer)
        return
    if answer is None:
        return
    with bar:
        show_taking(library, view, answer)
    above = st.container()
    # The photos first: the filters are drawn afterwards, around them.
    if view.mode == "Map":
        show_places(library, view, answer)
    else:
        show_answer(library, view, answer)
    with above:
        if view.group:
            show_duplicates(library)
        show_time(library, view, answer)
    with st.sidebar:
        show_facets(library, view, answer)


def _show_job(library: Library, entry: Known) -> None:
    """Say that the collection is being indexed, and redraw the page when that is done, or when the
    first photo is there.
    """
    try:
        job = jobs.find(entry.path)
    except TipsError:
        return  # the page of collections reports the problem
    if job is not None and job.active:
        empty = not library.counts()["ok"]
        st.fragment(_watch, run_every=LOOK_AGAIN)(library, entry, empty)


def _watch(library: Library, entry: Known, empty: bool) -> None:
    job = jobs.find(entry.path)
    if job is None or not job.active or (empty and library.counts()["ok"]):
        st.rerun()
    st.caption(f":material/hourglass_top: {plain(words(job))}")


def _no_collection(error: TipsError) -> None:
    st.markdown("### No collection yet")
    st.error(plain(str(error)), icon=":material/folder_off:")
    st.markdown("Create one on the Collections page, or in a terminal, then reload this page:")
    st.code("tips index ~/Pictures\ntips ui", language="bash")


def _head(library: Library, entry: Known) -> None:
    """The collection's title and counts, and the model's note."""
    counts = library.counts()
    failed = f", {counts['failed']:,} could not be read" if counts["failed"] else ""
    model = library.collection.model
    with st.container(
        key="head",
        horizontal=True,
        horizontal_alignment="distribute",
        vertical_alignment="bottom",
    ):
        st.markdown(f"### {plain(entry.title)}", width="content")
        st.caption(
            f"{counted(counts['ok'], 'photo')}{failed} · {plain(model.name)}", width="content"
        )
    if model.note:
        st.caption(f":material/info: {plain(model.note)}")


def _question() -> None:
    """The search box, and the other kinds of queries beside it."""
    with st.container(key="ask", horizontal=True, vertical_alignment="bottom", gap="small"):
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
        query_controls.show_picture_button()
        query_controls.show_layout_button()


def _switches(view: View) -> None:
    """Ranking, order and display mode of the results."""
    if view.q:
        st.segmented_control(
            "Rank by",
            SHOWS,
            default="Photos",
            required=True,
            key="show",
            bind="query-params",
            on_change=state.asked_anew,
            label_visibility="collapsed",
            help="Photos: rank by the whole photo and its best place. Places: rank by the best "
            "place.",
        )
    st.segmented_control(
        "Order",
        ORDERS if view.asks else ORDERS[1:],
        default="Best" if view.asks else "Newest",
        required=True,
        key="order" if view.asks else "dates",
        bind="query-params",
        on_change=state.asked_anew,
        label_visibility="collapsed",
    )
    st.segmented_control(
        "View",
        MODES,
        default="Grid",
        required=True,
        key="mode",
        bind="query-params",
        label_visibility="collapsed",
    )
    st.toggle(
        "Fold near-duplicates",
        key="group",
        bind="query-params",
        on_change=state.asked_anew,
        help="Show one photo for each group of copies and near-identical shots.",
    )


def _answered(library: Library, view: View, revision: object) -> Answer | None:
    """The view's answer, from the session if it is still valid; None for an invalid question, which
    is reported.
    """
    repeats = library.repeats.state if view.group or view.same else 0
    asked = (library.token, revision, repeats, query_controls.part_of_answer(view))
    if st.session_state.get("asked") != asked:
        st.session_state.pop("asked", None)
        try:
            st.session_state["answer"] = page_results.answer(
                library, view, query_controls.picture(view)
            )
        except TipsError as error:
            st.warning(plain(str(error)), icon=":material/edit:")
            if isinstance(error, QuerySyntaxError):
                st.code(error.marked(), language=None)
            return None
        st.session_state["asked"] = asked
    answer: Answer = st.session_state["answer"]
    return answer
