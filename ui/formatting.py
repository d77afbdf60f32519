"""Escapes text from files and users for a terminal or a page, and formats numbers and dates."""

from __future__ import annotations

import string
from datetime import datetime
from typing import TYPE_CHECKING

from indexer.folders.paths import shown, visible_char

if TYPE_CHECKING:
    from indexer.collection import Collection

__all__ = [
    "counted",
    "day",
    "exposure_time",
    "file_size",
    "model_words",
    "month",
    "plain",
    "shown",
    "visible",
]
MARKDOWN = str.maketrans({char: f"\\{char}" for char in string.punctuation})


def visible(text: str) -> str:
    """Text for a terminal, line breaks kept: control and invisible characters are escaped."""
    return "".join(char if char == "\n" else visible_char(char) for char in text)


def plain(text: str) -> str:
    """`text` as Markdown that shows it literally."""
    return " ".join(text.split()).translate(MARKDOWN)


def file_size(count: int) -> str:
    """A number of bytes for people: 900 B, 12 kB, 3.4 MB."""
    if count < 1000:
        return f"{count} B"
    return f"{count / 1e3:.0f} kB" if count < 1e6 else f"{count / 1e6:,.1f} MB"


def day(moment: datetime) -> str:
    """A date and time for people, without seconds."""
    return f"{moment.day} {moment:%B %Y, %H:%M}"


def month(moment: datetime | None) -> str:
    """The month of a date, for people."""
    return "Without a date" if moment is None else f"{moment:%B %Y}"


def exposure_time(seconds: float) -> str:
    """An exposure time as photographers write it: 1/250 s, 2.5 s."""
    return f"1/{round(1 / seconds)} s" if 0 < seconds < 0.4 else f"{seconds:g} s"


def counted(count: int, noun: str) -> str:
    """`1 photo`, `2 photos`, `1,200 photos`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def model_words(opened: Collection) -> str:
    """What distinguishes a collection's model from others: its name, and the windows it sees."""
    tiles = f" in {opened.tiles} x {opened.tiles} windows" if opened.tiles > 1 else ""
    return f"{opened.model.name}{tiles}"
