"""The yardstick on photographs, held against a model whose right answers are known."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bench.photographs import absent_texts, line_figures, product_figures, table
from search.confidence.cutoff import ALPHA
from search.eval.indexed import IndexedSet, indexed_set
from tests.search.colours import ColourEmbedder, paint
from tips_model.eval.coco import CocoSet, read_coco_set
from tips_model.eval.photographs import Report

NAMES = ("red", "green", "blue", "yellow")
EACH = 4
PLAIN = 14
PLACES = (
    (0.0, 0.0, 0.5, 0.5),
    (0.5, 0.5, 1.0, 1.0),
    (0.25, 0.25, 0.5, 0.75),
    (0.75, 0.0, 1.0, 0.25),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four pictures of a box in each of four colours, and 14 of none; each colour's first picture
    has a caption.
    """
    folder = tmp_path_factory.mktemp("photographs")
    (folder / "images").mkdir()
    images, things, captions = [], [], []
    for number in range(EACH * len(NAMES) + PLAIN):
        kind, place = divmod(number, EACH)
        shown = [(NAMES[kind], PLACES[place])] if kind < len(NAMES) else []
        ground = ("white", "black", "grey")[number % 3]
        paint(ground, shown, seed=number).save(folder / "images" / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "width": 192, "height": 128})
        for name, (x0, y0, x1, y1) in shown:
            box = [192 * x0, 128 * y0, 192 * (x1 - x0), 128 * (y1 - y0)]
            things.append({"image_id": number, "category_id": NAMES.index(name), "bbox": box})
            if not place:
                captions.append({"image_id": number, "caption": f"something {name}"})
    categories = [{"id": number, "name": name} for number, name in enumerate(NAMES)]
    instances = {"images": images, "annotations": things, "categories": categories}
    (folder / "instances.json").write_text(json.dumps(instances))
    (folder / "captions.json").write_text(json.dumps({"images": images, "annotations": captions}))
    return folder


@pytest.fixture(scope="module")
def found(folder: Path) -> Iterator[IndexedSet]:
    with indexed_set(folder, ColourEmbedder()) as opened:
        yield opened


@pytest.fixture(scope="module")
def report(found: IndexedSet) -> Report:
    return product_figures(found, captions=20, seed=0)


def test_a_model_that_knows_colours_finds_their_pictures(report: Report) -> None:
    names = report["name to photo"]
    assert names.keys() == {
        "search", "search of places", "global vector", "best place", "both", "chance",
    }  # fmt: skip
    for ranking in ("search", "search of places", "best place", "both"):
        assert names[ranking] == {"P@1": 1, "mAP": 1}, ranking
    assert names["chance"]["P@1"] == pytest.approx(4 / 30)


def test_captions_are_looked_for_in_the_drawn_pictures(report: Report) -> None:
    captions = report["caption to photo"]
    assert captions["chance"] == pytest.approx({"R@1": 1 / 20, "R@5": 5 / 20, "R@10": 10 / 20})
    # At most four pictures show the colour that a caption names.
    assert captions["search"]["R@5"] == captions["search"]["R@10"] == 1


def test_the_best_place_lies_on_the_thing(report: Report) -> None:
    pointing = report["pointing"]
    assert pointing["all"]["hit"] == 1
    assert pointing["all"]["count"] == 16
    assert pointing["all"]["chance"] == pytest.approx((1 / 4 + 1 / 4 + 1 / 8 + 1 / 16) / 4)
    assert pointing["< 10 %"]["chance"] == pytest.approx(1 / 16)


def test_the_line_keeps_what_is_there_and_little_else(report: Report) -> None:
    for kind in ("photos", "places"):
        row = report["the line"][kind]
        assert row["recall"] == row["precision"] == row["names answered"] == 1, kind
        assert row["false alarms"] <= 0.1, kind


def test_the_line_by_hand() -> None:
    sure = np.array([[1, 1, 0, 0], [0, 0, 0, 0]], bool)
    shows = np.array([[1, 0, 1, 0], [0, 0, 0, 1]], bool)
    assert line_figures(sure, shows, [True, False, False, False]) == {
        "recall": 0.25,
        "recall, chance": 0.25,
        "precision": 0.5,
        "precision, chance": 3 / 8,
        "names answered": 0.5,
        "false alarms": 0.25,
        "false alarms, chance": ALPHA,
    }
    assert line_figures(~sure & sure, shows, [False])["precision"] == 0


def test_texts_that_share_a_word_with_a_name_are_not_absent(folder: Path) -> None:
    data = read_coco_set(folder)
    texts = absent_texts(data)
    assert len(texts) == len(set(texts)) > 150
    named = CocoSet(data.images, ("Suit of Armour", "walrus"))
    assert set(texts) - set(absent_texts(named)) == {"coat of arms", "suit of armour", "walrus"}


def test_people_read_percent(report: Report) -> None:
    lines = table(report).splitlines()
    assert lines[0].split() == ["name", "to", "photo", "P@1", "mAP"]
    assert lines[1].split() == ["search", "100.0", "100.0"]
    (whole,) = (line for line in lines if line.startswith("  all"))
    assert whole.split()[-1] == "16"
