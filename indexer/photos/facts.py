"""What a photo says of itself beside its pixels, from wherever it says it."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Literal, TypeVar, get_args

from indexer.names import comparable

T = TypeVar("T")
Dated = Literal["exif", "xmp", "iptc", "gps", "sidecar", "takeout", "changed", "name"]
DATED: tuple[Dated, ...] = get_args(Dated)
"""Where a date was found, the most trusted first."""

_DATE = re.compile(
    r"\s*(\d{4})[:\-/.](\s?\d{1,2})[:\-/.](\s?\d{1,2})"
    r"(?:(?:T|\s)\s*(\d{1,2}):\s?(\d{1,2})(?::\s?(\d{1,2})(?:[.,](\d+))?)?)?"
)
_NAMED = re.compile(
    r"(?<!\d)((?:19[89]|20\d)\d)([-_.]?)(0[1-9]|1[0-2])\2(0[1-9]|[12]\d|3[01])(?!\d)"
    r"(?:(?:[-_ .T]| at )([01]\d|2[0-3])([-_.]?)([0-5]\d)\6([0-5]\d))?"
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a photo says; None, or nothing, where it says nothing usable.

    taken: local time of the camera, naive (the zone is ignored). dated: where that was found; "gps"
    and "takeout" are UTC, "changed" is when EXIF says the file was changed. latitude, longitude:
    degrees, north and east positive. exposure: seconds. focal_length: millimetres (of the lens
    itself). keywords: each once. rating: 0..5 stars, -1 rejected. orientation: EXIF value 1..8.
    adobe_rgb: the pixels are Adobe RGB, where no profile says more.
    """

    taken: datetime | None = None
    dated: Dated | None = None
    camera: str | None = None
    lens: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    iso: int | None = None
    f_number: float | None = None
    exposure: float | None = None
    focal_length: float | None = None
    title: str | None = None
    description: str | None = None
    creator: str | None = None
    label: str | None = None
    rating: int | None = None
    keywords: tuple[str, ...] = ()
    orientation: int = 1
    adobe_rgb: bool = False


def filled(first: Facts, *others: Facts) -> Facts:
    """The facts of the first, and what it lacks from the others, in their order; places as wholes,
    keywords from all, the date from where it is trusted most (`DATED`).
    """
    for other in others:
        kept = {
            each.name: getattr(other, each.name)
            for each in fields(Facts)
            if getattr(first, each.name) is None and each.name not in _WHOLES
        }
        if _trust(other) > _trust(first):
            kept |= {"taken": other.taken, "dated": other.dated}
        if first.latitude is None:
            kept |= {"latitude": other.latitude, "longitude": other.longitude}
        known = set(map(comparable, first.keywords))
        more = [word for word in other.keywords if comparable(word) not in known]
        first = replace(first, keywords=(*first.keywords, *more), **kept)
    return first


def _trust(facts: Facts) -> int:
    """How far the date is trusted; 0 without one."""
    return len(DATED) - DATED.index(facts.dated) if facts.dated else 0


def with_sidecar(own: Facts, beside: Facts) -> Facts:
    """A photo's own facts, and those beside it. What people wrote there is newer: programs that
    leave originals alone keep titles and ratings there.
    """
    written = {name: getattr(beside, name) for name in _WRITTEN}
    said = {name: value for name, value in written.items() if value is not None}
    return replace(filled(own, beside), **said)


_WRITTEN = ("title", "description", "creator", "label", "rating")
_WHOLES = ("taken", "dated", "latitude", "longitude", "keywords", "orientation", "adobe_rgb")


def moment(text: str, fraction: str = "") -> datetime | None:
    """The time that a text says as EXIF, XMP and the habits of devices write it; None for none.

    Without seconds or without a time, with spaces for zeros, with second 60. Hour 24 is the first
    of the same day: Java's pattern `kk`, with which some telephones write it, counts from 1 to 24.
    fraction: digits of the second, where they stand elsewhere.
    """
    match = _DATE.match(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    digits = match[7] or fraction
    microseconds = int(digits[:6].ljust(6, "0")) if digits.isascii() and digits.isdecimal() else 0
    try:
        start = datetime(year, month, day, 0 if hour == 24 else hour, minute, 0, microseconds)
    except ValueError:  # "0000:00:00 00:00:00", month 13
        return None
    return start + timedelta(seconds=second) if second <= 60 and year < 9999 else None


def name_facts(path: str) -> Facts:
    """When a photo was taken by its file's name, as telephones and messengers write it:
    `IMG-20210506-WA0007.jpg`, `PXL_20230101_120000123.jpg`, `Screenshot_2022-05-06-07-08-09.png`.
    """
    match = _NAMED.search(path.rpartition("/")[2])
    if match is None:
        return Facts()
    taken = moment("-".join(match.group(1, 3, 4)))
    if taken is not None and match[5]:
        hour, minute, second = map(int, match.group(5, 7, 8))
        taken += timedelta(hours=hour, minutes=minute, seconds=second)
    return Facts() if taken is None else Facts(taken=taken, dated="name")


def clean_text(value: object, limit: int) -> str | None:
    """A text in one line of at most `limit` characters; None where nothing is left.

    Pillow reads texts as Latin-1; they are UTF-8 where they can be.
    """
    if isinstance(value, str):
        with suppress(UnicodeEncodeError, UnicodeDecodeError):
            value = value.encode("latin-1").decode("utf-8")
    elif isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if not isinstance(value, str):
        return None
    text = " ".join("".join(c if c.isprintable() else " " for c in value.split("\0")[0]).split())
    return text.replace("\ufffd", "")[:limit].strip() or None


def unharmed(read: Callable[[], T], otherwise: Callable[[], T]) -> T:
    """The result of `read`, or of `otherwise` where the tags of a file are damaged.

    Pillow parses offsets and types that the file controls; any exception for hostile bytes
    (struct.error, TypeError, KeyError, SyntaxError ...) means that there are no such facts. They
    are optional, so the photo is read without them.
    """
    try:
        return read()
    except Exception:
        return otherwise()
