"""The demonstration: photos and words fit each other, and it runs from photos to drawings."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from indexer.photos.decode import Photo, decode
from tests.ui.conftest import paint, tips
from ui.commands import demo as commands_demo
from ui.commands.demo import CAPTION, DEMO, FAINT, GAP, PAPER, TILE, Queries, contact_sheet

Truth = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def truth() -> Truth:
    """path -> the names of what a photo shows, and boxes of the first of them."""
    known: Truth = json.loads((DEMO / "photos.json").read_text("utf-8"))
    return known


@pytest.fixture(scope="module")
def shipped(truth: Truth) -> dict[str, Photo]:
    """The bundled photos as the indexer reads them."""
    return {path: decode(os.fsencode(DEMO / "photos" / path), target=64) for path in truth}


def showing(truth: Truth, words: str) -> list[str]:
    """The photos that show a thing whose name is in the words."""
    return [path for path, entry in truth.items() if any(name in words for name in entry["names"])]


def test_the_photos_are_those_that_the_truth_names_and_small_enough(truth: Truth) -> None:
    files = [path for path in (DEMO / "photos").rglob("*") if path.is_file()]
    photos = {path.relative_to(DEMO / "photos").as_posix() for path in files}
    assert photos - {"ATTRIBUTION.md"} == truth.keys()
    assert len(truth) >= 200
    assert sum(path.stat().st_size for path in files) < 12_000_000


def test_the_truth_has_names_and_boxes_within_the_photos(truth: Truth) -> None:
    assert all(name == name.strip() != "" for e in truth.values() for name in e["names"])
    boxed = [entry["boxes"] for entry in truth.values() if "boxes" in entry]
    assert len(boxed) >= 60
    for x0, y0, x1, y1 in (box for boxes in boxed for box in boxes):
        assert 0 <= x0 < x1 <= 1
        assert 0 <= y0 < y1 <= 1


def test_the_photos_look_like_a_persons(shipped: dict[str, Photo]) -> None:
    dated = {path: photo.facts for path, photo in shipped.items() if photo.facts.taken}
    assert len(shipped) - len(dated) == sum("/Shared/" in path for path in shipped) > 0
    assert all(str(facts.taken)[:4] == path[:4] for path, facts in dated.items())
    assert {path[:4] for path in dated} == {"2023", "2024", "2025"}
    assert len({facts.camera for facts in dated.values()}) == 3
    assert {photo.format for photo in shipped.values()} == {"jpeg", "heif", "webp", "png"}
    assert {photo.facts.orientation for photo in shipped.values()} == {1, 6}
    assert max(max(photo.width, photo.height) for photo in shipped.values()) <= 1024


def test_the_map_spans_the_world_and_places_are_right(
    truth: Truth, shipped: dict[str, Photo]
) -> None:
    facts = {path: photo.facts for path, photo in shipped.items()}
    placed = [(f.latitude, f.longitude) for f in facts.values() if f.latitude is not None]
    assert len(placed) > 0.4 * len(facts)
    quarters = {(round(north or 0) > 0, round(east or 0) > 0) for north, east in placed}
    assert len(quarters) == 4
    for name, (north, east) in {
        "Taj Mahal": (27.175, 78.042),
        "Statue of Liberty": (40.689, -74.044),
        "Sydney Opera House": (-33.857, 151.215),
        "Machu Picchu": (-13.163, -72.545),
    }.items():
        for path in showing(truth, name):
            assert facts[path].latitude == pytest.approx(north, abs=0.01)
            assert facts[path].longitude == pytest.approx(east, abs=0.01)


def test_every_query_names_what_the_photos_show_or_do_not(truth: Truth) -> None:
    queries = Queries.read(DEMO / "queries.json")
    asked = (*queries.images, *queries.regions, *queries.absent, *queries.hard)
    assert len(asked) == len(set(asked)) == 10
    assert all(showing(truth, words) for words in (*queries.images, *queries.regions))
    assert [showing(truth, words) for words in queries.absent] == [[]]
    assert [len(showing(truth, words)) for words in queries.hard] == [1]


def test_queries_need_not_say_what_is_absent_or_hard(tmp_path: Path) -> None:
    (tmp_path / "q.json").write_text('{"images": ["a"], "regions": ["b", "c"]}')
    assert Queries.read(tmp_path / "q.json") == Queries(("a",), ("b", "c"), (), ())


def test_the_sheet_has_a_line_for_each_query() -> None:
    picture = Image.new("RGB", (600, 400), "navy")
    sheet = contact_sheet([("one", [picture]), ("two", [picture, picture])])
    low = TILE * 400 // 600
    assert sheet.size == (GAP + 2 * (TILE + GAP), GAP + 2 * (CAPTION + low + GAP))
    second = (GAP + TILE + GAP + 5, GAP + CAPTION + low + GAP + CAPTION + 5)
    assert sheet.getpixel(second) == (0, 0, 128)


def test_a_line_of_the_sheet_is_as_high_as_its_highest_picture() -> None:
    wide, tall = Image.new("RGB", (600, 200)), Image.new("RGB", (200, 600))
    sheet = contact_sheet([("one", [wide]), ("two", [wide, tall])])
    assert sheet.height == GAP + CAPTION + TILE // 3 + GAP + CAPTION + TILE + GAP


def test_the_sheet_says_that_nothing_was_found() -> None:
    picture = Image.new("RGB", (600, 400), "navy")  # 200 high on the sheet
    sheet = contact_sheet([("one", []), ("two", [picture])])
    assert sheet.size == (GAP + TILE + GAP, GAP + 2 * CAPTION + GAP + CAPTION + 200 + GAP)
    line = sheet.crop((0, GAP + CAPTION, sheet.width, GAP + 2 * CAPTION + GAP))
    colours = {colour for _, colour in line.getcolors(10_000) or []}
    assert {PAPER, FAINT} <= colours
    assert (0, 0, 128) not in colours
    long = "a caption that is wider than the pictures below it would ask for"
    assert contact_sheet([(long, [])]).width > GAP + TILE + GAP


def test_the_demo_indexes_searches_and_says_how_to_open_the_app(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(4):
        paint(tmp_path / "photos" / f"{seed}.jpg", seed)
    words = {"images": ["a disc"], "regions": ["red square"], "absent": ["a cake"], "hard": ["x"]}
    (tmp_path / "queries.json").write_text(json.dumps(words))
    monkeypatch.setattr(commands_demo, "DEMO", tmp_path)
    for _ in range(2):  # again in the same folder works as well
        result = tips("demo", "--out", tmp_path / "out")
        assert result.exit_code == 0, result.output
    assert f"tips ui -c {tmp_path / 'out' / 'collection'}" in " ".join(result.stderr.split())
    told = " ".join(result.stdout.split())
    for line in ('search "a disc"', 'regions "red square"'):
        assert f"tips {line}" in told
    assert f'tips search "a cake" {commands_demo.ABSENT}' in told
    assert f'tips search "x" {commands_demo.HARD}' in told
    with Image.open(tmp_path / "out" / "contact-sheet.png") as sheet:
        assert sheet.width > TILE


def test_places_are_drawn_as_boxes_and_as_heat(collection: Path, tmp_path: Path) -> None:
    from search.searcher import Searcher

    with Searcher.open(collection) as searcher:
        hits = searcher.regions("disc", limit=2, all=True)
        pictures = commands_demo.draw_places(searcher, hits, "disc", tmp_path)
    names = ["disc-1-heat.png", "disc-1.png", "disc-2-heat.png", "disc-2.png"]
    assert sorted(file.name for file in tmp_path.iterdir()) == names
    drawn = [Image.open(tmp_path / name).tobytes() for name in ("disc-1.png", "disc-2.png")]
    heat = Image.open(tmp_path / "disc-1-heat.png").tobytes()
    assert [picture.tobytes() for picture in pictures] == [*drawn, heat]
