"""EXIF as cameras, phones and broken writers leave it."""

import struct
from datetime import datetime
from io import BytesIO

import pytest
from PIL import Image
from PIL.ExifTags import GPS, IFD, Base

from indexer.photos.exif import picture_facts, read_facts
from indexer.photos.facts import Facts


def exif(**tags: object) -> Image.Exif:
    block = Image.Exif()
    for name, value in tags.items():
        home = block.get_ifd(IFD.Exif) if name in _PHOTO else block
        home[Base[name]] = value
    return block


_PHOTO = {"DateTimeOriginal", "DateTimeDigitized", "SubsecTimeOriginal", "LensModel"}
_PHOTO |= {"ISOSpeedRatings", "FNumber", "ExposureTime", "FocalLength"}


@pytest.mark.parametrize(
    ("make", "model", "camera"),
    [
        ("Canon", "Canon EOS 5D", "Canon EOS 5D"),
        ("NIKON CORPORATION", "NIKON D90", "NIKON D90"),
        ("Apple", "iPhone 15", "Apple iPhone 15"),
        ("Acme\0\0\0junk", "X\t1\n", "Acme X 1"),
        ("", "X1", "X1"),
        ("Acme", "   ", "Acme"),
        ("", "", None),
    ],
)
def test_camera_names(make: str, model: str, camera: str | None) -> None:
    assert read_facts(exif(Make=make, Model=model)).camera == camera


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("2021:05:17 18:03:09", datetime(2021, 5, 17, 18, 3, 9)),
        ("2021-05-17T18:03:09+02:00", datetime(2021, 5, 17, 18, 3, 9)),
        ("0000:00:00 00:00:00", None),
        ("2021:13:40 18:03:09", None),
        ("    :  :     :  :  ", None),
        ("", None),
    ],
)
def test_dates(text: str, taken: datetime | None) -> None:
    assert read_facts(exif(DateTimeOriginal=text)).taken == taken


def test_a_bad_date_gives_way_to_the_next_one() -> None:
    facts = read_facts(exif(DateTimeOriginal="0000:00:00 00:00:00", DateTime="2020:01:02 03:04:05"))
    assert facts.taken == datetime(2020, 1, 2, 3, 4, 5)


def place(latitude: object, north: str, longitude: object, east: str) -> Facts:
    block = Image.Exif()
    gps = block.get_ifd(IFD.GPSInfo)
    gps[GPS.GPSLatitude], gps[GPS.GPSLatitudeRef] = latitude, north
    gps[GPS.GPSLongitude], gps[GPS.GPSLongitudeRef] = longitude, east
    return read_facts(block)


def test_places_south_and_west_are_negative() -> None:
    facts = place((33.0, 30.0, 0.0), "S", (70.0, 15.0, 36.0), "W")
    assert facts.latitude == pytest.approx(-33.5)
    assert facts.longitude == pytest.approx(-70.26)


@pytest.mark.parametrize(
    ("latitude", "longitude"),
    [
        ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0)),
        ((91.0, 0.0, 0.0), (10.0, 0.0, 0.0)),
        ((float("nan"), 0.0, 0.0), (10.0, 0.0, 0.0)),
        ("garbage", (10.0, 0.0, 0.0)),
        ((10.0, 0.0, 0.0), None),
    ],
)
def test_impossible_places_are_none(latitude: object, longitude: object) -> None:
    facts = place(latitude, "N", longitude, "E")
    assert (facts.latitude, facts.longitude) == (None, None)


def test_garbage_fields_are_left_out_one_by_one() -> None:
    facts = read_facts(
        exif(
            Orientation=77,
            ISOSpeedRatings="fast",
            FNumber=float("inf"),
            ExposureTime=-1.0,
            FocalLength=50.0,
            LensModel=b"\xff\xfeLens",
        )
    )
    assert facts == Facts(focal_length=50.0, lens="Lens")


def test_a_damaged_block_has_no_facts() -> None:
    block = Image.Exif()
    block[0x8769] = 0xFFFFFF  # points behind the end
    block[0x8825] = b"nonsense"
    assert read_facts(block) == Facts()


@pytest.mark.parametrize("kind", [2, 129])
def test_texts_are_utf8_under_both_types(kind: int) -> None:
    """ASCII, as writers use it, and the type of Exif 3.0."""
    text = "Cam\u00e9ra \u03a9".encode() + b"\0"
    entries = struct.pack("<HHHII", 1, 0x0110, kind, len(text), 26) + bytes(4)
    block = b"Exif\0\0II*\0" + struct.pack("<I", 8) + entries + text
    out = BytesIO()
    Image.new("RGB", (32, 32), "teal").save(out, "JPEG", exif=block)
    out.seek(0)
    with Image.open(out) as image:
        assert picture_facts(image).camera == "Cam\u00e9ra \u03a9"
