import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.tips_model.train.scenes import paint
from tips_model.eval.coco import CocoImage, CocoObject, label_map, mask_of, read_coco_set
from tips_model.run_lengths import run_lengths
from tips_model.train.dataset import open_table
from tips_model.train.scenes import SceneSource
from tips_model.train.scenes.boxes import visible_boxes
from tips_model.train.scenes.concepts import NAMES
from tips_model.train.scenes.export import write_coco, write_training_table
from tips_model.train.scenes.plan import SPECS


@pytest.fixture(scope="module")
def source() -> SceneSource:
    return SceneSource(bank=paint.bank())


def test_boxes_hold_exactly_the_visible_pixels():
    owner = np.full((1, 4, 8), -1, np.int8)
    owner[0, 1:3, 2:6] = 0
    np.testing.assert_allclose(visible_boxes(owner, 2)[0], [[0.25, 0.25, 0.75, 0.75], [0, 0, 0, 0]])


def test_run_lengths_are_column_by_column_from_the_zeros():
    mask = np.array([[1, 0, 0], [1, 1, 0]], bool)
    assert run_lengths(mask).tolist() == [0, 2, 1, 1, 2]


@pytest.mark.parametrize("seed", range(4))
def test_run_lengths_come_back_as_the_mask(seed: int):
    mask = np.random.default_rng(seed).random((7, 5)) > 0.5
    image = CocoImage(Path("x.png"), 5, 7, (), ())
    stored = {"size": [7, 5], "counts": run_lengths(mask).tolist()}
    np.testing.assert_array_equal(mask_of(image, CocoObject(0, stored, (0, 0, 1, 1))), mask)


def test_a_coco_set_tells_what_was_drawn(source: SceneSource, tmp_path: Path):
    count = write_coco(tmp_path, source, SPECS["scenes"], 6, (32, 48))
    made = source.scenes(SPECS["scenes"], 6, (32, 48))
    data = read_coco_set(tmp_path)
    assert data.categories == NAMES
    assert sum(len(image.objects) for image in data.images) == count
    for row, image in enumerate(data.images):
        expected = np.where(
            made.owner[row] >= 0,
            np.take(np.append(made.plan.concept[row], -1), made.owner[row]), -1,
        )  # fmt: skip
        np.testing.assert_array_equal(label_map(image), expected)
        assert list(image.captions) == made.synthetic[row]
        pixels = np.asarray(Image.open(image.path))
        np.testing.assert_array_equal(pixels.transpose(2, 0, 1), made.images[row])


def test_coco_boxes_are_x_y_width_height(source: SceneSource, tmp_path: Path):
    write_coco(tmp_path, source, SPECS["objects-plain"], 1, (32, 32))
    note = json.loads((tmp_path / "instances.json").read_text())["annotations"][0]
    x, y, width, height = note["bbox"]
    assert note["area"] == width * height  # a square
    assert min(x, y) >= 0
    assert max(x + width, y + height) <= 32


def test_a_training_table_holds_pictures_captions_and_masks(source: SceneSource, tmp_path: Path):
    assert write_training_table(tmp_path, source, SPECS["scenes"], 5, (32, 32)) == 5
    made = source.scenes(SPECS["scenes"], 5, (32, 32))
    rows = open_table(tmp_path).to_arrow().to_pylist()
    assert [row["web"] for row in rows] == made.web
    assert [row["synthetic"] for row in rows] == made.synthetic
    first = rows[0]
    pixels = np.asarray(Image.open(io.BytesIO(first["image"])))
    np.testing.assert_array_equal(pixels.transpose(2, 0, 1), made.images[0])
    for entry in first["objects"]:
        mask = np.asarray(Image.open(io.BytesIO(entry["mask"])))
        x0, y0, x1, y1 = (round(side * 32) for side in entry["box"])
        assert mask[y0:y1, x0:x1].sum() == mask.sum() > 0
    names = {entry["name"] for row in rows for entry in row["objects"]}
    assert set((tmp_path / "objects.txt").read_text().splitlines()) == names
