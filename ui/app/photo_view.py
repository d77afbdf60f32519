"""The view of one large photo: found places, words, file facts, and marks for "find again"."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Literal, cast, get_args

import streamlit as st

from search.hits import Hit, RegionHit
from tips_model.errors import TipsError
from ui.app import media, state
from ui.app.components.photo import Mark, Tool, show_photo
from ui.app.gallery import chosen
from ui.app.library import Library
from ui.app.page_results import Answer, around
from ui.app.state import Place, View
from ui.formatting import plain, shown
from ui.overlays import heat_picture, mask_picture, picture_address

Layer = Literal["None", "Box", "Mask", "Heat", "Features"]
LAYERS: tuple[Layer, ...] = get_args(Layer)
TOOLS: dict[Tool, str] = {
    "look": ":material/pan_tool_alt: Look",
    "box": ":material/crop_free: Box",
    "point": ":material/add_circle: This",
    "not": ":material/do_not_disturb_on: Not this",
}
MARKS = "marks"  # session key: marks by photo


@st.fragment
def show_detail(library: Library, view: View, answer: Answer | None) -> None:
    """The open photo. A fragment: words, layers and marks do not redraw the page."""
    assert view.photo is not None
    hit = library.hit(view.photo)
    if hit is None:
        st.warning("This photo is not in the collection.", icon=":material/hide_image:")
        if st.button("Back to the photos", icon=":material/arrow_back:"):
            _leave()
        return
    beside = around(library, answer, hit.id)
    _bar(hit, beside.place, beside.total)
    picture, side = st.columns([3, 1], gap="medium")
    with picture:
        with st.container(
            key="pointing", horizontal=True, vertical_alignment="bottom", gap="small"
        ):
            words = _words(view)
            layer = _layers(bool(words) or view.finds_places)
            tool = _tools()
        _found_again(view, hit)
        step = _large(library, view, hit, words, layer, tool, (beside.previous, beside.next))
    with side:
        _actions(hit)
        st.html(_facts(library.facts(hit.id)))
    library.pictures.look_ahead([each for each in (beside.next, beside.previous) if each])
    if step == "close":
        _leave()
    target = {"previous": beside.previous, "next": beside.next}.get(step or "")
    if target:
        state.open_photo(target)
        st.rerun()


def _bar(hit: Hit, place: int | None, total: int) -> None:
    """The back button, and the photo's name and position."""
    with st.container(key="bar", horizontal=True, vertical_alignment="center", gap="small"):
        if st.button("Back", icon=":material/arrow_back:", key="back"):
            _leave()
        name = plain(shown(hit.path).rpartition("/")[2]) or "Photo"
        st.markdown(f"**{name}**", width="stretch")
        if place is not None:
            st.caption(f"{place + 1:,} of {total:,}", width="content")


def _words(view: View) -> str:
    found = st.text_input(
        "Where in this photo is …",
        value=view.q,
        key=f"where-{view.q}",
        placeholder="one or more words",
        icon=":material/my_location:",
        max_chars=500,
        width=260,
    )
    return found.strip()


def _layers(anything: bool) -> Layer:
    layer = st.segmented_control(
        "Show",
        LAYERS,
        default="Box" if anything else "None",
        required=True,
        key="layer",
        help="Features: parts that look alike to the model have the same colour (principal "
        "components of the patches).",
    )
    return cast(Layer, layer or "None")


def _tools() -> Tool:
    """What pointing into the photo does."""
    tool = st.segmented_control(
        "Select a thing to find it everywhere",
        list(TOOLS),
        format_func=lambda name: TOOLS[name],
        default="look",
        required=True,
        key="tool",
    )
    return tool or "look"


def _found_again(view: View, hit: Hit) -> None:
    """The button that searches for everything like the marked places."""
    places = marked_places(view)
    if not places:
        return
    good = sum(place.positive for place in places)
    said = f"{good} to find" + (f", {len(places) - good} not to find" if good < len(places) else "")
    with st.container(key="marked", horizontal=True, vertical_alignment="center", gap="small"):
        if st.button(
            "Find everywhere",
            type="primary",
            icon=":material/travel_explore:",
            disabled=not good,
            key="find",
        ):
            st.session_state.pop(MARKS, None)
            state.find_again(places)
            st.rerun()
        if st.button("Clear marks", icon=":material/close:", key="clear-marks"):
            st.session_state[MARKS] = {}
            state.forget("find")
            state.open_photo(hit.id)
            st.rerun()
        st.caption(said, width="content")


