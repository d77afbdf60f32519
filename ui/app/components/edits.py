"""What the user did in a component, carried to Python once, and how Python answers it.

A component shows what the user draws at once and sends it as one of its state values:
`{"serial": whole number, "subject": text, "value": anything}`. A state value stays until the next
one, so that nothing is lost when a run is broken off; the serial tells whether it has been taken up
already. Python answers with the serial of the last change that it has seen; until then the
component keeps its own picture of things, after that Python's is the truth. Nothing here trusts the
browser.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

from search.hits import Box


@dataclass(frozen=True, slots=True)
class Edit:
    """The last thing that the browser sent under one name.

    slot: where its serial is remembered. serial: its number, None when there was none. value: what
    was sent, if it has not been seen before and belongs to the subject shown now; None otherwise.
    """

    slot: str
    serial: int | None
    value: Any

    def seen(self) -> None:
        """Remember that it has been taken up: it is not handed out again."""
        if self.serial is not None:
            st.session_state[self.slot] = self.serial


def last_edit(key: str, name: str, subject: str | None = None) -> Edit:
    """What the component `key` sent last as `name`. Ask before it is mounted, call `seen` after.

    subject: what the component shows now; an edit of another subject came too late. None: any.
    """
    slot = f"{key}-{name}-seen"
    state = st.session_state.get(key)
    sent = state.get(name) if isinstance(state, Mapping) else None
    if not isinstance(sent, Mapping) or not isinstance(sent.get("serial"), int):
        return Edit(slot, None, None)
    serial: int = sent["serial"]
    fresh = st.session_state.get(slot) != serial
    fits = subject is None or sent.get("subject") == subject
    return Edit(slot, serial, sent.get("value") if fresh and fits else None)


def ignore() -> None:
    """The callback of a value that is read where its component is mounted: nothing to do."""


def checked_box(corners: object) -> Box | None:
    """Four numbers from the browser as a box with ordered corners in 0..1; None if they are not."""
    if not isinstance(corners, list) or len(corners) != 4:
        return None
    x0, y0, x1, y1 = (_fraction(number) for number in corners)
    if x0 is None or y0 is None or x1 is None or y1 is None:
        return None
    return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)


def _fraction(number: object) -> float | None:
    if isinstance(number, bool) or not isinstance(number, int | float):
        return None
    # A whole number of any length can be clamped; not every one fits into a float.
    if isinstance(number, float) and not math.isfinite(number):
        return None
    return float(min(max(number, 0), 1))
