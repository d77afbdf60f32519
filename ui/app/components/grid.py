"""The grid of photos: cards in rows that fill the width, with what was found drawn on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial

import streamlit as st

from search.hits import Box
from ui.app.components.assets import text
from ui.app.state import Overlay, is_identifier

ACTS = ("open", "more", "less", "unfold")

_grid = st.components.v2.component(
    "tips_grid", html='<div class="root"></div>', css=text("grid.css"), js=text("grid.js")
)


@dataclass(frozen=True, slots=True)
class Card:
    """A photo in the grid. `ratio` is width by height; `src`, `mask` and `heat` are addresses of
    pictures ("" for none); `note` is a line under the name; `folded` counts the photos that this
    one stands for; `heading` begins a new part of the grid.
    """

    id: str
    name: str
    path: str
    ratio: float
    src: str
    note: str = ""
    boxes: tuple[Box, ...] = ()
    mask: str = ""
    heat: str = ""
    folded: int = 0
    heading: str = ""


@dataclass(frozen=True, slots=True)
class GridEvents:
    """What the user did since the last run: the photo opened, whose like more or less is wanted, or
    whose folded ones shall be seen; `chosen`, of the cards shown, None when that did not change.
    """

    open: str | None
    more: str | None
    less: str | None
    unfold: str | None
    chosen: tuple[str, ...] | None


def show_grid(
    key: str,
    cards: Sequence[Card],
    *,
    overlay: Overlay,
    opacity: float,
    columns: int,
    chosen: Sequence[str],
    label: str,
) -> GridEvents:
    """Draw the cards; about `columns` of them in a row. `label` names the grid for those who cannot
    see it. `chosen` are ids of photos that have their mark set.
    """
    ids = {card.id for card in cards}
    before = [identifier for identifier in chosen if identifier in ids]
    _grid(
        key=key,
        data={
            "items": [asdict(card) for card in cards],
            "overlay": overlay,
            "opacity": opacity,
            "columns": columns,
            "chosen": before,
            "label": label,
        },
        on_open_change=partial(_remember, key, "open"),
        on_more_change=partial(_remember, key, "more"),
        on_less_change=partial(_remember, key, "less"),
        on_unfold_change=partial(_remember, key, "unfold"),
        on_chosen_change=partial(_remember, key, "chosen"),
    )
    # Values come from a browser: only what names a photo of this grid counts.
    sent = st.session_state.pop(_slot(key), {})
    events = {name: sent.get(name) for name in ACTS}
    picked = sent.get("chosen")
    after = None
    if isinstance(picked, list):
        after = tuple(value for value in picked if is_identifier(value) and value in ids)
    return GridEvents(
        **{
            name: value if isinstance(value, str) and value in ids else None
            for name, value in events.items()
        },
        chosen=after,
    )


def _remember(key: str, name: str) -> None:
    """Keep what the browser sent until the grid is drawn: a run broken off loses nothing."""
    sent = st.session_state[key].get(name)
    if isinstance(sent, str | list):
        st.session_state.setdefault(_slot(key), {})[name] = sent


def _slot(key: str) -> str:
    return f"{key}-sent"
