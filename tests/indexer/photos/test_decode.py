"""Real files of every kind to upright RGB pixels."""

import math
import os
import subprocess
import warnings
from contextlib import suppress
from datetime import datetime
from hashlib import blake2b
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from indexer.errors import DecodeError
from indexer.photos import content
from indexer.photos.content import content_id, read_content
from indexer.photos.decode import FORMATS, Photo, decode, decode_stream, quiet
from tests.photos import make

PICTURES = make.pictures()
COLOUR = ["plain.jpg", "rotated.jpg", "cmyk.jpg", "palette.png", "animated.gif", "photo.heic"]
COLOUR += ["photo.avif", "photo.bmp", "photo.tif", "photo.webp", "camera.dng", "really-a-jpeg.png"]
COLOUR += ["rotated.tif", "upside-down.tif", "photo.jxl", "photo.jp2", "photo.psd", "float.tif"]
COLOUR += ["wide.tif"]


def read(data: bytes, name: str = "", **options: int) -> Photo:
    return decode_stream(BytesIO(data), hint=name.rpartition(".")[2], **options)


def near(image: Image.Image, x: float, y: float, colour: tuple[int, ...]) -> bool:
    """Whether the pixel at fractions x, y is about this colour."""
    pixel = image.getpixel((int(x * image.width), int(y * image.height)))
    assert isinstance(pixel, tuple)
    return max(abs(a - b) for a, b in zip(pixel, colour, strict=True)) <= 8


@pytest.mark.parametrize("name", COLOUR)
def test_colours_come_through_the_right_way_up(name: str) -> None:
    image = read(PICTURES[name], name).image
    assert image.mode == "RGB"
    assert near(image, 0.5, 0.1, make.GREEN)
    assert near(image, 0.1, 0.6, make.RED)
    assert near(image, 0.9, 0.9, make.BLUE)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_undone(orientation: int) -> None:
    photo = read(make.rotated_jpeg(orientation))
    assert (photo.width, photo.height) == (make.WIDTH * 4, make.HEIGHT * 4)
    assert photo.image.size == (photo.width, photo.height)
    assert near(photo.image, 0.5, 0.1, make.GREEN)
    assert near(photo.image, 0.1, 0.6, make.RED)
    thumbnail = Image.open(BytesIO(photo.thumbnail)).convert("RGB")
    assert near(thumbnail, 0.5, 0.1, make.GREEN)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("scale", [1, 40])
def test_a_tiff_is_turned_once(orientation: int, scale: int) -> None:
    size = (make.WIDTH * scale, make.HEIGHT * scale)
    with Image.open(BytesIO(make.rotated_jpeg(orientation))) as stored:
        turned = stored.resize(size if orientation < 5 else size[::-1], Image.Resampling.NEAREST)
    photo = read(make.encode(turned, "TIFF", exif=make.exif(orientation)))
    assert (photo.width, photo.height) == size
    assert photo.image.width > photo.image.height
    assert near(photo.image, 0.5, 0.1, make.GREEN)
    assert near(photo.image, 0.1, 0.6, make.RED)
    assert photo.facts.orientation == orientation
    assert photo.facts.camera == "NIKON D90"


def test_transparent_pixels_lie_over_white() -> None:
    image = read(PICTURES["rgba.png"]).image
    assert near(image, 0.1, 0.3, make.RED)
    assert near(image, 0.1, 0.9, (255, 255, 255))
    image = read(PICTURES["palette-transparent.png"]).image
    assert near(image, 0.1, 0.9, make.RED)
    assert near(image, 0.9, 0.9, (255, 255, 255))


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    pixels = np.asarray(read(PICTURES["sixteen.png"]).image)[0, :, 0]
    expected = np.linspace(0, 255, make.WIDTH)
    assert np.abs(pixels - expected).max() <= 1


def test_float_and_wide_integer_tiffs_keep_their_range() -> None:
    ramp = np.tile(np.linspace(0, 1, 16, dtype=np.float32), (8, 1))
    unit = np.asarray(read(make.encode(Image.fromarray(ramp), "TIFF")).image)[0, :, 0]
    assert np.abs(unit - np.linspace(0, 255, 16)).max() <= 1
    wide = Image.fromarray((ramp * 65535).astype(np.int32))
    scaled = np.asarray(read(make.encode(wide, "TIFF")).image)[0, :, 0]
    assert np.abs(scaled - np.linspace(0, 255, 16)).max() <= 1


def test_grey_and_bilevel_have_three_equal_channels() -> None:
    for name in ("grey.jpg", "bilevel.png"):
        pixels = np.asarray(read(PICTURES[name]).image)
        assert pixels.shape[2] == 3
        assert (pixels[..., 0] == pixels[..., 2]).all()


def test_content_decides_the_format() -> None:
    assert read(PICTURES["really-a-jpeg.png"], "really-a-jpeg.png").format == "jpeg"
    assert read(PICTURES["camera.dng"], "mislabelled.tif").format == "raw"
    assert read(PICTURES["photo.tif"], "photo.nef").format == "tiff"
    assert read(PICTURES["photo.heic"], "photo.jpg").format == "heif"


def test_exif_facts_are_read() -> None:
    facts = read(PICTURES["plain.jpg"]).facts
    assert facts.taken == datetime(2021, 5, 17, 18, 3, 9, 250000)
    assert facts.camera == "NIKON D90"
    assert facts.lens == "18.0-105.0 mm f/3.5-5.6"
    assert facts.latitude == pytest.approx(-(33 + 51 / 60 + 35.4 / 3600))
    assert facts.longitude == pytest.approx(151 + 12 / 60 + 40 / 3600)
    assert (facts.iso, facts.f_number, facts.exposure) == (400, 2.8, 0.004)
    assert facts.focal_length == 50.0
    assert read(PICTURES["photo.heic"]).facts.camera == "NIKON D90"


