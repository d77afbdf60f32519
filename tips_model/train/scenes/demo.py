"""Generates drawn photos: new scenes of known drawings that look like a small photo collection.

Several sizes, shapes and formats; EXIF dates over three years, two cameras, GPS in most; folders by
year and occasion. The same seed writes the same pictures. `scenes.json` beside the photos lists
their objects and boxes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn.functional import interpolate

from tips_model.train.scenes.albums import ALBUMS, BACKDROPS, CAMERAS, Album, Camera
from tips_model.train.scenes.attribution import attribution_text
from tips_model.train.scenes.boxes import visible_boxes
from tips_model.train.scenes.compose import Composer
from tips_model.train.scenes.concepts import NAMES
from tips_model.train.scenes.drawings import DRAWING_SETS
from tips_model.train.scenes.exif import exif_of
from tips_model.train.scenes.plan import Catalogue, ScenePlan, SceneSpec, plan_scenes
from tips_model.train.scenes.render import Bank, load_bank

_SIZES = ((800, 600), (600, 800), (960, 640), (640, 640), (1200, 675), (480, 360), (720, 480),
          (400, 300), (900, 506), (540, 720))  # fmt: skip
_FORMATS = ("jpg",) * 7 + ("webp",) * 2 + ("png",)
_VENDORS = ("noto", "fluent-emoji")  # nano was trained on these drawings; the scenes are new to it
_LARGE = 384  # side of the cut-outs in pixels, enough for the largest photo


@dataclass(frozen=True, slots=True)
class _Shot:
    """One photo to take: its album, number, main thing and the others in the picture."""

    album: Album
    number: int
    things: tuple[str, ...]
    taken: datetime


def write_demo(out: Path) -> int:
    """Write all drawn photos with `ATTRIBUTION.md` and `scenes.json`; returns their number."""
    sets = [drawings for drawings in DRAWING_SETS if drawings.vendor in _VENDORS]
    facts = write_photos(out, load_bank(_LARGE, sets=sets), ALBUMS)
    (out / "scenes.json").write_text(json.dumps(facts, indent=1) + "\n", "utf-8")
    (out / "ATTRIBUTION.md").write_text(attribution_text(sets, "These pictures"), "utf-8")
    return len(facts)


def write_photos(
    out: Path, bank: Bank, albums: Sequence[Album], seed: int = 7
) -> list[dict[str, object]]:
    """Draw the albums' photos with a bank's drawings.

    Returns for each photo its `path` below `out` and its `objects` (name, box as fractions).
    """
    composer, catalogue = Composer(bank), Catalogue(bank)
    rng = np.random.default_rng(seed)
    return [_take(shot, composer, catalogue, rng, out) for shot in _shots(albums, rng)]


def _shots(albums: Sequence[Album], rng: np.random.Generator) -> Iterator[_Shot]:
    number = 0
    for album in albums:
        days = np.sort(rng.integers(0, album.days, len(album.things)))
        minutes = np.sort(rng.integers(8 * 60, 20 * 60, len(album.things)))
        for main, day, minute in zip(album.things, days, minutes, strict=True):
            number += 1
            others = [thing for thing in album.things if thing != main]
            more = rng.choice(others, int(rng.choice(4, p=(0.35, 0.3, 0.25, 0.1))), replace=False)
            clock = timedelta(days=int(day), minutes=int(minute), seconds=int(rng.integers(60)))
            taken = datetime.combine(album.first_day, time()) + clock
            yield _Shot(album, number, (main, *map(str, more)), taken)


def _take(
    shot: _Shot, composer: Composer, catalogue: Catalogue, rng: np.random.Generator, out: Path
) -> dict[str, object]:
    """Draw and write one photo; returns its entry for `scenes.json`."""
    width, height = _SIZES[int(rng.integers(len(_SIZES)))]
    kind = _FORMATS[int(rng.integers(len(_FORMATS)))]
    if kind == "png":
        width, height = 400, 300
    plan = _plan(shot, catalogue, rng)
    layers = BACKDROPS[shot.album.backdrops[int(rng.integers(len(shot.album.backdrops)))]]
    ground = backdrop(layers, height, width, rng, texture=0 if kind == "png" else 3)
    picture = composer.draw(plan, height, width, background=ground[None])
    image = Image.fromarray(picture.images[0].transpose(1, 2, 0))
    camera = CAMERAS[int(rng.integers(len(CAMERAS)))]
    path = out / shot.album.folder / f"{camera.prefix}{2040 + shot.number}.{kind}"
    path.parent.mkdir(parents=True, exist_ok=True)
    _save(image, path, shot, camera, rng)
    boxes = visible_boxes(picture.owner, plan.concept.shape[1])[0]
    return {
        "path": path.relative_to(out).as_posix(),
        "objects": [
            {"name": NAMES[concept], "box": [round(float(side), 4) for side in box]}
            for concept, box in zip(plan.concept[0], boxes, strict=True)
        ],
    }


def _plan(shot: _Shot, catalogue: Catalogue, rng: np.random.Generator) -> ScenePlan:
    count = len(shot.things)
    spec = SceneSpec(
        objects=(count, count),
        size=(0.5, 0.75) if count == 1 else (0.4, 0.6),
        rotation=8, stretch=0, hue=0, grey=0, jitter=0,
    )  # fmt: skip
    plan = plan_scenes(rng, catalogue, spec, 1)
    concept = np.array([[NAMES.index(thing) for thing in shot.things]])
    return replace(plan, concept=concept, drawing=catalogue.draw(rng, concept))


def backdrop(
    layers: tuple[tuple[float, tuple[int, int, int], tuple[int, int, int]], ...],
    height: int,
    width: int,
    rng: np.random.Generator,
    texture: float = 3,
) -> NDArray[np.float32]:
    """Layers with wavy edges and a soft texture: (3, height, width) float32 in 0-255."""
    rows = np.linspace(0, 1, height)[:, None]
    canvas = np.zeros((3, height, width))
    for index, (start, top, bottom) in enumerate(layers):
        end = layers[index + 1][0] if index + 1 < len(layers) else 1.0
        wave = rng.uniform(-0.02, 0.02) * np.sin(
            np.linspace(0, rng.uniform(2, 7), width) + rng.uniform(0, 6)
        )
        edge = start + (wave[None, :] if index else 0.0)
        along = np.clip((rows - edge) / (end - start), 0, 1)
        colour = (
            np.array(top)[:, None, None] * (1 - along) + np.array(bottom)[:, None, None] * along
        )
        # The edge is one pixel soft.
        cover = np.clip((rows - edge) * height + 0.5, 0, 1) if index else np.ones_like(along)
        canvas = canvas * (1 - cover) + colour * cover
    noise = torch.from_numpy(rng.uniform(-1, 1, (1, 1, 12, 16)).astype(np.float32))
    soft = interpolate(noise, (height, width), mode="bicubic")[0].numpy()
    picture: NDArray[np.float32] = np.clip(canvas + texture * soft, 0, 255).astype(np.float32)
    return picture


def _save(
    image: Image.Image, path: Path, shot: _Shot, camera: Camera, rng: np.random.Generator
) -> None:
    """Write in the format of the file name, with EXIF; every eighth JPEG is stored rotated."""
    turned = path.suffix == ".jpg" and shot.number % 8 == 0
    place = shot.album.place
    if place is not None:
        place = (place[0] + rng.normal(0, 0.01), place[1] + rng.normal(0, 0.01))
    exif = exif_of(camera, shot.taken, place, int(rng.choice([100, 200, 400])), 6 if turned else 1)
    if turned:  # orientation 6: the viewer turns it by 90 degrees clockwise
        image = image.transpose(Image.Transpose.ROTATE_90)
    if path.suffix == ".png":
        image.quantize(128, dither=Image.Dither.NONE).save(path, exif=exif, optimize=True)
    elif path.suffix == ".webp":
        image.save(path, exif=exif, quality=82, method=6)
    else:
        image.save(path, exif=exif, quality=84, optimize=True)
