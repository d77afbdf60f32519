"""Files of real libraries that were once read wrongly, and what they have to be read as."""

from __future__ import annotations

from datetime import datetime
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from indexer.errors import DecodeError
from indexer.photos import colour
from indexer.photos.decode import CUT_OFF, DAMAGED_EXTRAS, Photo, decode, decode_stream
from indexer.photos.facts import name_facts
from tests.photos import make

CASES = Path(__file__).parents[2] / "photos" / "cases"
MOMENT = datetime(2021, 5, 6, 7, 8, 9)


def read(name: str) -> Photo:
    return decode(str(CASES / name).encode())


def difference(name: str) -> np.ndarray:
    """How far each channel of a picture is from what it should look like (h, w, 3)."""
    with Image.open(CASES / "ref_for_profiles.png") as picture:
        wanted = np.asarray(picture.convert("RGB"), np.int16)
    return np.abs(np.asarray(read(name).image, np.int16) - wanted)


@pytest.mark.parametrize(
    ("name", "typical", "worst"),
    [
        ("png_channels_swapped_profile.png", 1, 2),
        # Eight bits of a wide gamut are coarse: Little CMS itself comes no nearer at its edge.
        ("png_wide_gamut_profile.png", 2, 15),
        # Lossy, with colours at half the resolution: edges are far, areas are not.
        ("jpeg_channels_swapped_profile.jpg", 2, 255),
        ("heic_channels_swapped_profile.heic", 2, 255),
        ("avif_major_brand_mif1.avif", 2, 255),
    ],
)
def test_colours_are_those_that_the_file_means(name: str, typical: float, worst: int) -> None:
    away = difference(name)
    assert np.median(away) <= 1
    assert np.quantile(away, 0.85) <= typical
    assert away.max() <= worst


def test_twelve_bits_are_scaled() -> None:
    with Image.open(CASES / "ref_for_profiles.png") as picture:
        wanted = np.asarray(picture.convert("RGB")) @ (0.2126, 0.7152, 0.0722)  # as it was made
    found = np.asarray(read("tiff_gray_12_bit.tif").image, np.int16)
    assert np.median(np.abs(found[..., 0] - wanted)) <= 2


def test_thumbnails_have_the_same_colours() -> None:
    photo = read("png_channels_swapped_profile.png")
    with Image.open(BytesIO(photo.thumbnail)) as small:
        thumbnail = np.asarray(small.convert("RGB"), np.int16)
    wanted = np.asarray(photo.image.resize(small.size, Image.Resampling.BICUBIC), np.int16)
    assert np.median(np.abs(thumbnail - wanted)) <= 3


def test_a_profile_that_says_nothing_of_these_pixels_is_left_out_and_noted() -> None:
    plain = make.scene(4)
    for profile, note in (
        (b"nonsense", "its colour profile is damaged"),
        (_grey_profile(), "its colour profile is for GRAY, not RGB"),
    ):
        photo = decode_stream(BytesIO(make.encode(plain, "PNG", icc_profile=profile)))
        assert photo.notes == (note,)
        assert np.array_equal(np.asarray(photo.image), np.asarray(plain))


def _grey_profile() -> bytes:
    """The sRGB profile, said to be one for grey."""
    from PIL import ImageCms

    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[16:20] = b"GRAY"
    return bytes(profile)


def test_an_srgb_profile_changes_nothing_and_transparency_stays() -> None:
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    rgba = make.scene(4).convert("RGBA")
    rgba.putalpha(128)
    plain = decode_stream(BytesIO(make.encode(rgba, "PNG"))).image
    profiled = decode_stream(BytesIO(make.encode(rgba, "PNG", icc_profile=profile)))
    assert profiled.notes == ()
    assert np.array_equal(np.asarray(profiled.image), np.asarray(plain))