def test_a_raw_file_gives_its_preview_and_its_own_facts() -> None:
    photo = read(PICTURES["camera.dng"], "camera.dng")
    assert (photo.width, photo.height) == (48, 64)  # the sensor's 64 x 48, turned upright
    assert photo.facts.camera == "Acme Raw One"
    assert photo.facts.taken == datetime(2022, 1, 2, 3, 4, 5)


def test_large_pictures_are_reduced_to_what_is_needed() -> None:
    data = make.encode(make.scene(50), "JPEG")  # 2400 x 1600
    for encoded in (data, make.encode(make.scene(50), "PNG")):
        photo = read(encoded, target=128, thumbnail=320)
        assert (photo.width, photo.height) == (2400, 1600)
        assert 320 <= photo.image.width <= 640
        assert near(photo.image, 0.1, 0.6, make.RED)
        full = read(encoded, target=10_000)
        assert full.image.size == (2400, 1600)


def test_the_reduced_picture_is_never_smaller_than_the_target_area() -> None:
    for size in ((900, 300), (300, 900), (640, 480), (2000, 100)):
        data = make.encode(Image.new("RGB", size, "teal"), "JPEG")
        image = read(data, target=150, thumbnail=100).image
        assert image.width * image.height >= 0.98 * min(150**2, math.prod(size))


def test_thumbnails_are_small_webp() -> None:
    thumbnail = Image.open(BytesIO(read(make.encode(make.scene(20), "PNG")).thumbnail))
    assert thumbnail.format == "WEBP"
    assert thumbnail.size == (320, 213)
    small = Image.open(BytesIO(read(PICTURES["photo.bmp"]).thumbnail))
    assert small.size == (make.WIDTH, make.HEIGHT)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("broken/truncated.jpg", "damaged: image file is truncated"),
        ("broken/empty.jpg", "the file is empty"),
        ("broken/text.jpg", "not a picture in a known format"),
        ("broken/postscript.jpg", "PostScript is not a supported format"),
        ("broken/bomb.png", "30000 x 30000 pixels exceed the limit of 250 megapixels"),
    ],
)
def test_broken_files_say_why(name: str, reason: str) -> None:
    with pytest.raises(DecodeError, match=reason):
        read(PICTURES[name], name)


@pytest.mark.parametrize("name", ["x.jpg", "x.nef", "x.tif"])
def test_no_picture_starts_a_program(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(*command: object, **options: object) -> None:
        raise AssertionError(f"a process was started: {command}")

    monkeypatch.setattr(subprocess.Popen, "__init__", start)
    for function in ("system", "posix_spawn", "fork", "execve"):
        monkeypatch.setattr(os, function, start)
    Image.init()  # another library may have loaded every decoder of Pillow
    with pytest.raises(DecodeError, match="PostScript is not a supported format"):
        read(make.postscript(), name)


def test_formats_are_those_of_photos() -> None:
    assert {"JPEG", "PNG", "TIFF", "WEBP", "HEIF", "AVIF"} <= set(FORMATS)
    assert set(FORMATS) <= set(Image.OPEN)
    for format in ("ICO", "PPM", "PCX"):
        with pytest.raises(DecodeError, match=r"known format|supported"):
            read(make.encode(make.scene(), format), "a.jpg")


def test_the_pixel_cap_can_be_set_and_names_both_sizes() -> None:
    with pytest.raises(DecodeError, match=r"192 x 128 pixels exceed the limit of 0\.02"):
        read(PICTURES["plain.jpg"], max_pixels=20_000)


@pytest.mark.parametrize("name", ["plain.jpg", "photo.heic", "photo.tif", "camera.dng", "rgba.png"])
def test_flipped_bytes_never_raise_anything_else(name: str) -> None:
    data = PICTURES[name]
    generator = np.random.default_rng(0)
    with quiet():
        for _ in range(60):
            broken = bytearray(data)
            for place in generator.integers(0, len(data), 6):
                broken[place] = generator.integers(0, 256)
            with suppress(DecodeError):
                assert read(bytes(broken), name, max_pixels=10**6).image.mode == "RGB"


def test_quiet_keeps_other_peoples_warnings() -> None:
    with quiet(), pytest.warns(UserWarning, match="ours"):
        warnings.warn("ours", stacklevel=1)


def test_content_id_is_the_hash_of_all_bytes() -> None:
    data = os.urandom(3_000_000)
    assert content_id(BytesIO(data)) == blake2b(data, digest_size=16).hexdigest()


def test_large_files_are_read_from_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(PICTURES["plain.jpg"])
    small = read_content(str(path))
    monkeypatch.setattr(content, "IN_MEMORY_LIMIT", 100)
    large = read_content(str(path))
    assert small is not None
    assert large is not None
    assert isinstance(small[1], BytesIO)
    assert not isinstance(large[1], BytesIO)
    assert small[0] == large[0]
    with large[1] as stream:
        assert near(decode_stream(stream).image, 0.1, 0.6, make.RED)


def test_files_that_cannot_be_opened(tmp_path: Path) -> None:
    assert read_content(str(tmp_path / "gone.jpg")) is None
    with pytest.raises(DecodeError, match="the file is gone"):
        decode(os.fsencode(tmp_path / "gone.jpg"))
    (tmp_path / "link.jpg").symlink_to(tmp_path / "gone.jpg")
    with pytest.raises(DecodeError, match="a broken link"):
        read_content(str(tmp_path / "link.jpg"))
    (tmp_path / "self.jpg").symlink_to(tmp_path / "self.jpg")
    with pytest.raises(DecodeError, match="not readable: Too many levels of symbolic links"):
        read_content(str(tmp_path / "self.jpg"))
