"""One photo, large: what was found in it, where other words are in it, and what its file says."""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Sequence

import streamlit as st

from search.hits import Hit
from tips_model.errors import TipsError
from ui import state
from ui.services import Library, drawn
from ui.state import OVERLAYS, Overlay, View
from ui.words import plain, shown


def show_detail(library: Library, view: View) -> None:
    """Open the dialog of the photo that the view names."""
    hit = library.hit(view.photo or "")
    if hit is None:
        st.warning(
            "The photo in this address is not in the collection.", icon=":material/hide_image:"
        )
        return
    title = plain(shown(hit.path).rpartition("/")[2]) or "Photo"
    st.dialog(title, width="large", on_dismiss=state.close_photo)(_body)(library, view, hit)


def _body(library: Library, view: View, hit: Hit) -> None:
    picture, facts = st.columns([2.2, 1], gap="large")
    with facts:
        words = st.text_input(
            "Where in this photo is …",
            value=view.q,
            key=f"where-{hit.id}-{view.q}",
            placeholder="a word or a few",
        )
        overlay = st.segmented_control(
            "Overlay", OVERLAYS, default=view.overlay, required=True, key=f"lay-{hit.id}"
        )
        st.html(_facts(library.facts(hit.id)))
        st.button(
            "More like this",
            key=f"like-{hit.id}",
            icon=":material/filter_none:",
            on_click=state.more_like,
            args=(hit.id,),
            width="stretch",
        )
    with picture:
        _large(library, hit, words.strip(), overlay or "None")


def _large(library: Library, hit: Hit, words: str, overlay: Overlay) -> None:
    try:
        photo = library.photo(hit.id)
    except TipsError:
        st.caption("The file cannot be read now; this is its thumbnail.")
        thumbnail = library.thumbnail(hit.id)
        if thumbnail is None:
            return
        photo = thumbnail
    heat = None
    if words and overlay != "None":
        try:
            hit = dataclasses.replace(hit, regions=library.places(hit.id, words))
            heat = library.heat(hit.id, words, exact=True) if overlay == "Heat" else None
        except TipsError as error:
            st.caption(plain(str(error)))
    with st.container(key="large"):
        alt = f"{shown(hit.path)}, {overlay.lower()} of {words}" if words else shown(hit.path)
        st.image(drawn(photo, hit, overlay, heat, words), width="stretch", alt=alt)
    if words and overlay != "None" and not hit.regions:
        st.caption("No place in this photo stands out for these words.")


def _facts(facts: Sequence[tuple[str, str]]) -> str:
    rows = "".join(
        f"<dt>{html.escape(label)}</dt><dd>{html.escape(text)}</dd>" for label, text in facts
    )
    return f'<dl class="tips-facts">{rows}</dl>'