def test_adobe_rgb_is_known_by_its_exif_alone() -> None:
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[:, :8], pixels[:, 8:] = (200, 100, 50), (128, 128, 128)
    exif = Image.Exif()
    exif.get_ifd(0x8769).update({0xA001: 65535, 0xA005: {1: "R03"}})
    data = make.encode(Image.fromarray(pixels), "JPEG", exif=exif, quality=100, subsampling=0)
    image = np.asarray(decode_stream(BytesIO(data)).image)
    # Computed by hand from both standards: gamma 563/256, the two matrices, the sRGB curve.
    assert np.abs(image[0, 0].astype(int) - (227, 100, 42)).max() <= 3
    assert np.abs(image[0, 12].astype(int) - 128).max() <= 1


@pytest.mark.parametrize(
    ("name", "notes"),
    [
        ("jpeg_without_end_marker.jpg", (CUT_OFF,)),
        ("jpeg_last_byte_wrong.jpg", (CUT_OFF,)),
        ("jpeg_cut_at_90_percent.jpg", (CUT_OFF,)),
        ("png_compressed_text_over_1mb.png", (DAMAGED_EXTRAS,)),
        ("png_bad_crc_of_a_text_chunk.png", (DAMAGED_EXTRAS,)),
    ],
)
def test_what_decodes_is_kept_and_marked(name: str, notes: tuple[str, ...]) -> None:
    photo = read(name)
    assert photo.notes == notes
    assert (photo.width, photo.height) == (320, 240)
    assert np.median(difference(name)[:200]) <= 2


