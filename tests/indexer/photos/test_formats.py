"""Formats beyond the ordinary, files that are none, and limits before any pixel is decoded."""

from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from indexer.errors import DecodeError
from indexer.photos import formats
from indexer.photos.decode import Photo, decode_stream
from indexer.photos.jxl import jxl_size
from tests.photos import make

CASES = Path(__file__).parents[2] / "photos" / "cases"
XMP = (
    b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF "
    b"xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'><rdf:Description "
    b"xmlns:xmp='http://ns.adobe.com/xap/1.0/' xmp:Rating='4'/></rdf:RDF></x:xmpmeta>"
)


def read(data: bytes, hint: str = "", **options: int) -> Photo:
    return decode_stream(BytesIO(data), hint=hint, **options)


def is_upright(photo: Photo) -> bool:
    """Whether the scene's green strip is at the top, red left of blue."""
    pixels = np.asarray(photo.image.resize((48, 32)), np.int16)
    spots = ((3, 24, make.GREEN), (20, 6, make.RED), (20, 42, make.BLUE))
    return all(np.abs(pixels[y, x] - colour).max() < 60 for y, x, colour in spots)


@pytest.mark.parametrize("name", ["photo.jxl", "photo.psd"])
def test_facts_of_the_new_formats(name: str) -> None:
    facts = read(make.pictures()[name]).facts
    assert facts.camera == "NIKON D90"
    assert facts.taken == datetime(2021, 5, 17, 18, 3, 9, 250_000)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_jpeg_xl_picture_is_turned_once(orientation: int) -> None:
    """Its decoder turns what its own header says, and EXIF may repeat that."""
    photo = read(make.jxl(orientation))
    assert is_upright(photo) == (orientation == 1 or not _turned_by_encoder())
    assert photo.facts.camera == "NIKON D90"


def _turned_by_encoder() -> bool:
    """Whether the plugin writes the orientation of EXIF into the picture's header."""
    with Image.open(BytesIO(make.jxl(6))) as picture:
        return picture.size != make.scene(4).size


def test_a_jpeg_inside_jpeg_xl_is_turned_by_its_exif(tmp_path: Path) -> None:
    import pillow_jxl  # noqa: F401

    file = tmp_path / "turned.jpg"
    file.write_bytes(make.rotated_jpeg(6))
    out = BytesIO()
    with Image.open(file) as image:
        image.save(out, "JXL", lossless_jpeg=True)
    photo = read(out.getvalue())
    assert (photo.width, photo.height) == make.scene(4).size
    assert is_upright(photo)


@pytest.mark.parametrize("size", [(8, 8), (256, 256), (48, 32), (1000, 37), (4097, 3), (30, 16)])
@pytest.mark.parametrize("container", [False, True])
def test_the_size_of_jpeg_xl_is_read_from_its_header(
    size: tuple[int, int], container: bool
) -> None:
    import pillow_jxl  # noqa: F401

    data = make.encode(Image.new("RGB", size, "teal"), "JXL", use_container=container)
    assert jxl_size(BytesIO(data)) == size


