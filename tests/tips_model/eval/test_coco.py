import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tips_model.eval.coco import (
    CocoImage,
    CocoObject,
    EvalDataError,
    fit_labels,
    fractions,
    load_pictures,
    mask_of,
    read_coco_set,
    shown_names,
)
from tips_model.preprocess import prepare


def _write(folder: Path) -> None:
    (folder / "images").mkdir()
    Image.new("RGB", (8, 4), "red").save(folder / "images" / "a.png")
    images = [{"id": 5, "file_name": "a.png", "width": 8, "height": 4}]
    instances = {
        "images": images,
        "categories": [{"id": 18, "name": "dog"}, {"id": 3, "name": "car"}],
        "annotations": [
            {
                "image_id": 5,
                "category_id": 18,
                "bbox": [0, 0, 4, 4],
                "segmentation": [[0, 0, 3, 0, 3, 3, 0, 3]],
            },
            {"image_id": 5, "category_id": 3, "iscrowd": 1, "segmentation": {}},
        ],
    }
    captions = {"images": images, "annotations": [{"image_id": 5, "caption": "a dog"}]}
    (folder / "instances.json").write_text(json.dumps(instances))
    (folder / "captions.json").write_text(json.dumps(captions))


def test_both_files_are_joined_and_crowds_left_out(tmp_path: Path):
    _write(tmp_path)
    data = read_coco_set(tmp_path)
    assert data.categories == ("car", "dog")  # in the order of their ids
    (image,) = data.images
    assert (image.width, image.height, image.captions) == (8, 4, ("a dog",))
    assert [entry.category for entry in image.objects] == [1]
    mask = mask_of(image, image.objects[0])
    assert mask.shape == (4, 8)
    assert mask[:4, :4].all()
    assert mask.sum() == 16


def test_compressed_run_lengths_are_refused_by_name():
    image = CocoImage(Path("a.png"), 2, 2, (), ())
    with pytest.raises(EvalDataError, match=r"a\.png has compressed run lengths"):
        mask_of(image, CocoObject(0, {"size": [2, 2], "counts": "abc"}, (0, 0, 1, 1)))


def test_an_object_without_a_mask_is_its_box(tmp_path: Path):
    _write(tmp_path)
    file = tmp_path / "instances.json"
    content = json.loads(file.read_text())
    note = content["annotations"][0]
    del note["segmentation"]
    note |= {"bbox": [2, 1, 3, 2], "texts": ["the dog on the left"]}
    file.write_text(json.dumps(content))
    (image,) = read_coco_set(tmp_path).images
    assert image.objects[0].texts == ("the dog on the left",)
    mask = mask_of(image, image.objects[0])
    assert mask[1:3, 2:5].all()
    assert mask.sum() == 6


def test_bad_folders_are_refused(tmp_path: Path):
    with pytest.raises(EvalDataError, match="neither"):
        read_coco_set(tmp_path)
    (tmp_path / "captions.json").write_text('{"images": [{}], "annotations": []}')
    with pytest.raises(EvalDataError, match="not in COCO's format"):
        read_coco_set(tmp_path)


def test_a_missing_picture_is_named(tmp_path: Path):
    _write(tmp_path)
    (tmp_path / "images" / "a.png").unlink()
    with pytest.raises(EvalDataError, match=r"a\.png cannot be read"):
        load_pictures(read_coco_set(tmp_path).images, partial(prepare, image_size=32, patch=8))


def test_labels_are_taken_from_the_nearest_pixel():
    labels = np.array([[0, 1], [2, 3]])
    assert fit_labels(labels, 4, 2).tolist() == [[0, 1], [0, 1], [2, 3], [2, 3]]
    assert fit_labels(fit_labels(labels, 6, 8).numpy(), 2, 2).tolist() == labels.tolist()


def test_boxes_are_told_as_fractions_and_names_by_picture(tmp_path: Path):
    _write(tmp_path)
    data = read_coco_set(tmp_path)
    (image,) = data.images
    assert fractions(image, image.objects[0]) == (0, 0, 0.5, 1)
    assert shown_names(data).tolist() == [[False], [True]]  # the car is a crowd
