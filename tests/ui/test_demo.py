"""The demonstration: its words fit its pictures, and it runs from photos to drawings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from ui.commands import demo as commands_demo
from ui.commands.demo import CAPTION, DEMO, GAP, TILE, Queries, contact_sheet

from .conftest import paint, tips


def test_every_query_names_something_that_the_photos_show() -> None:
    scenes = json.loads((DEMO / "photos" / "scenes.json").read_text("utf-8"))
    known = {thing["name"] for scene in scenes for thing in scene["objects"]}
    queries = Queries.read(DEMO / "queries.json")
    assert len(queries.images) >= 4
    assert len(queries.regions) >= 4
    for words in (*queries.images, *queries.regions):
        assert any(name in words for name in known), words


def test_the_sheet_has_a_line_for_each_query() -> None:
    picture = Image.new("RGB", (600, 400), "navy")
    sheet = contact_sheet([("one", [picture]), ("two", [picture, picture])])
    assert sheet.size == (GAP + 2 * (TILE + GAP), GAP + 2 * (CAPTION + TILE + GAP))
    second = (GAP + TILE + GAP + 5, GAP + CAPTION + TILE + GAP + CAPTION + 5)
    assert sheet.getpixel(second) == (0, 0, 128)


def test_the_demo_indexes_searches_and_says_how_to_open_the_app(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(4):
        paint(tmp_path / "photos" / f"{seed}.jpg", seed)
    words = {"images": ["a disc", "a square"], "regions": ["disc", "red square"]}
    (tmp_path / "queries.json").write_text(json.dumps(words))
    monkeypatch.setattr(commands_demo, "DEMO", tmp_path)
    for _ in range(2):  # again in the same folder works as well
        result = tips("demo", "--out", tmp_path / "out")
        assert result.exit_code == 0, result.output
    assert f"tips ui -c {tmp_path / 'out' / 'collection'}" in " ".join(result.stderr.split())
    for line in ('search "a disc"', 'regions "red square"'):
        assert f"tips {line}" in result.stdout


def test_places_are_drawn_as_boxes_and_as_heat(collection: Path, tmp_path: Path) -> None:
    from search.searcher import Searcher

    with Searcher.open(collection) as searcher:
        hits = searcher.regions("disc", limit=2, all=True)
        pictures = commands_demo.draw_places(searcher, hits, "disc", tmp_path)
    assert len(pictures) == 2
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "disc-1-heat.png",
        "disc-1.png",
        "disc-2-heat.png",
        "disc-2.png",
    ]