@pytest.mark.parametrize("data", [b"", b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n", b"x" * 100])
def test_a_jpeg_xl_file_without_a_size(data: bytes) -> None:
    with pytest.raises(ValueError, match="JPEG XL"):
        jxl_size(BytesIO(data))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_mirrored_raw_files_are_upright(orientation: int) -> None:
    photo = read(make.dng(orientation), "dng")
    assert is_upright(photo)
    assert (photo.width < photo.height) == (orientation >= 5)


def test_facts_of_a_raw_file_are_its_own_and_its_xmp() -> None:
    facts = read(make.dng(xmp=XMP), "dng").facts
    assert (facts.camera, facts.rating) == ("Acme Raw One", 4)


@pytest.mark.parametrize("hint", ["crw", "gpr"])
def test_other_raw_endings_are_tried(hint: str) -> None:
    assert read(make.dng(), hint).format == "raw"


def wanted(size: tuple[int, int]) -> np.ndarray:
    with Image.open(CASES / "ref_for_profiles.png") as picture:
        return np.asarray(picture.convert("RGB").resize(size, Image.Resampling.BOX), np.int16)


@pytest.mark.parametrize("name", ["tiff_rgb_float32.tif", "tiff_lab16.tif"])
def test_tiffs_that_pillow_does_not_read(name: str) -> None:
    photo = read((CASES / name).read_bytes())
    assert photo.format == "tiff"
    away = np.abs(np.asarray(photo.image, np.int16) - wanted(photo.image.size))
    assert np.median(away) <= 1
    assert np.quantile(away, 0.95) <= 4


def test_lab_under_its_usual_white() -> None:
    """Little CMS reads 8-bit Lab of D50; the same colours at 16 bits come out the same."""
    rng = np.random.default_rng(0)
    light = rng.integers(40, 220, (16, 24, 1))
    colours = rng.integers(-20, 20, (16, 24, 2))
    small = np.concatenate((light, colours & 255), -1).astype(np.uint8)
    wide = np.concatenate((light * 257, colours * 256), -1).astype(np.int16).view(np.uint16)
    eight = read(make.encode(Image.fromarray(small, "LAB"), "TIFF")).image
    sixteen = read(make.wide_tiff(wide, photometric="cielab")).image
    away = np.abs(np.asarray(eight, np.int16) - np.asarray(sixteen, np.int16))
    assert np.quantile(away, 0.95) <= 3


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.uint32])
def test_wide_samples_are_scaled(planar: str, dtype: type) -> None:
    values = make.floats()
    if dtype == np.uint32:
        values = (values.astype(np.float64) * (2**32 - 1)).astype(np.uint32)
    values = values.astype(dtype)
    shown = np.moveaxis(values, -1, 0) if planar == "separate" else values
    photo = read(make.wide_tiff(shown, photometric="rgb", planarconfig=planar))
    away = np.abs(np.asarray(photo.image, np.int16) - np.asarray(make.scene(), np.int16))
    assert away.max() <= 1


def test_floats_beyond_one_and_none() -> None:
    values = make.floats() * 8
    values[0, 0] = np.nan
    values[0, 1] = np.inf
    photo = read(make.wide_tiff(values, photometric="rgb"))
    brightest = np.asarray(photo.image).max()
    assert brightest == 255
    assert is_upright(photo)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_wide_tiff_is_turned(orientation: int) -> None:
    stored = make.scene(4)
    if orientation > 1:
        stored = stored.transpose(make._TURNS[orientation])
    values = np.asarray(stored, np.float32) / 255
    extra = [(274, "H", 1, orientation, True)]
    photo = read(make.wide_tiff(values, photometric="rgb", extratags=extra))
    assert is_upright(photo)
    assert (photo.width, photo.height) == make.scene(4).size


def box(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", 8 + len(data)) + kind + data


def heif(code: bytes) -> bytes:
    brands = box(b"ftyp", b"mif1\0\0\0\0mif1heic")
    return brands + box(b"meta", b"\0\0\0\0" + box(b"infe", b"\2\0\0\0\0\1\0\0" + code + b"\0"))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (bytes(5000), "the file holds nothing but zeros"),
        (b"<!DOCTYPE html><html><body>404", "a web page is not a supported format"),
        (b"\xef\xbb\xbf\n<html>", "a web page is not a supported format"),
        (b"<?xml version='1.0'?>\n<svg/>", "SVG is not a supported format"),
        (b"hello there\n" * 50, "not a picture in a known format, but plain text"),
        (b"PK\3\4" + bytes(50), "a ZIP archive is not a supported format"),
        (heif(b"unci"), "an uncompressed HEIF is not a supported format"),
        (heif(b"avc1"), "a HEIF coded as H.264 is not a supported format"),
        (heif(b"j2k1"), "a HEIF coded as JPEG 2000 is not a supported format"),
        (box(b"ftyp", b"isom\0\0\2\0isomavc1"), "a video (MP4) is not a supported format"),
        (box(b"ftyp", b"qt  \0\0\2\0qt  "), "a video (QuickTime) is not a supported format"),
        (b"RIFF\x24\0\0\0AVI LIST", "a video (AVI) is not a supported format"),
        (b"\x1aE\xdf\xa3" + bytes(20), "a video (Matroska or WebM) is not a supported format"),
        (b"v/1\1\2\0\0\0", "OpenEXR is not a supported format"),
        (b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n", "Radiance HDR is not a supported format"),
        (b"8BPS\0\2" + bytes(30), "a large Photoshop document (PSB) is not a supported format"),
        (b"%PDF-1.7", "PDF is not a supported format"),
        (b"\x93\x02\x99" * 30, "not a picture in a known format"),
    ],
)
def test_a_file_that_is_not_read_is_named(data: bytes, reason: str) -> None:
    with pytest.raises(DecodeError) as refused:
        read(data)
    assert refused.value.reason == reason


