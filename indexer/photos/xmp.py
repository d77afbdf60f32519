"""XMP and IPTC: dates and places that EXIF lacks, and what people wrote about a photo."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from PIL import Image, ImageFile, IptcImagePlugin

from indexer.names import comparable
from indexer.photos.facts import Dated, Facts, clean_text, moment, unharmed

LONGEST_XMP = 4_000_000
"""Bytes; writers put whole editing histories, and thumbnails, into it."""
LONGEST_NAME, LONGEST_TEXT, KEYWORDS = 100, 2000, 256
"""Characters of a name, a keyword and a title; of a description; keywords of a photo."""
_AXES = ("Latitude", "Longitude")
_DATES = ("DateTimeOriginal", "DateCreated", "CreateDate")
_PLACE = re.compile(r"(\d{1,3}),(\d{1,2}(?:\.\d+)?)(?:,(\d{1,2}(?:\.\d+)?))?([NSEW])$")
_IPTC_DATE = re.compile(r"(\d{4})(\d\d)(\d\d)$")
_IPTC_TIME = re.compile(r"(\d\d)(\d\d)(\d\d)")
# IPTC-IIM 4.2, record 2.
_TITLE, _KEYWORD, _CREATED, _TIME, _BYLINE, _CAPTION = 5, 25, 55, 60, 80, 120


def xmp_facts(image: Image.Image) -> Facts:
    """The facts of a picture's XMP packet (ISO 16684-1); never raises for what a file holds."""
    packet = image.info.get("xmp")
    if not packet or len(packet) > LONGEST_XMP:
        return Facts()
    return unharmed(lambda: _read_xmp(image.getxmp()), Facts)


def packet_facts(packet: bytes) -> Facts:
    """The facts of a bare XMP packet. Raises `ValueError` where it is none."""
    holder = Image.new("1", (1, 1))
    holder.info["xmp"] = packet
    try:
        return _read_xmp(holder.getxmp())
    except Exception as error:  # whatever a parser raises for hostile bytes
        raise ValueError("not an XMP packet") from error


def iptc_facts(image: Image.Image) -> Facts:
    """The facts of a picture's IPTC records (IIM 4.2); never raises for what a file holds."""
    if not isinstance(image, ImageFile.ImageFile):
        return Facts()
    return unharmed(lambda: _read_iptc(IptcImagePlugin.getiptcinfo(image) or {}), Facts)


def _read_xmp(packet: dict[str, Any]) -> Facts:
    """Of Pillow's reading: names without their namespaces, attributes and elements alike."""
    said: dict[str, Any] = {}
    for description in _all(packet["xmpmeta"]["RDF"].get("Description")):
        if isinstance(description, dict):
            said = description | said
    taken = next((found for name in _DATES if (found := moment(_one(said.get(name))))), None)
    latitude, longitude = (_degrees(_one(said.get(f"GPS{axis}"))) for axis in _AXES)
    if latitude is None or longitude is None or abs(latitude) > 90 or abs(longitude) > 180:
        latitude = longitude = None
    words = [*_texts(said.get("subject"))]
    words += [part for path in _texts(said.get("hierarchicalSubject")) for part in path.split("|")]
    rating = _rating(_one(said.get("Rating")))
    return Facts(
        taken=taken,
        dated=_dated(taken, "xmp"),
        camera=clean_text(_one(said.get("Model")), LONGEST_NAME),
        lens=clean_text(_one(said.get("LensModel")) or _one(said.get("Lens")), LONGEST_NAME),
        latitude=latitude,
        longitude=longitude,
        title=clean_text(_one(said.get("title")) or _one(said.get("Headline")), LONGEST_NAME),
        description=clean_text(_one(said.get("description")), LONGEST_TEXT),
        creator=clean_text(_one(said.get("creator")), LONGEST_NAME),
        label=clean_text(_one(said.get("Label")), LONGEST_NAME),
        rating=rating,
        keywords=_keywords(words),
    )


def _rating(text: str) -> int | None:
    """-1 (rejected) to 5; None for anything else."""
    found = re.match(r"-?\d+", text)
    number = int(found[0]) if found and len(found[0]) < 3 else None
    return number if number is not None and -1 <= number <= 5 else None


def _read_iptc(records: dict[tuple[int, int], Any]) -> Facts:
    said = {number: value for (record, number), value in records.items() if record == 2}
    date = _IPTC_DATE.match(_one(said.get(_CREATED)))
    taken = None
    if date is not None:
        time = _IPTC_TIME.match(_one(said.get(_TIME)))
        taken = moment("-".join(date.groups()) + (f" {':'.join(time.groups())}" if time else ""))
    return Facts(
        taken=taken,
        dated=_dated(taken, "iptc"),
        title=clean_text(_one(said.get(_TITLE)), LONGEST_NAME),
        description=clean_text(_one(said.get(_CAPTION)), LONGEST_TEXT),
        creator=clean_text(_one(said.get(_BYLINE)), LONGEST_NAME),
        keywords=_keywords(list(_texts(said.get(_KEYWORD)))),
    )


def _dated(taken: object, where: Dated) -> Dated | None:
    return None if taken is None else where


def _all(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _texts(value: object) -> Iterator[str]:
    """The texts of a value, also of the lists (`Bag`, `Seq`, `Alt`) in which XMP puts them."""
    if isinstance(value, dict):
        for key in ("Bag", "Seq", "Alt", "li", "text"):
            yield from _texts(value.get(key))
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, bytes):  # IPTC: of a character set that hardly any writer declares
        try:
            yield clean_text(value.decode("utf-8"), LONGEST_TEXT) or ""
        except UnicodeDecodeError:
            yield clean_text(value.decode("latin-1"), LONGEST_TEXT) or ""
    elif isinstance(value, str):
        yield clean_text(value, LONGEST_TEXT) or ""


def _one(value: object) -> str:
    """The first text of a value, "" without one."""
    return next(filter(None, _texts(value)), "")


def _keywords(words: list[str]) -> tuple[str, ...]:
    found: dict[str, str] = {}
    for word in words:
        if text := clean_text(word, LONGEST_NAME):
            found.setdefault(comparable(text), text)
    return tuple(found.values())[:KEYWORDS]


def _degrees(text: str) -> float | None:
    """Degrees of "48,8.22N" or "48,8,13.2N" (XMP part 2, 2.3.3)."""
    match = _PLACE.match(text)
    if match is None:
        return None
    degrees = int(match[1]) + float(match[2]) / 60 + float(match[3] or 0) / 3600
    return -degrees if match[4] in "SW" else degrees
