"""Edits made in a component, delivered to Python exactly once, and how Python acknowledges them.

A component shows an edit at once and sends it as one of its state values: `{"serial": whole number,
"subject": text, "value": anything}`. A state value stays until the next one, so nothing is lost
when a run is aborted; the serial shows whether it was handled already. Python answers with the
serial of the last edit that it has seen; until then the component shows its own state, after that
Python's state wins. Values from the browser are never trusted.
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
    """The last value that the browser sent under one name.

    slot: session key of its serial. serial: its number, None when there was none. value: the value,
    if it is new and belongs to the subject shown now; None otherwise.
    """

    slot: str
    serial: int | None
    value: Any

    def seen(self) -> None:
        """Mark the edit as handled: it is not returned again."""
        if self.serial is not None:
            st.session_state[self.slot] = self.serial


def last_edit(key: str, name: str, subject: str | None = None) -> Edit:
    """The last value that the component `key` sent as `name`. Call it before mounting the
    component, and `seen` after.

    subject: what the component shows now; edits of another subject are stale. None: any.
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
    """A no-op callback for values that are read where the component is mounted."""


def checked_box(corners: object) -> Box | None:
    """Four numbers from the browser as a box with ordered corners in 0..1; None if they are
    invalid.
    """
    if not isinstance(corners, list) or len(corners) != 4:
        return None
    x0, y0, x1, y1 = (_fraction(number) for number in corners)
    if x0 is None or y0 is None or x1 is None or y1 is None:
        return None
    return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)


def _fraction(number: object) -> float | None:
    if isinstance(number, bool) or not isinstance(number, int | float):
        return None
    # Clamp first: not every integer from JSON fits into a float.
    if isinstance(number, float) and not math.isfinite(number):
        return None
    return float(min(max(number, 0), 1))
