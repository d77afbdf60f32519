"""Controls that narrow the photos: filter text, facets with counts, folders, timeline and map. The
filter text is the single source of truth; all controls read and write it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import streamlit as st

from search.browse.facets import (
    FacetValue,
    Field,
    Folder,
    facets,
    folder,
    narrowed,
    spelled,
    subfolders,
)
from search.browse.selection import Choices, filter_text, read_choices
from search.errors import FilterError
from ui.app import query_controls, state
from ui.app.components.map import CELLS, WORLD, map_view, show_map
from ui.app.components.timeline import show_timeline
from ui.app.library import Library, Rows
from ui.app.page_results import Answer, found
from ui.app.state import View
from ui.formatting import plain, shown

TITLES: dict[Field, str] = {
    "years": "Year",
    "cameras": "Camera",
    "lenses": "Lens",
    "types": "File type",
}
OPEN_AT_FIRST = ("years", "cameras")
MOST_VALUES = 24
LOOK_AGAIN = 1.0  # seconds


def show_filter() -> None:
    """The filter as text."""
    st.text_input(
        "Filter",
        key="filter",
        bind="query-params",
        placeholder='camera:canon date:2021-05 in:"Trip to Rome" -type:png',
        on_change=state.asked_anew,
        max_chars=2000,
    )


def show_facets(library: Library, view: View, answer: Answer) -> None:
    """Facet values with counts; selected ones narrow the results."""
    choices = chosen(library, view)
    rows = found(library, view, query_controls.picture(view), answer)
    if view.filter and st.button("Clear the filter", icon=":material/filter_alt_off:"):
        state.use_filter("")
        st.rerun()
    _folders(library, view, choices, rows)
    values = facets(library.index, choices, rows, MOST_VALUES)
    for field in TITLES:
        if len(values[field]) > 1 or any(value.chosen for value in values[field]):
            _facet(view, choices, field, values[field])


def chosen(library: Library, view: View) -> Choices:
    """The choices in the view's filter, as the collection spells them; none if the filter cannot be
    parsed.
    """
    try:
        return spelled(library.index, read_choices(view.filter))
    except FilterError:
        return Choices(rest="")


def _facet(view: View, choices: Choices, field: Field, values: Sequence[FacetValue]) -> None:
    counts = {value.value: value.count for value in values}
    picked = [value.value for value in values if value.chosen]
    with st.expander(TITLES[field], expanded=field in OPEN_AT_FIRST or bool(picked)):
        after = st.pills(
            TITLES[field],
            list(counts),
            default=picked,
            selection_mode="multi",
            format_func=lambda value: f"{plain(str(value))} :gray[{counts[value]:,}]",
            label_visibility="collapsed",
            key=f"facet-{field}-{view.filter}",
        )
    if set(after) != set(picked):
        changed: dict[str, Any] = {field: tuple(after)}
        _use(replace(choices, **changed))


def _folders(library: Library, view: View, choices: Choices, rows: Rows | None) -> None:
    """The folders, one level at a time."""
    roots = library.collection.roots
    here = choices.folders[0] if len(choices.folders) == 1 else None
    index = library.index
    below = (
        [folder(index, root, rows) for root in roots]
        if here is None and len(roots) != 1
        else subfolders(index, here or roots[0], rows)
    )
    if not below and here is None:
        return
    with st.expander("Folder", expanded=True):
        if here is not None:
            above = _above(here, roots)
            label = shown(above).rpartition("/")[2] if above else "All folders"
            if st.button(
                plain(label), icon=":material/arrow_upward:", type="tertiary", key="folder-up"
            ):
                _use(replace(choices, folders=(above,) if above else ()))
            st.markdown(f"**{plain(shown(here).rpartition('/')[2] or '/')}**")
        for number, each in enumerate(below[:MOST_VALUES]):
            _folder(choices, each, f"folder-{number}")
        if len(below) > MOST_VALUES:
            st.caption(f"and {len(below) - MOST_VALUES:,} more; add `in:NAME` to the filter")


def _folder(choices: Choices, each: Folder, key: str) -> None:
    label = f"{plain(shown(each.path).rpartition('/')[2] or '/')} :gray[{each.count:,}]"
    if st.button(label, icon=":material/folder:", type="tertiary", key=key):
        _use(replace(choices, folders=(each.path,)))


def _above(here: str, roots: Sequence[str]) -> str | None:
    """The parent folder, None at the top of a root."""
    parent = here.rsplit("/", 1)[0]
    inside = any(parent.startswith(root.rstrip("/") + "/") for root in roots)
    return parent if inside else None


def _use(choices: Choices) -> None:
    state.use_filter(filter_text(choices))
    st.rerun()


def show_time(library: Library, view: View, answer: Answer) -> None:
    """The timeline of the photos; selecting a range narrows the results."""
    choices = chosen(library, view)
    rows = narrowed(
        library.index,
        choices,
        found(library, view, query_controls.picture(view), answer),
        without="months",
    )
    months = library.index.months(rows)
    if len(months) < 2 and choices.months is None:
        return
    change = show_timeline(
        key="timeline",
        months=months,
        chosen=choices.months,
        undated=library.index.undated(rows),
    )
    if change is not None and change.months != choices.months:
        _use(replace(choices, months=change.months))


@st.fragment
def show_places(library: Library, view: View, answer: Answer) -> None:
    """The photos on a map. A fragment: moving the map does not repeat the search."""
    extent = library.index.extent(answer.rows)
    if extent is None:
        st.markdown("None of these photos has a location.")
        return
    seen = map_view("map")
    asked = seen.asked if seen else (WORLD, CELLS)
    events = show_map(
        key="map",
        clusters=library.index.clusters(answer.rows, *asked),
        view=extent,
        tiles=os.environ.get("TIPS_MAP_TILES") or None,
    )
    if events.photo:
        state.open_photo(events.photo)
        st.rerun()
    if events.area:
        _use(replace(chosen(library, view), area=events.area))


def show_duplicates(library: Library) -> None:
    """Show the known near-duplicates, and offer to search for them."""
    if library.repeats.looking:
        st.fragment(_looking, run_every=LOOK_AGAIN)(library)
        return
    known = library.repeats.known
    if known is not None and known.revision == library.index.revision:
        return
    said = (
        "New photos have not been checked for near-duplicates."
        if known
        else ("This collection has not been checked for near-duplicates.")
    )
    with st.container(key="duplicates", horizontal=True, vertical_alignment="center"):
        st.markdown(f"{said} Checking takes a minute or two for 100,000 photos.", width="content")
        if st.button("Look for them", icon=":material/content_copy:", key="look-duplicates"):
            library.repeats.look()
            st.rerun()


def _looking(library: Library) -> None:
    if not library.repeats.looking:
        st.rerun()
    st.markdown(":material/hourglass_top: Finding near-duplicates …")
