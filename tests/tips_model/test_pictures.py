import io
import subprocess

import pytest
from PIL import Image

from tips_model.pictures import open_picture, upright_rgb


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def test_no_picture_starts_a_program(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    with pytest.raises(OSError, match="cannot identify"):
        open_picture(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_picture_is_turned_upright_once(kind: str) -> None:
    image = Image.new("RGB", (40, 20), "blue")
    image.paste("red", (0, 0, 20, 20))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise: the left half comes to the top
    with open_picture(encoded(image, kind, exif=exif)) as opened:
        upright = upright_rgb(opened)
    assert upright.size == (20, 40)
    red, _, blue = upright.getpixel((10, 5))
    assert red > 200 > blue


def test_what_is_transparent_is_white() -> None:
    image = Image.new("RGBA", (4, 4), (200, 30, 30, 0))
    with open_picture(encoded(image, "PNG")) as opened:
        assert upright_rgb(opened).getpixel((0, 0)) == (255, 255, 255)
