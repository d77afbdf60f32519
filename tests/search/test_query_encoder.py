from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from search import query_encoder
from search.errors import QueryError
from search.query_encoder import QueryEncoder, open_picture
from tests.search.colours import COLOURS, ColourEmbedder, paint
from tips_model.templates import TEMPLATES


def test_region_texts_are_the_unit_mean_over_the_templates() -> None:
    model = ColourEmbedder()
    rows = model.embed_texts([template.format("red") for template in TEMPLATES["tcl"]])
    mean = rows.mean(axis=0)
    found = QueryEncoder(model).texts(["red"], "regions")
    np.testing.assert_allclose(found, [mean / np.linalg.norm(mean)], atol=1e-6)


def test_a_known_text_is_not_encoded_again_and_order_is_kept() -> None:
    model = ColourEmbedder()
    encoder = QueryEncoder(model)
    first = encoder.texts(["red", "blue", "red"], "images")
    np.testing.assert_array_equal(first[0], first[2])
    again = encoder.texts(["blue", "green"], "images")
    np.testing.assert_array_equal(again[0], first[1])
    assert model.texts_seen == ["red", "blue", "green"]


def test_only_the_latest_texts_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query_encoder, "REMEMBERED", 2)
    model = ColourEmbedder()
    encoder = QueryEncoder(model)
    encoder.texts(["red", "blue", "green"], "images")
    encoder.texts(["green", "blue"], "images")
    assert model.texts_seen == ["red", "blue", "green"]
    encoder.texts(["red"], "images")
    assert model.texts_seen[-1] == "red"


def test_a_picture_gives_heads_and_the_grid_of_its_patches() -> None:
    features = QueryEncoder(ColourEmbedder()).picture(paint("white", [("red", (0, 0, 0.5, 1))]))
    assert set(features.heads) == {"web", "caption"}
    assert features.patches.shape == (8, 12, 32)
    red, white = list(COLOURS).index("red"), list(COLOURS).index("white")
    assert (features.patches[:, :6].argmax(axis=-1) == red).all()
    assert (features.patches[:, 6:].argmax(axis=-1) == white).all()


def test_what_is_cut_from_a_long_text_is_named() -> None:
    encoder = QueryEncoder(ColourEmbedder())
    words = [f"word{number}" for number in range(20)]
    assert encoder.cut(" ".join(words)) == " ".join(words[12:])
    assert encoder.cut("short") == ""


def test_a_named_picture_is_opened_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("L", (40, 20), 200).save(tmp_path / "a.jpg", exif=exif)
    image = open_picture(tmp_path / "a.jpg")
    assert (image.size, image.mode) == ((20, 40), "RGB")


def test_a_named_picture_is_read_as_an_indexed_photo_is(tmp_path: Path) -> None:
    """16 bits are scaled, not clipped; what transparency hides is white."""
    Image.fromarray(np.full((8, 8), 0x5100, np.uint16)).save(tmp_path / "deep.png")
    Image.new("RGBA", (8, 8), (200, 30, 30, 0)).save(tmp_path / "clear.png")
    assert open_picture(tmp_path / "deep.png").getpixel((0, 0)) == (81, 81, 81)
    assert open_picture(tmp_path / "clear.png").getpixel((0, 0)) == (255, 255, 255)


def test_a_file_that_is_no_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"no picture")
    with pytest.raises(QueryError, match=r"a\.jpg cannot be read as a picture"):
        open_picture(tmp_path / "a.jpg")
