"""A small real collection: pictures that the test paints, indexed with the bundled model."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image, ImageDraw

from ui.cli import cli

HOSTILE = "<img src=x onerror=alert(1)> **bold** [a](b).jpg"


def paint(file: Path, seed: int) -> None:
    """A picture of a few discs and squares, with the EXIF facts of a camera."""
    chance = random.Random(seed)
    size = chance.choice([(160, 120), (120, 160), (200, 112)])
    picture = Image.new("RGB", size, _colour(chance))
    draw = ImageDraw.Draw(picture)
    for _ in range(3):
        x, y, r = chance.randrange(size[0]), chance.randrange(size[1]), chance.randrange(12, 40)
        shape = chance.choice([draw.ellipse, draw.rectangle])
        shape((x - r, y - r, x + r, y + r), fill=_colour(chance))
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = ("Canon", "EOS R5") if seed % 2 else ("Fujifilm", "X100V")
    file.parent.mkdir(parents=True, exist_ok=True)
    picture.save(file, exif=exif)


def tips(*arguments: object) -> Result:
    """Run `tips` in this process."""
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty pictures in two folders, one of them with a hostile name, and a broken file."""
    folder = tmp_path_factory.mktemp("ui") / "photos"
    for seed in range(29):
        paint(folder / ("Rome" if seed < 10 else "Paris") / f"IMG_{seed:04d}.jpg", seed)
    paint(folder / HOSTILE, 29)
    (folder / "broken.jpg").write_bytes(b"\xff\xd8 no picture")
    return folder


@pytest.fixture(scope="session")
def collection(photos: Path) -> Path:
    """The pictures, indexed; tests only read it."""
    folder = photos.parent / "collection"
    result = tips("index", photos, "--model", "nano", "-c", folder)
    assert result.exit_code == 0, result.output
    return folder


def _colour(chance: random.Random) -> tuple[int, int, int]:
    return chance.randrange(256), chance.randrange(256), chance.randrange(256)
