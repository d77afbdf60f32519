"""The EXIF facts that search filters by. Cameras, phones and editors write garbage; bad fields are
skipped."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, SupportsFloat, TypeVar

from PIL import Image
from PIL.ExifTags import GPS, IFD, Base

T = TypeVar("T")

_DATE = re.compile(r"(\d{4})[:\-/.](\d\d)[:\-/.](\d\d)[ T](\d\d):(\d\d):(\d\d)")
_TEXT_LIMIT = 100  # characters of a camera's or lens's name


@dataclass(frozen=True, slots=True)
class Facts:
    """The EXIF facts of a photo; None where there is no usable value.

    taken: local time of the camera, naive (the zone is ignored). latitude, longitude: degrees,
    north and east positive. exposure: seconds. focal_length: millimetres (of the lens itself).
    orientation: EXIF value 1..8.
    """

    taken: datetime | None = None
    camera: str | None = None
    lens: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    iso: int | None = None
    f_number: float | None = None
    exposure: float | None = None
    focal_length: float | None = None
    orientation: int = 1


def read_facts(exif: Image.Exif) -> Facts:
    """The facts of an EXIF block; never raises for bad content."""
    main = _tags(lambda: exif)
    photo = _tags(lambda: exif.get_ifd(IFD.Exif))
    gps = _tags(lambda: exif.get_ifd(IFD.GPSInfo))
    latitude, longitude = _place(gps)
    iso = _number(photo.get(Base.ISOSpeedRatings), 1, 10_000_000)
    orientation = _number(main.get(Base.Orientation), 1, 8)
    return Facts(
        taken=_taken(main, photo),
        camera=_camera(main),
        lens=_text(photo.get(Base.LensModel)),
        latitude=latitude,
        longitude=longitude,
        iso=int(iso) if iso is not None else None,
        f_number=_number(photo.get(Base.FNumber), 0.1, 1000),
        exposure=_number(photo.get(Base.ExposureTime), 1e-7, 1e6),
        focal_length=_number(photo.get(Base.FocalLength), 0.1, 100_000),
        orientation=int(orientation) if orientation is not None else 1,
    )


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


def _tags(read: Callable[[], Mapping[int, Any]]) -> dict[int, Any]:
    return unharmed(lambda: dict(read()), dict)


def _text(value: object) -> str | None:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if not isinstance(value, str):
        return None
    text = " ".join("".join(c if c.isprintable() else " " for c in value.split("\0")[0]).split())
    return text.replace("\ufffd", "")[:_TEXT_LIMIT].strip() or None


def _camera(main: dict[int, Any]) -> str | None:
    make, model = _text(main.get(Base.Make)), _text(main.get(Base.Model))
    if make is None or model is None:
        return model or make
    if make.split()[0].lower() in model.lower():  # "NIKON CORPORATION" + "NIKON D90"
        return model
    return f"{make} {model}"


def _taken(main: dict[int, Any], photo: dict[int, Any]) -> datetime | None:
    candidates = (
        (photo.get(Base.DateTimeOriginal), photo.get(Base.SubsecTimeOriginal)),
        (photo.get(Base.DateTimeDigitized), photo.get(Base.SubsecTimeDigitized)),
        (main.get(Base.DateTime), photo.get(Base.SubsecTime)),
    )
    for text, fraction in candidates:
        match = _DATE.match(_text(text) or "")
        if match is None:
            continue
        digits = re.match(r"\d+", _text(fraction) or "")
        microseconds = int(digits[0][:6].ljust(6, "0")) if digits else 0
        try:
            year, month, day, hour, minute, second = map(int, match.groups())
            return datetime(year, month, day, hour, minute, second, microseconds)
        except ValueError:  # "0000:00:00 00:00:00", month 13
            continue
    return None


def _number(value: object, low: float, high: float) -> float | None:
    if isinstance(value, tuple | list) and value:
        value = value[0]
    if not isinstance(value, str | SupportsFloat):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return number if math.isfinite(number) and low <= number <= high else None


def _degrees(parts: object, reference: object, negative: str, limit: float) -> float | None:
    if not isinstance(parts, tuple | list) or not 1 <= len(parts) <= 3:
        return None
    numbers = [_number(part, 0, limit) for part in parts]
    if any(number is None for number in numbers):
        return None
    degrees = sum(number / 60**k for k, number in enumerate(numbers) if number is not None)
    if (_text(reference) or "").upper().startswith(negative):
        degrees = -degrees
    return degrees if abs(degrees) <= limit else None


def _place(gps: dict[int, Any]) -> tuple[float | None, float | None]:
    latitude = _degrees(gps.get(GPS.GPSLatitude), gps.get(GPS.GPSLatitudeRef), "S", 90)
    longitude = _degrees(gps.get(GPS.GPSLongitude), gps.get(GPS.GPSLongitudeRef), "W", 180)
    # Half a place is useless, and devices without a fix write 0,0.
    if latitude is None or longitude is None or (latitude == 0 and longitude == 0):
        return None, None
    return latitude, longitude
