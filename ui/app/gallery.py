"""The results: count, photo grid, pagination, and the possible matches, collapsed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat

import streamlit as st

from search.hits import Hit
from tips_model.errors import TipsError
from ui.app import media, state
from ui.app.components.grid import Card, GridEvents, show_grid
from ui.app.library import Library
from ui.app.page_results import Answer
from ui.app.state import OVERLAYS, View
from ui.formatting import counted, month, plain, shown
from ui.overlays import heat_picture, mask_picture

COLUMNS = (2, 8, 5)  # least, most, at first
LOOK_AGAIN = 0.8  # seconds
NO_FILTER = "Search without the filter"
CHOSEN = "chosen"  # session key: ids of the selected photos, in order


def chosen() -> dict[str, None]:
    """The photos that the user selected, in order."""
    marked: dict[str, None] = st.session_state.setdefault(CHOSEN, {})
    return marked


def show_answer(library: Library, view: View, answer: Answer) -> None:
    """The display switches, the paginated grid, and the possible matches. A fragment: changing how
    hits are drawn does not repeat the search; while places are being refined, it polls for them.
    """
    coming = library.sharp(view, answer.hits)[1]
    st.fragment(_answer, run_every=LOOK_AGAIN if coming else None)(library, view, answer, coming)


def _answer(library: Library, view: View, answer: Answer, waiting: bool) -> None:
    hits, coming = library.sharp(view, answer.hits)
    if waiting and not coming:
        st.rerun()  # rerun the whole page, and stop polling
    view = _switches(view, answer)
    for note in answer.notes:
        st.caption(plain(note))
    if answer.total:
        _grid(library, view, hits, answer.folded, "gallery")
        show_pages(view.page, answer.pages)
    elif view.asks:
        _nothing(view, answer)
    else:
        st.markdown("No photo matches the filter. Remove a part of it.")
    if answer.possible:
        label = f"{len(answer.possible):,} weaker"
        unfolded = bool(view.layout) and not answer.total
        fold = st.expander(label, expanded=unfolded, key=f"fold-{unfolded}", on_change="rerun")
        if fold.open:  # nothing is drawn while collapsed
            with fold:
                st.caption("Weaker matches: unrelated words would score just as high.")
                _grid(library, view, answer.possible, (), "possible")


def show_pages(page: int, pages: int) -> None:
    """Previous, current page, next; nothing when one page holds all."""
    if pages == 1:
        return
    with st.container(
        key="pages", horizontal=True, horizontal_alignment="center", vertical_alignment="center"
    ):
        left = st.button(
            "Previous", key="previous", icon=":material/chevron_left:", disabled=page <= 1
        )
        st.markdown(f"Page {page:,} of {pages:,}", width="content")
        right = st.button(
            "Next",
            key="next",
            icon=":material/chevron_right:",
            icon_position="right",
            disabled=page >= pages,
        )
    if left or right:
        state.turn_to(page + (1 if right else -1))
        st.rerun()


def cards(
    library: Library, view: View, hits: Sequence[Hit], folded: Sequence[int] = ()
) -> list[Card]:
    """The cards of hits, with their thumbnails preloaded."""
    library.pictures.prepare([hit.id for hit in hits])
    headings = _headings(library, view, hits)
    counts = folded or repeat(0)
    return [
        _card(library, view, hit, heading, count)
        for hit, heading, count in zip(hits, headings, counts, strict=False)
    ]


def _switches(view: View, answer: Answer) -> View:
    with st.container(key="drawing", horizontal=True, vertical_alignment="center", gap="medium"):
        st.markdown(_count(view, answer), width="stretch")
        if view.asks:
            st.segmented_control(
                "Overlay",
                OVERLAYS,
                default="Box",
                required=True,
                key="overlay",
                bind="query-params",
                label_visibility="collapsed",
                width="content",
            )
        with st.popover("Display", icon=":material/tune:", width="content"):
            st.slider("Columns", *COLUMNS, key="columns")
            st.slider("Opacity of masks and heat maps", 0.1, 1.0, 0.65, 0.05, key="opacity")
    return state.current()


def _count(view: View, answer: Answer) -> str:
    if not view.asks or view.same:
        return f"**{counted(answer.total, 'photo')}**"
    if view.nearest:
        return f"**{counted(answer.total, 'photo')}**, the nearest first"
    matches = f"{answer.total:,} match" + ("" if answer.total == 1 else "es")
    weaker = f", {len(answer.possible):,} weaker" if answer.possible else ""
    return f"**{matches}**{weaker} in {counted(answer.searched, 'photo')}"


def _grid(
    library: Library, view: View, hits: Sequence[Hit], folded: Sequence[int], name: str
) -> None:
    events = show_grid(
        name,
        cards(library, view, hits, folded),
        overlay=view.overlay if view.asks else "None",
        opacity=float(st.session_state.get("opacity", 0.65)),
        columns=int(st.session_state.get("columns", COLUMNS[2])),
        chosen=tuple(chosen()),
        label="Photos found" if view.asks else "Photos",
    )
    _follow(events, [hit.id for hit in hits])


def _follow(events: GridEvents, ids: Sequence[str]) -> None:
    """Carry out the user's action on a card."""
    acts = {
        "open": state.open_photo,
        "more": state.more_like,
        "less": state.less_like,
        "unfold": state.unfold,
    }
    if events.act and events.photo:
        acts[events.act](events.photo)
    elif events.chosen is not None:
        marked = chosen()
        for identifier in ids:
            marked.pop(identifier, None)
        marked.update(dict.fromkeys(events.chosen))
    else:
        return
    st.rerun()


