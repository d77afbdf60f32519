import io
from pathlib import Path

import lancedb
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import ExifTags, Image

from tips_model.eval.coco import fractions, mask_of, read_coco_set
from tips_model.train.boxes import table_boxes
from tips_model.train.coco_folder import write_coco_folder
from tips_model.train.dataset import open_table
from tips_model.train.importers import Pair, Thing, import_pairs, read_coco
from tips_model.train.scenes.export import png
from tips_model.train.source import DataError
from ui.cli import cli


def _picture(kind: str, width: int = 8, height: int = 4, orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[0, :2] = 255  # white in the upper left
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind, exif=exif, lossless=True)
    return out.getvalue()


MASK = np.zeros((4, 8), bool)
MASK[1:3, 2:5] = True


@pytest.fixture
def table(tmp_path: Path) -> Path:
    cat = Thing("cat", (0.25, 0.25, 0.75, 0.75), png(MASK))
    dog = Thing("dog", (0.0, 0.5, 0.5, 1.0), score=0.75)
    weak = Thing("cow", (0.0, 0.0, 1.0, 1.0), score=0.25)
    import_pairs(
        [
            Pair("a/1", _picture("WEBP"), "one", ("two",), (dog, cat, weak), webs=("more",)),
            Pair("a/1", _picture("PNG"), "", ("three",), (cat,)),
            Pair("c", _picture("JPEG"), "web"),
        ],
        tmp_path / "t",
    )
    return tmp_path / "t"


def test_evaluation_reads_what_the_table_holds(table: Path, tmp_path: Path):
    report = write_coco_folder(table, tmp_path / "out", min_score=0.5)
    assert (report.images, report.objects, report.captions, report.broken) == (3, 3, 5, [])
    data = read_coco_set(tmp_path / "out")
    assert data.categories == ("dog", "cat")
    names = ["000001.webp", "000002.png", "000003.jpg"]
    assert [image.path.name for image in data.images] == names
    stored = open_table(table).to_arrow()["image"].to_pylist()
    assert [image.path.read_bytes() for image in data.images] == stored
    assert [image.captions for image in data.images] == [
        ("one", "more", "two"), ("three",), ("web",),
    ]  # fmt: skip
    first = data.images[0]
    dog, cat = first.objects
    assert fractions(first, dog) == (0.0, 0.5, 0.5, 1.0)
    assert fractions(first, cat) == (0.25, 0.25, 0.75, 0.75)
    np.testing.assert_array_equal(mask_of(first, cat), MASK)
    assert data.images[2].objects == ()


def test_an_import_brings_the_objects_back(table: Path, tmp_path: Path):
    write_coco_folder(table, tmp_path / "out")
    file = tmp_path / "out" / "instances.json"
    first, *_ = read_coco(file, tmp_path / "out" / "images")
    assert [(thing.name, thing.box, thing.score) for thing in first.objects] == [
        ("dog", (0, 0.5, 0.5, 1), 0.75), ("cat", (0.25, 0.25, 0.75, 0.75), None),
        ("cow", (0, 0, 1, 1), 0.25),
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["web", "synthetic"])
def test_one_kind_of_caption_can_be_asked_for(table: Path, tmp_path: Path, kind: str):
    words = ["data", "folder", str(table), str(tmp_path / "out"), "--captions", kind]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    told = [image.captions for image in read_coco_set(tmp_path / "out").images]
    expected = {"web": [("one", "more"), (), ("web",)], "synthetic": [("two",), ("three",), ()]}
    assert told == expected[kind]
    assert "3 photos with 4 objects and" in done.output


def test_pictures_that_exif_turns_are_saved_as_their_boxes_see_them(tmp_path: Path):
    """The white of the file's upper left is the upper right of the picture as it is seen."""
    image = _picture("PNG", orientation=6)
    box = table_boxes(np.array([[0, 0, 0.25, 0.25]]), [image], np.array([0]))[0]
    thing = Thing("white", tuple(box.tolist()))
    import_pairs([Pair("a", image, "w", objects=(thing,))], tmp_path / "t")
    write_coco_folder(tmp_path / "t", tmp_path / "out")
    (entry,) = read_coco_set(tmp_path / "out").images
    assert (entry.width, entry.height) == (4, 8)
    shown = np.asarray(Image.open(entry.path))[:, :, 0] > 0
    np.testing.assert_array_equal(mask_of(entry, entry.objects[0]), shown)


def test_broken_pictures_are_named_and_a_folder_that_holds_something_is_refused(tmp_path: Path):
    import_pairs([Pair("a", _picture("PNG"), "w")], tmp_path / "new")
    rows = open_table(tmp_path / "new").to_arrow().to_pylist()
    old = {name: rows[0][name] for name in ("key", "image", "web", "synthetic")}
    thing = {"name": "cat", "box": [0.0, 0, 1, 1], "mask": None}
    old["objects"] = [thing]
    lancedb.connect(tmp_path).create_table("pairs", [old, old | {"key": "b", "image": b"x"}])
    words = ["data", "folder", str(tmp_path), str(tmp_path / "out")]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    assert "1 photo with 1 object and 1 caption in" in done.output
    assert "1 picture cannot be read: b." in done.output
    assert [o.category for o in read_coco_set(tmp_path / "out").images[0].objects] == [0]
    with pytest.raises(DataError, match="out is not empty"):
        write_coco_folder(tmp_path, tmp_path / "out")