def marked_places(view: View) -> tuple[Place, ...]:
    """The marks of this session in all photos; those of the URL until the first change."""
    kept: dict[str, tuple[Mark, ...]] | None = st.session_state.get(MARKS)
    if kept is None:
        return view.find
    return tuple(
        Place(photo, (mark.x0, mark.y0, mark.x1, mark.y1), mark.positive)
        for photo, marks in kept.items()
        for mark in marks
    )


def _actions(hit: Hit) -> None:
    marked = chosen()
    with st.container(key="actions", horizontal=True):
        if st.button("More like this", icon=":material/add_photo_alternate:", key="more"):
            state.more_like(hit.id)
            st.rerun()
        if st.button(
            "Fewer", icon=":material/playlist_remove:", key="less", help="Fewer like this"
        ):
            state.less_like(hit.id)
            st.rerun()
        label, icon = ("Selected", "check_circle") if hit.id in marked else ("Select", "circle")
        if st.button(label, icon=f":material/{icon}:", key="choose", help="Select for export"):
            if hit.id in marked:
                del marked[hit.id]
            else:
                marked[hit.id] = None
            st.rerun(scope="fragment")


def _large(
    library: Library,
    view: View,
    hit: Hit,
    words: str,
    layer: Layer,
    tool: Tool,
    around: tuple[str | None, str | None],
) -> str | None:
    """The photo with its layer and marks; returns the user's navigation step, if any."""
    source = media.photo_address(library, hit.id)
    try:
        library.pictures.large(hit.id)
    except TipsError as error:
        st.warning(f"{plain(str(error))} Showing its thumbnail.", icon=":material/broken_image:")
        source = media.thumbnail_address(library, hit.id)
    places: Sequence[RegionHit] = ()
    heat = mask = None
    try:
        if layer in ("Box", "Mask"):
            places = library.places(hit.id, view, words)
            mask = mask_picture([place.mask for place in places]) or None
        elif layer == "Heat" and words:
            heat = heat_picture(library.heat(hit.id, words, exact=True))
        elif layer == "Features":
            heat = picture_address(library.features(hit.id))
    except TipsError as error:
        st.caption(plain(str(error)))
    marks = [mark for mark in _marks(view, hit.id)]
    events = show_photo(
        key="photo-large",
        src=source,
        alt=f"{shown(hit.path)}, {layer.lower()} of {words}" if words else shown(hit.path),
        width=hit.width,
        height=hit.height,
        boxes=[(place.box, place.text or f"{place.score:.2f}") for place in places],
        mask=mask,
        heat=heat,
        overlay="Heat" if layer == "Features" else layer,
        opacity=1.0 if layer == "Features" else float(st.session_state.get("opacity", 0.65)),
        marks=marks,
        tool=tool,
        has_previous=around[0] is not None,
        has_next=around[1] is not None,
    )
    if words and layer in ("Box", "Mask") and not places:
        st.caption("No clear match for these words in this photo.")
    if events.marks is not None:
        _keep_marks(view, hit.id, events.marks)
        st.rerun(scope="fragment")
    return events.go


def _marks(view: View, photo: str) -> list[Mark]:
    return [
        Mark("point" if place.is_point else "box", *place.box, place.positive)
        for place in marked_places(view)
        if place.photo == photo
    ]


def _keep_marks(view: View, photo: str, marks: Sequence[Mark]) -> None:
    if MARKS not in st.session_state:
        others = dict.fromkeys(place.photo for place in view.find)
        st.session_state[MARKS] = {other: tuple(_marks(view, other)) for other in others}
    st.session_state[MARKS][photo] = tuple(marks)


def _leave() -> None:
    state.close_photo()
    st.rerun()


def _facts(facts: Sequence[tuple[str, str]]) -> str:
    rows = "".join(
        f"<dt>{html.escape(label)}</dt><dd>{html.escape(text)}</dd>" for label, text in facts
    )
    return f'<dl class="tips-facts">{rows}</dl>'
