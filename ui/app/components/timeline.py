"""A slim timeline of photo counts, on which the user selects a time range."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from search.browse.index import Month
from ui.app.components.assets import text
from ui.app.components.edits import ignore, last_edit

_SUBJECT = "time"
LAST_MONTH = 9999 * 12 + 11

_timeline = st.components.v2.component(
    "tips.timeline",
    css=text("common.css") + text("timeline.css"),
    js=text("common.js") + text("timeline.js"),
)


@dataclass(frozen=True, slots=True)
class Stretch:
    """The selected range: the first and the last month, "2021-05", or None for all time."""

    months: tuple[str, str] | None


def show_timeline(
    *, key: str, months: Sequence[Month], chosen: tuple[str, str] | None, undated: int = 0
) -> Stretch | None:
    """Show bars by month, or by year if there are too many months for the width.

    months: those with photos, counted without the selection made here. chosen: the first and the
    last selected month. undated: photos without a date. Returns the user's selection in this run,
    None for no change. A click selects a bar, a second click all time again, a drag a range; a
    click on a year shows its months.
    """
    edit = last_edit(key, "edit", _SUBJECT)
    stretch = _checked(edit.value)
    shown = chosen if stretch is None else stretch.months
    data = {
        "subject": _SUBJECT,
        "months": [[_number(month.name), month.count] for month in months],
        "value": {"months": None if shown is None else [_number(name) for name in shown]},
        "answers": edit.serial,
        "undated": undated,
    }
    _timeline(key=key, data=data, on_edit_change=ignore)
    edit.seen()
    return stretch


def _number(name: str) -> int:
    """The month as a number: twelve times the year, plus the month from 0."""
    year, month = name.split("-")
    return int(year) * 12 + int(month) - 1


def _name(number: int) -> str:
    return f"{number // 12:04}-{number % 12 + 1:02}"


def _checked(raw: object) -> Stretch | None:
    """The range that the browser sent, None if invalid: the browser is never trusted."""
    if not isinstance(raw, Mapping) or "months" not in raw:
        return None
    months: Any = raw["months"]
    if months is None:
        return Stretch(None)
    if not isinstance(months, list) or len(months) != 2:
        return None
    if not all(type(number) is int and 12 <= number <= LAST_MONTH for number in months):
        return None
    first, last = sorted(months)
    return Stretch((_name(first), _name(last)))
