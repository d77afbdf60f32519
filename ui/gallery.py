"""The grid of photos: a card for each, its picture opens it, its foot says its name and score."""

from __future__ import annotations

import html
from collections.abc import Sequence

import streamlit as st

from search.hits import Hit
from tips_model.errors import TipsError
from ui import state
from ui.services import Answer, Library, drawn
from ui.state import Overlay, View
from ui.words import counted, plain, shown

CACHED_CARDS = 1000
Key = tuple[str, int, str, str]  # collection, revision, question, kind of card


def show_answer(library: Library, view: View, answer: Answer, revision: int) -> None:
    """The count, the confident hits with their pages, and the possible ones folded away."""
    for note in answer.notes:
        st.caption(plain(note))
    possible = len(answer.possible)
    if answer.confident:
        st.markdown(f"**{answer.confident:,} confident** of {counted(answer.searched, 'photo')}")
        show_grid(library, view, answer.hits, "gallery", revision)
        show_pages(view.page, answer.pages)
    else:
        show_nothing(view, answer)
    if possible:
        label = f"The {possible:,} nearest of the rest"
        fold = st.expander(label, key="fold", on_change="rerun")
        if fold.open:  # nothing is drawn for those who do not look
            with fold:
                st.caption("Possible, no more: unrelated words would find as much here.")
                show_grid(library, view, answer.possible, "possible", revision)


def show_nothing(view: View, answer: Answer) -> None:
    """The honest answer, with the ways on."""
    looked = counted(answer.searched, "photo")
    st.markdown("#### Nothing found")
    if not answer.searched:
        st.markdown("No photo passes the filter. Take a part of it away.")
        return
    sentence = f"Among {looked}, none stands out from what unrelated words would find."
    st.markdown(f"{sentence} Try other words, or look at the nearest below.")
    if view.show == "Images":
        st.button(
            "Look for the words in parts of the photos",
            icon=":material/select_all:",
            on_click=_show_regions,
        )


def show_pages(page: int, pages: int) -> None:
    """Previous, where we are, next; nothing when one page holds all."""
    if pages == 1:
        return
    with st.container(horizontal=True, horizontal_alignment="center", vertical_alignment="center"):
        st.button(
            "Previous",
            key="previous",
            icon=":material/chevron_left:",
            disabled=page <= 1,
            on_click=state.turn_to,
            args=(page - 1,),
        )
        st.markdown(f"Page {page:,} of {pages:,}", width="content")
        st.button(
            "Next",
            key="next",
            icon=":material/chevron_right:",
            icon_position="right",
            disabled=page >= pages,
            on_click=state.turn_to,
            args=(page + 1,),
        )


def show_grid(library: Library, view: View, hits: Sequence[Hit], name: str, revision: int) -> None:
    """Cards in rows that fill the width. `name` tells this grid from others on the page."""
    with st.container(key=name):
        for hit in hits:
            _card(library, view, hit, name, revision)


def _card(library: Library, view: View, hit: Hit, grid: str, revision: int) -> None:
    key = f"{grid}-{hit.id}"
    file = shown(hit.path).rpartition("/")[2]
    picture = _picture(
        library,
        (str(library.collection.folder), revision, f"{view.q}\0{view.like}", view.show),
        hit.id,
        view.overlay if view.asks else "None",
        view.q,
        _hit=hit,
    )
    with st.container(key=f"card-{key}"):
        if picture is None:
            st.caption("No thumbnail")
        else:
            st.image(picture, width="stretch", alt=file)
        st.button(
            f"Open {plain(file)}", key=f"open-{key}", on_click=state.open_photo, args=(hit.id,)
        )
        with st.container(key=f"foot-{key}", horizontal=True, vertical_alignment="center"):
            st.html(_foot(file, hit, scored=view.asks))
            st.button(
                "More like this",
                key=f"more-{key}",
                icon=":material/filter_none:",
                help="More like this",
                type="tertiary",
                on_click=state.more_like,
                args=(hit.id,),
            )


def _foot(file: str, hit: Hit, *, scored: bool) -> str:
    name = html.escape(file)
    lines = [f'<p class="tips-name" title="{html.escape(shown(hit.path))}">{name}</p>']
    if scored:
        lines.append(f'<p class="tips-score">score {hit.score:.2f}</p>')
    return "".join(lines)


@st.cache_data(max_entries=CACHED_CARDS, show_spinner=False)
def _picture(
    _library: Library, key: Key, identifier: str, overlay: Overlay, words: str, *, _hit: Hit
) -> bytes | None:
    """The card's picture as JPEG; `key` and the arguments after it say which."""
    thumbnail = _library.thumbnail(identifier)
    if thumbnail is None:
        return None
    heat = None
    if overlay == "Heat" and words:
        try:
            heat = _library.heat(identifier, words, exact=False)
        except TipsError:
            heat = None
    return drawn(thumbnail, _hit, overlay, heat)


def _show_regions() -> None:
    st.session_state["show"] = "Regions"
    state.asked_anew()
