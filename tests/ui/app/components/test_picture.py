"""A picture from the browser is read as an indexed photo is, or refused with a sentence."""

from __future__ import annotations

import base64
import io

import pytest
from PIL import Image

from search.errors import QueryError
from ui.app.components.picture import read_picture


def address(content: bytes) -> str:
    """The data address of some bytes."""
    return "data:image/jpeg;base64," + base64.b64encode(content).decode()


def test_a_picture_is_read_upright_in_rgb() -> None:
    picture = Image.new("L", (80, 40), 200)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", exif=exif)
    read = read_picture(address(buffer.getvalue()))
    assert read.mode == "RGB"
    assert read.size == (40, 80)


@pytest.mark.parametrize(
    "value",
    [
        7,
        "",
        "data:image/jpeg;base64,",
        "data:image/jpeg;base64,!!!",
        address(b"no picture"),
        address(b"\xff\xd8\xff"),
        "file:///etc/passwd",
        ["data:image/png;base64,AAAA"],
    ],
)
def test_what_is_no_picture_is_refused(value: object) -> None:
    with pytest.raises(QueryError, match=r"picture|damaged"):
        read_picture(value)
