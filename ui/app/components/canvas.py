"""The layout canvas: an empty stage on which the user places words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from ui.app.components.assets import text
from ui.app.components.edits import checked_box, ignore, last_edit
from ui.app.state import LONGEST_WORD, MOST_THINGS, PlacedWord

LEAST_SIDE = 0.04  # of the stage

_canvas = st.components.v2.component(
    "tips.canvas",
    css=text("common.css") + text("canvas.css"),
    js=text("common.js") + text("canvas.js"),
)


def draw_layout(
    *, key: str, things: Sequence[PlacedWord], ratio: float = 1.5
) -> tuple[PlacedWord, ...] | None:
    """Show the stage with `things` on it, at most `MOST_THINGS`; `ratio` is its width by height.

    Returns all things if the user changed them since the last run, else None; pass them in from the
    next run on.
    """
    edit = last_edit(key, "edit")
    changed = _checked_things(edit.value)
    placed = things if changed is None else changed
    data = {
        "subject": "",
        "ratio": min(max(ratio, 0.25), 4.0),
        "value": [{"text": thing.text, "box": list(thing.box)} for thing in placed[:MOST_THINGS]],
        "answers": edit.serial,
        "most": MOST_THINGS,
        "longest": LONGEST_WORD,
        "least": LEAST_SIDE,
    }
    _canvas(key=key, data=data, on_edit_change=ignore)
    edit.seen()
    return changed


def _checked_things(value: object) -> tuple[PlacedWord, ...] | None:
    """The valid things among those that the browser sent; None when it sent no list."""
    if not isinstance(value, list):
        return None
    things = (_checked_thing(raw) for raw in value[:MOST_THINGS])
    return tuple(thing for thing in things if thing is not None)


def _checked_thing(raw: object) -> PlacedWord | None:
    if not isinstance(raw, Mapping):
        return None
    word, box = raw.get("text"), checked_box(raw.get("box"))
    if not isinstance(word, str) or box is None:
        return None
    # Invalid characters, such as lone surrogates, cannot be passed on.
    word = "".join(char for char in " ".join(word.split()) if char.isprintable())
    word = word[:LONGEST_WORD].strip()
    if not word:
        return None
    (x0, x1), (y0, y1) = _widened(box[0], box[2]), _widened(box[1], box[3])
    return PlacedWord(word, (x0, y0, x1, y1))


def _widened(low: float, high: float) -> tuple[float, float]:
    """A side of at least `LEAST_SIDE`, kept inside 0..1."""
    if high - low >= LEAST_SIDE:
        return low, high
    low = min(low, 1 - LEAST_SIDE)
    return low, low + LEAST_SIDE
