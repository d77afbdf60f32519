"""One large photo with found places, and the marks that the user draws on it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import streamlit as st

from search.hits import Box
from ui.app.components.assets import text
from ui.app.components.edits import checked_box, ignore, last_edit
from ui.app.state import Overlay

MOST_MARKS = 16
Tool = Literal["look", "box", "point", "not"]  # "not": a negative point, or box when dragged
Step = Literal["previous", "next", "close"]

_photo = st.components.v2.component(
    "tips.photo",
    css=text("common.css") + text("photo.css"),
    js=text("common.js") + text("photo.js"),
)


@dataclass(frozen=True, slots=True)
class Mark:
    """A place that the user marked, in fractions of the upright picture.

    A point has x0 == x1 and y0 == y1. positive: search for this thing; otherwise exclude it.
    """

    kind: Literal["box", "point"]
    x0: float
    y0: float
    x1: float
    y1: float
    positive: bool = True


@dataclass(frozen=True, slots=True)
class PhotoEvents:
    """What the user did since the last run.

    marks: all marks after a change, None if unchanged; pass them in from the next run on.
    go: how the user left this photo.
    """

    marks: tuple[Mark, ...] | None
    go: Step | None


def show_photo(
    *,
    key: str,
    src: str,
    alt: str,
    width: int,
    height: int,
    boxes: Sequence[tuple[Box, str]] = (),
    mask: str | None = None,
    heat: str | None = None,
    overlay: Overlay,
    opacity: float = 0.6,
    marks: Sequence[Mark] = (),
    tool: Tool = "look",
    has_previous: bool = False,
    has_next: bool = False,
) -> PhotoEvents:
    """Show a photo as wide as the page allows, at most 72 % of the window's height.

    src: the picture's URL. width, height: pixels of the upright photo; they set the shape before
    the picture has loaded. boxes: places found, with a label or "". mask, heat: small pictures with
    alpha as `data:` URLs, laid over the whole photo with `opacity` (0..1). overlay: which of them
    is visible. marks: at most `MOST_MARKS` are drawn. tool: what pointing does.

    The arrow keys and Escape work on the whole page, except while the user types.
    """
    subject = hashlib.blake2b(src.encode(), digest_size=8).hexdigest()
    edit, walk = last_edit(key, "edit", subject), last_edit(key, "go")
    changed = _checked_marks(edit.value)
    drawn = marks if changed is None else changed
    data = {
        "subject": subject,
        "src": src,
        "alt": alt,
        "width": max(1, width),
        "height": max(1, height),
        "boxes": [[*box, label] for box, label in boxes] if overlay == "Box" else [],
        "layer": {"Mask": mask, "Heat": heat}.get(overlay),
        "opacity": min(max(opacity, 0.0), 1.0),
        "value": [_sent(mark) for mark in drawn[:MOST_MARKS]],
        "answers": edit.serial,
        "most": MOST_MARKS,
        "tool": tool,
        "previous": has_previous,
        "next": has_next,
    }
    _photo(key=key, data=data, on_edit_change=ignore, on_go_change=ignore)
    edit.seen()
    walk.seen()
    possible = {"previous": has_previous, "next": has_next, "close": True}
    go = walk.value if isinstance(walk.value, str) and possible.get(walk.value) else None
    return PhotoEvents(changed, cast(Step | None, go))


def _checked_marks(value: object) -> tuple[Mark, ...] | None:
    """The valid marks among those that the browser sent; None when it sent no list."""
    if not isinstance(value, list):
        return None
    marks = (_checked_mark(raw) for raw in value[:MOST_MARKS])
    return tuple(mark for mark in marks if mark is not None)


def _checked_mark(raw: object) -> Mark | None:
    if not isinstance(raw, Mapping):
        return None
    kind, box, positive = raw.get("kind"), checked_box(raw.get("box")), raw.get("positive")
    if kind not in ("box", "point") or box is None or not isinstance(positive, bool):
        return None
    x0, y0, x1, y1 = box
    if kind == "point":
        return Mark("point", x0, y0, x0, y0, positive)
    return Mark("box", x0, y0, x1, y1, positive) if x0 < x1 and y0 < y1 else None


def _sent(mark: Mark) -> dict[str, Any]:
    box = [mark.x0, mark.y0, mark.x1, mark.y1]
    return {"kind": mark.kind, "box": box, "positive": mark.positive}
