"""What the user changed in a component, carried to Python once, and how Python answers it.

A component shows what the user draws at once and sends it as its state value `edit`:
`{"serial": whole number, "subject": text, "value": anything}`. Python answers with the serial of
the last edit that it has seen; until then the component keeps its own picture of things, after that
Python's is the truth. Nothing here trusts the browser.
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
    """The last edit that the browser sent.

    serial: its number, None when there was none. value: what was sent, if it has not been seen
    before and belongs to the subject shown now; None otherwise.
    """

    serial: int | None
    value: Any


def last_edit(key: str, subject: str) -> Edit:
    """The last edit of the component `key`. Ask before it is mounted, and call `seen` after.

    subject: what the component shows now; an edit of another subject came too late.
    """
    state = st.session_state.get(key)
    sent = state.get("edit") if isinstance(state, Mapping) else None
    if not isinstance(sent, Mapping):
        return Edit(None, None)
    serial = sent.get("serial")
    if not isinstance(serial, int):
        return Edit(None, None)
    fresh = st.session_state.get(_slot(key)) != serial and sent.get("subject") == subject
    return Edit(serial, sent.get("value") if fresh else None)


def seen(key: str, edit: Edit) -> None:
    """Remember that `edit` has been taken up: it is not handed out again."""
    if edit.serial is not None:
        st.session_state[_slot(key)] = edit.serial


def ignore() -> None:
    """The callback of a value that is read where its component is mounted."""


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


def _slot(key: str) -> str:
    return f"{key}-seen"
