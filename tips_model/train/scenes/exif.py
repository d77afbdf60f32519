"""Camera-like EXIF data for drawn photos."""

from __future__ import annotations

from datetime import datetime

from PIL import Image
from PIL.ExifTags import GPS, IFD, Base

from tips_model.train.scenes.albums import Camera


def exif_of(
    camera: Camera,
    taken: datetime,
    place: tuple[float, float] | None,
    iso: int,
    orientation: int,
) -> Image.Exif:
    """Camera, lens, time, exposure and, if `place` (degrees north, east) is given, the position."""
    stamp = taken.strftime("%Y:%m:%d %H:%M:%S")
    exif = Image.Exif()
    exif[Base.Make], exif[Base.Model] = camera.make, camera.model
    exif[Base.Orientation] = orientation
    exif[Base.DateTime] = stamp
    detail = exif.get_ifd(IFD.Exif)
    detail[Base.DateTimeOriginal] = stamp
    detail[Base.LensModel] = camera.lens
    detail[Base.FNumber] = camera.f_number
    detail[Base.FocalLength] = camera.focal_length
    detail[Base.ExposureTime] = 1 / 250
    detail[Base.ISOSpeedRatings] = iso
    if place is not None:
        latitude, longitude = place
        position = exif.get_ifd(IFD.GPSInfo)
        position[GPS.GPSLatitudeRef] = "N" if latitude >= 0 else "S"
        position[GPS.GPSLatitude] = _degrees(latitude)
        position[GPS.GPSLongitudeRef] = "E" if longitude >= 0 else "W"
        position[GPS.GPSLongitude] = _degrees(longitude)
    return exif


def _degrees(value: float) -> tuple[float, float, float]:
    """Degrees, minutes and seconds of an absolute angle."""
    minutes = abs(value) * 60
    return float(minutes // 60), float(minutes % 60 // 1), round(minutes % 1 * 60, 2)
