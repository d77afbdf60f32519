"""What the files beside a photo say of it: XMP sidecars and Google Takeout's JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from indexer.errors import StorageError
from indexer.folders import storage
from indexer.folders.paths import to_bytes
from indexer.photos.facts import Facts, clean_text, filled
from indexer.photos.xmp import KEYWORDS, LONGEST_NAME, LONGEST_TEXT, LONGEST_XMP, packet_facts
from tips_model.untrusted import parse_json

_NOWHERE = (None, None)
UNREADABLE = "a file with facts beside it cannot be read"


def sidecar_facts(paths: Sequence[str]) -> tuple[Facts, str]:
    """The facts of a photo's sidecars (path texts, the most telling first), and a note where one
    cannot be read, else "".
    """
    facts, note = Facts(), ""
    for path in paths:
        try:
            data = _content(path)
            read = takeout_facts(data) if path.lower().endswith(".json") else _xmp(data)
        except FileNotFoundError:
            continue  # the next run sees that it is gone
        except (OSError, StorageError, ValueError):
            note = UNREADABLE
        else:
            facts = filled(facts, read)
    return facts, note


def takeout_facts(data: bytes) -> Facts:
    """The facts in the JSON that Google Takeout puts beside a photo; none in any other JSON.

    Raises `ValueError` for what is no JSON. The title there is the file's name, not a title.
    """
    said = parse_json(data)
    if not isinstance(said, dict) or not isinstance(said.get("photoTakenTime"), dict):
        return Facts()
    latitude, longitude = _place(said.get("geoData")) or _place(said.get("geoDataExif")) or _NOWHERE
    taken = _moment(said["photoTakenTime"].get("timestamp"))
    people = said.get("people")
    names = [
        clean_text(each.get("name"), LONGEST_NAME)
        for each in (people if isinstance(people, list) else ())
        if isinstance(each, dict)
    ]
    return Facts(
        taken=taken,
        dated=None if taken is None else "takeout",
        latitude=latitude,
        longitude=longitude,
        description=clean_text(said.get("description"), LONGEST_TEXT),
        keywords=tuple(dict.fromkeys(filter(None, names)))[:KEYWORDS],
    )


def _xmp(data: bytes) -> Facts:
    facts = packet_facts(data)
    return facts if facts.taken is None else replace(facts, dated="sidecar")


def _content(path: str) -> bytes:
    if storage.is_url(path):
        data = storage.read(path)
    else:
        with open(to_bytes(path), "rb") as file:
            data = file.read(LONGEST_XMP + 1)
    if len(data) > LONGEST_XMP:
        raise ValueError("it is too large")
    return data


def _moment(timestamp: object) -> datetime | None:
    """Of seconds since 1970; Takeout writes 0 where it does not know."""
    try:
        seconds = int(str(timestamp))
        return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None) if seconds else None
    except (ValueError, OverflowError, OSError):
        return None


def _place(said: object) -> tuple[float, float] | None:
    if not isinstance(said, dict):
        return None
    latitude, longitude = (_number(said.get(axis)) for axis in ("latitude", "longitude"))
    if latitude is None or longitude is None or abs(latitude) > 90 or abs(longitude) > 180:
        return None
    return (latitude, longitude) if latitude or longitude else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None
