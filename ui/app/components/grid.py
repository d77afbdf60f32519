"""The photo grid: cards in rows that fill the width, with found places drawn on them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal, get_args

import streamlit as st

from search.draw import PALETTE
from search.hits import Box
from ui.app.components.assets import text
from ui.app.components.edits import ignore, last_edit
from ui.app.state import Overlay

Act = Literal["open", "more", "less", "unfold"]
ACTS: tuple[Act, ...] = get_args(Act)
COLOURS = [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in PALETTE]

_grid = st.components.v2.component(
    "tips.grid",
    css=text("common.css") + text("grid.css"),
    js=text("common.js") + text("grid.js"),
)


@dataclass(frozen=True, slots=True)
class Card:
    """A photo in the grid. `ratio` is width by height; `src`, `mask` and `heat` are URLs of
    pictures ("" for none); `note` is a line under the name; `folded` counts the near-duplicates
    behind this card; `heading` starts a new section of the grid.
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
    """What the user did since the last run: `act` on the `photo`, None for nothing; `chosen`: the
    selected ones of the cards shown, None if unchanged.
    """

    act: Act | None
    photo: str | None
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
    """Draw the cards, about `columns` in a row. `label` names the grid for screen readers. `chosen`
    are the ids of selected photos.
    """
    ids = {card.id for card in cards}
    act, mark = last_edit(key, "act"), last_edit(key, "edit")
    marked = _checked_ids(mark.value, ids)
    data = {
        "items": [asdict(card) for card in cards],
        "overlay": overlay,
        "opacity": opacity,
        "columns": columns,
        "label": label,
        "colours": COLOURS,
        "subject": "",
        "value": [each for each in chosen if each in ids] if marked is None else marked,
        "answers": mark.serial,
    }
    _grid(key=key, data=data, on_act_change=ignore, on_edit_change=ignore)
    act.seen()
    mark.seen()
    done, photo = _checked_act(act.value, ids)
    return GridEvents(done, photo, marked)


def _checked_act(value: object, ids: Collection[str]) -> tuple[Act, str] | tuple[None, None]:
    """The act that the browser sent and its photo, None if invalid."""
    sent = value if isinstance(value, Mapping) else {}
    name, identifier = sent.get("act"), sent.get("id")
    if name not in ACTS or not isinstance(identifier, str) or identifier not in ids:
        return None, None
    return name, identifier


def _checked_ids(value: object, ids: Collection[str]) -> tuple[str, ...] | None:
    """The ids that the browser sent and that are in this grid; None when it sent no list."""
    if not isinstance(value, list):
        return None
    return tuple(each for each in value if isinstance(each, str) and each in ids)