@pytest.mark.parametrize("progressive", [False, True])
def test_a_picture_of_which_little_is_there_says_how_much(progressive: bool) -> None:
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (480, 640, 3), np.uint8))
    data = make.encode(image, "JPEG", progressive=progressive)
    with pytest.raises(DecodeError, match=r"only \d+% of the picture can be read"):
        decode_stream(BytesIO(data[: len(data) // (500 if progressive else 50)]))
    most = decode_stream(BytesIO(data[: len(data) * 9 // 10]))
    assert most.notes == (CUT_OFF,)


@pytest.mark.parametrize(
    ("name", "taken", "dated"),
    [
        ("date_xmp_exif.jpg", MOMENT, "xmp"),
        ("date_xmp_photoshop.jpg", MOMENT, "xmp"),
        ("date_png_xmp.png", MOMENT, "xmp"),
        ("date_webp_xmp.webp", MOMENT, "xmp"),
        ("date_iptc.jpg", MOMENT, "iptc"),
        ("date_gps.jpg", MOMENT, "gps"),
        ("date_hour24.jpg", datetime(2021, 5, 6, 0, 8, 9), "exif"),
        ("date_sec60.jpg", datetime(2021, 5, 6, 7, 9), "exif"),
        ("date_padded.jpg", MOMENT, "exif"),
        ("date_only.jpg", datetime(2021, 5, 6), "exif"),
        ("date_noseconds.jpg", datetime(2021, 5, 6, 7, 8), "exif"),
        ("IMG-20210506-WA0007.jpg", None, None),
    ],
)
def test_dates_are_found_wherever_they_are(name: str, taken: datetime | None, dated: str) -> None:
    facts = read(name).facts
    assert (facts.taken, facts.dated) == (taken, dated)


def test_places_are_read_from_xmp() -> None:
    facts = read("gps_xmp.jpg").facts
    assert facts.latitude == pytest.approx(48 + 8.22 / 60)
    assert facts.longitude == pytest.approx(11 + 34.5 / 60)


XMP = """<x:xmpmeta xmlns:x='adobe:ns:meta/'>
<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'
 xmlns:dc='http://purl.org/dc/elements/1.1/' xmlns:xmp='http://ns.adobe.com/xap/1.0/'
 xmlns:lr='http://ns.adobe.com/lightroom/1.0/'>
<rdf:Description rdf:about='' xmp:Rating='4' xmp:Label='Grün'>
<dc:title><rdf:Alt><rdf:li xml:lang='x-default'>Am See</rdf:li></rdf:Alt></dc:title>
<dc:creator><rdf:Seq><rdf:li>Anna</rdf:li></rdf:Seq></dc:creator>
<dc:subject><rdf:Bag><rdf:li>lake</rdf:li><rdf:li>Boat</rdf:li></rdf:Bag></dc:subject>
</rdf:Description>
<rdf:Description rdf:about=''>
<dc:description><rdf:Alt><rdf:li xml:lang='x-default'>Zwei Boote</rdf:li></rdf:Alt></dc:description>
<lr:hierarchicalSubject><rdf:Bag><rdf:li>Places|Italy|LAKE</rdf:li></rdf:Bag>
</lr:hierarchicalSubject></rdf:Description></rdf:RDF></x:xmpmeta>"""


@pytest.mark.parametrize("format", ["JPEG", "WEBP", "TIFF"])
def test_what_people_wrote_is_read_from_xmp(format: str) -> None:
    packet = XMP.encode()
    how = {"tiffinfo": {700: packet}} if format == "TIFF" else {"xmp": packet}
    data = make.encode(make.scene(4), format, **how)
    facts = decode_stream(BytesIO(data)).facts
    assert (facts.title, facts.description, facts.creator) == ("Am See", "Zwei Boote", "Anna")
    assert (facts.rating, facts.label) == (4, "Grün")
    assert facts.keywords == ("lake", "Boat", "Places", "Italy")


def test_an_xmp_packet_expands_no_entities() -> None:
    bomb = b"<!DOCTYPE x [<!ENTITY a 'aaaa'>]>" + XMP.replace("Am See", "&a;").encode()
    photo = decode_stream(BytesIO(make.encode(make.scene(4), "JPEG", xmp=bomb)))
    assert photo.facts.title is None


@pytest.mark.parametrize("charset", ["utf-8", "latin-1"])
def test_iptc_is_read_in_the_charset_that_it_has(charset: str) -> None:
    records = b"".join(
        b"\x1c\x02" + bytes([number]) + len(value).to_bytes(2) + value
        for number, text in (
            (25, "München"),
            (25, "Straße"),
            (5, "Über den Dächern"),
            (55, "20210506"),
        )
        for value in [text.encode(charset)]
    )
    resource = b"8BIM\x04\x04\0\0" + len(records).to_bytes(4) + records + b"\0" * (len(records) % 2)
    content = b"Photoshop 3.0\0" + resource
    data = make.encode(make.scene(4), "JPEG")
    marker = b"\xff\xed" + (len(content) + 2).to_bytes(2) + content
    facts = decode_stream(BytesIO(data[:2] + marker + data[2:])).facts
    assert facts.keywords == ("München", "Straße")
    assert facts.title == "Über den Dächern"
    assert (facts.taken, facts.dated) == (datetime(2021, 5, 6), "iptc")


def test_texts_in_exif_are_utf_8_where_they_can_be() -> None:
    facts = read("exif_utf8_text.jpg").facts
    assert facts.camera == "Câmera Ünïcode 型号 X9"
    assert facts.lens == "Объектив 50 mm f/1.8"


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("IMG-20210506-WA0007.jpg", datetime(2021, 5, 6)),
        ("PXL_20230101_120000123.jpg", datetime(2023, 1, 1, 12)),
        ("Screenshot_2022-05-06-07-08-09.png", datetime(2022, 5, 6, 7, 8, 9)),
        ("WhatsApp Image 2021-05-06 at 07.08.09.jpeg", MOMENT),
        ("20210506_070809.jpg", MOMENT),
        ("DSC_1234.jpg", None),
        ("IMG_20219906.jpg", None),
        ("1234202105061.jpg", None),
    ],
)
def test_names_say_when_as_telephones_and_messengers_write_it(
    name: str, taken: datetime | None
) -> None:
    facts = name_facts(f"/photos/19990101/{name}")
    assert (facts.taken, facts.dated) == (taken, "name" if taken else None)


def test_a_profile_is_turned_into_a_transform_once() -> None:
    colour._transform.cache_clear()
    for _ in range(3):
        read("png_wide_gamut_profile.png")
    assert colour._transform.cache_info().misses == 1
