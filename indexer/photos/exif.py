"""The EXIF facts that search filters by. Cameras, phones and editors write garbage; bad fields are
skipped."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from numbers import Real
from typing import Any

from PIL import Image, TiffImagePlugin
from PIL.ExifTags import GPS, IFD, Base, Interop

from indexer.photos.facts import Dated, Facts, clean_text, filled, moment, unharmed
from indexer.photos.xmp import iptc_facts, xmp_facts

# Exif 3.0 (CIPA DC-008-2023) has a type for UTF-8 that Pillow leaves out; `clean_text` decodes it.
_ASCII, _UTF8 = 2, 129
_TYPES = TiffImagePlugin.ImageFileDirectory_v2._load_dispatch
_TYPES.setdefault(_UTF8, _TYPES[_ASCII])
_TEXT_LIMIT = 100  # characters of a camera's or lens's name


def picture_facts(image: Image.Image) -> Facts:
    """The facts of an opened picture; never raises for what a file holds.

    From EXIF, then XMP, then IPTC; the date as `facts.DATED` says.
    """
    exif = unharmed(image.getexif, Image.Exif)
    return filled(read_facts(exif), xmp_facts(image), iptc_facts(image))


def read_facts(exif: Image.Exif) -> Facts:
    """The facts of an EXIF block; never raises for bad content."""
    main = _tags(lambda: exif)
    photo = _tags(lambda: exif.get_ifd(IFD.Exif))
    gps = _tags(lambda: exif.get_ifd(IFD.GPSInfo))
    interop = _tags(lambda: exif.get_ifd(IFD.Interop))
    latitude, longitude = _place(gps)
    iso = _number(photo.get(Base.ISOSpeedRatings), 1, 10_000_000)
    orientation = _number(main.get(Base.Orientation), 1, 8)
    taken, dated = _date(main, photo, gps)
    return Facts(
        taken=taken,
        dated=dated,
        camera=_camera(main),
        lens=_text(photo.get(Base.LensModel)),
        latitude=latitude,
        longitude=longitude,
        iso=int(iso) if iso is not None else None,
        f_number=_number(photo.get(Base.FNumber), 0.1, 1000),
        exposure=_number(photo.get(Base.ExposureTime), 1e-7, 1e6),
        focal_length=_number(photo.get(Base.FocalLength), 0.1, 100_000),
        orientation=int(orientation) if orientation is not None else 1,
        adobe_rgb=_text(interop.get(Interop.InteropIndex)) == "R03",
    )


def _tags(read: Callable[[], Mapping[int, Any]]) -> dict[int, Any]:
    return unharmed(lambda: dict(read()), dict)


def _text(value: object) -> str | None:
    return clean_text(value, _TEXT_LIMIT)


def _camera(main: dict[int, Any]) -> str | None:
    make, model = _text(main.get(Base.Make)), _text(main.get(Base.Model))
    if make is None or model is None:
        return model or make
    if make.split()[0].lower() in model.lower():  # "NIKON CORPORATION" + "NIKON D90"
        return model
    return f"{make} {model}"


def _date(
    main: dict[int, Any], photo: dict[int, Any], gps: dict[int, Any]
) -> tuple[datetime | None, Dated | None]:
    """When the picture was taken or digitised, or by the satellites' clock, or when the file was
    changed; and which.
    """
    ways: tuple[tuple[datetime | None, Dated], ...] = (
        (_moment(photo, Base.DateTimeOriginal, photo.get(Base.SubsecTimeOriginal)), "exif"),
        (_moment(photo, Base.DateTimeDigitized, photo.get(Base.SubsecTimeDigitized)), "exif"),
        (_gps_time(gps), "gps"),
        (_moment(main, Base.DateTime, photo.get(Base.SubsecTime)), "changed"),
    )
    return next((way for way in ways if way[0] is not None), (None, None))


def _moment(tags: dict[int, Any], name: int, fraction: object) -> datetime | None:
    return moment(_text(tags.get(name)) or "", _text(fraction) or "")


def _gps_time(gps: dict[int, Any]) -> datetime | None:
    """The time of the fix, in UTC."""
    day = moment(_text(gps.get(GPS.GPSDateStamp)) or "")
    parts = gps.get(GPS.GPSTimeStamp)
    if day is None or not isinstance(parts, tuple | list) or len(parts) != 3:
        return day
    numbers = [_number(part, 0, 60) for part in parts]
    hour, minute, second = (number or 0.0 for number in numbers)
    return day + timedelta(hours=min(hour, 23), minutes=minute, seconds=second)


def _number(value: object, low: float, high: float) -> float | None:
    if isinstance(value, tuple | list) and value:
        value = value[0]
    if not isinstance(value, str | Real):
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
