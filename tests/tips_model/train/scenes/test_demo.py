from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.ExifTags import GPS, IFD

from tests.tips_model.train.scenes import paint
from tips_model.train.scenes.albums import ALBUMS, BACKDROPS
from tips_model.train.scenes.concepts import NAMES
from tips_model.train.scenes.demo import backdrop, write_photos


def test_albums_name_known_things_and_backdrops():
    for album in ALBUMS:
        assert set(album.things) <= set(NAMES), album.folder
        assert set(album.backdrops) <= set(BACKDROPS), album.folder


def test_photos_are_the_same_for_the_same_seed_and_tell_the_truth(tmp_path: Path):
    album = replace(ALBUMS[0], things=("crab", "fish", "sun"))
    bank = paint.bank(concepts=len(NAMES), drawings=1)
    one = write_photos(tmp_path / "a", bank, [album])
    two = write_photos(tmp_path / "b", bank, [album])
    assert one == two
    for entry in one:
        path = str(entry["path"])
        first = (tmp_path / "a" / path).read_bytes()
        assert first == (tmp_path / "b" / path).read_bytes()
    assert [entry["objects"][0]["name"] for entry in one] == ["crab", "fish", "sun"]
    with Image.open(tmp_path / "a" / str(one[0]["path"])) as image:
        place = image.getexif().get_ifd(IFD.GPSInfo)
    degrees, minutes, seconds = place[GPS.GPSLatitude]
    assert float(degrees + minutes / 60 + seconds / 3600) == pytest.approx(43.48, abs=0.05)
    assert place[GPS.GPSLongitudeRef] == "W"


def test_a_backdrop_goes_from_its_first_to_its_last_colour():
    layers = BACKDROPS["meadow"]
    picture = backdrop(layers, 60, 80, np.random.default_rng(0), texture=0)
    np.testing.assert_allclose(picture[:, 0, 0], layers[0][1], atol=1)
    np.testing.assert_allclose(picture[:, -1, 40], layers[-1][2], atol=1)