def test_a_tiff_that_is_no_photo_says_so() -> None:
    data = make.wide_tiff(np.zeros((4, 4, 7), np.float32), photometric="rgb", planarconfig="contig")
    with pytest.raises(DecodeError, match="a TIFF of 7 samples a pixel, which is no photo"):
        read(data)
    with pytest.raises(DecodeError, match="a TIFF of"):
        read(make.wide_tiff(np.zeros((4, 4, 3), np.complex64), photometric="rgb"))


def test_jpeg_xl_without_its_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_jxl", None)
    with pytest.raises(DecodeError, match="JPEG XL needs the package pillow-jxl-plugin"):
        formats.formats_of(BytesIO(b"\xff\x0a" + bytes(20)))


WIDE, HIGH = 6000, 4000
LIMIT = 20_000_000  # of the 24 million pixels; as RGB they take 72 MB


def solid(format: str, **options: object) -> Callable[[], bytes]:
    def encode() -> bytes:
        import pillow_jxl  # noqa: F401

        return make.encode(Image.new("RGB", (WIDE, HIGH), "teal"), format, **options)

    return encode


def grey(format: str, **options: object) -> Callable[[], bytes]:
    return lambda: make.encode(Image.new("L", (WIDE, HIGH), 90), format, **options)


def giant_photoshop() -> bytes:
    header = b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, HIGH, WIDE, 8, 3)
    return header + struct.pack(">III", 0, 0, 0) + struct.pack(">H", 0) + bytes(100)


def preview_of_a_giant() -> bytes:
    """A raw file whose preview is larger than the picture that it states."""
    return make.dng(preview=solid("JPEG")())


WORST: dict[str, Callable[[], bytes]] = {
    "png": solid("PNG"),
    "jpeg": solid("JPEG"),
    "progressive jpeg": solid("JPEG", progressive=True),
    "webp": solid("WEBP"),
    "gif": grey("GIF"),
    "bmp": grey("BMP"),
    "tiff lzw": solid("TIFF", compression="tiff_lzw"),
    "tiff jpeg": solid("TIFF", compression="jpeg"),
    "tiff floats": lambda: make.wide_tiff(
        np.zeros((HIGH, WIDE, 3), np.float16), photometric="rgb", compression="zlib"
    ),
    "heif": solid("HEIF"),
    "avif": solid("AVIF", speed=10),
    "jpeg 2000": solid("JPEG2000"),
    "jpeg xl": solid("JXL", effort=1),
    "photoshop": giant_photoshop,
    "raw": preview_of_a_giant,
}
MEASURE = """
import resource, sys
from indexer.errors import DecodeError
from indexer.photos.decode import decode_stream
from tests.photos import make

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

hint, limit = sys.argv[2], int(sys.argv[3])
with open(sys.argv[4], "rb") as small:  # loads what the format needs
    decode_stream(small, hint=hint)
before = peak()
try:
    with open(sys.argv[1], "rb") as stream:
        decode_stream(stream, hint=hint, max_pixels=limit)
except DecodeError as refused:
    print(peak() - before, refused.reason)
"""


@pytest.mark.parametrize("name", WORST)
def test_too_many_pixels_are_refused_before_they_take_memory(name: str, tmp_path: Path) -> None:
    pictures = make.pictures()
    small = {
        "tiff floats": "float.tif",
        "heif": "photo.heic",
        "avif": "photo.avif",
        "jpeg xl": "photo.jxl",
        "raw": "camera.dng",
    }.get(name, "plain.jpg")
    (tmp_path / "small").write_bytes(pictures[small])
    data = WORST[name]()
    (tmp_path / "large").write_bytes(data)
    hint = "dng" if name == "raw" else ""
    run = subprocess.run(
        [sys.executable, "-c", MEASURE, tmp_path / "large", hint, str(LIMIT), tmp_path / "small"],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    assert run.returncode == 0, run.stderr
    grown, _, reason = run.stdout.partition(" ")
    assert reason == "6000 x 4000 pixels exceed the limit of 20 megapixels\n"
    assert int(grown) < 8_000_000 + 3 * len(data), f"{int(grown) / 1e6:.0f} MB"