def _headings(library: Library, view: View, hits: Sequence[Hit]) -> list[str]:
    """A heading above the first photo of each month, if photos are sorted by date."""
    if view.order == "Best" and view.asks:
        return [""] * len(hits)
    months = [month(each) for each in library.taken([hit.id for hit in hits])]
    before = [None, *months[:-1]]
    return [name if name != old else "" for name, old in zip(months, before, strict=True)]


def _card(library: Library, view: View, hit: Hit, heading: str, folded: int) -> Card:
    mask = heat = ""
    if view.overlay == "Mask":
        mask = mask_picture([region.mask for region in hit.regions])
    words = library.query_text(view)
    if view.overlay == "Heat" and words:
        try:
            heat = heat_picture(library.heat(hit.id, words, exact=False))
        except TipsError:
            heat = ""  # no heat map for such words: the page says so once, above
    copies = f"{len(hit.paths)} copies" if len(hit.paths) > 1 else ""
    score = f"{hit.score:.2f}" if view.asks else ""
    return Card(
        id=hit.id,
        name=shown(hit.path).rpartition("/")[2],
        path=shown(hit.path),
        ratio=max(0.4, min(3.0, hit.width / hit.height)),
        src=media.thumbnail_address(library, hit.id),
        note=" · ".join(part for part in (score, copies) if part),
        boxes=tuple(region.box for region in hit.regions),
        mask=mask,
        heat=heat,
        folded=folded,
        heading=heading,
    )


def _nothing(view: View, answer: Answer) -> None:
    """The message for no clear match, with what to try next."""
    looked = counted(answer.searched, "photo")
    st.markdown("#### No clear match")
    if not answer.searched:
        st.markdown("No photo matches the filter. Remove a part of it.")
        if st.button(NO_FILTER, icon=":material/filter_alt_off:"):
            state.use_filter("")
            st.rerun()
        return
    sentence = f"Among {looked}, none stands out from what unrelated words would find."
    st.markdown(f"{sentence} Try other words, or see the weaker matches below.")
    with st.container(horizontal=True):
        if view.show == "Photos" and view.q:
            label = "Search in parts of the photos"
            if st.button(label, icon=":material/select_all:"):
                state.rank_by("Places")
                st.rerun()
        if view.filter and st.button(NO_FILTER, icon=":material/filter_alt_off:"):
            state.use_filter("")
            st.rerun()
