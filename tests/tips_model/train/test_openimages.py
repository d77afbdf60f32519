from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from tips_model.train.dataset import open_table
from tips_model.train.importers import Pair, Thing
from tips_model.train.openimages import read_open_images
from tips_model.train.source import DataError
from ui.cli import cli

BOXES = """ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsGroupOf
0001,xclick,/m/1,1,0,0.5,0.25,1,0,0
0001,xclick,/m/2,0.5,0,1,0,1,0,0
0001,xclick,/m/2,1,0,1,0,1,0,1
elsewhere,xclick,/m/9,1,0,1,0,1,0,0
"""
CLASSES = "/m/1,Traffic light\n/m/2,Dog\n"


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path, Path]:
    images = tmp_path / "images"
    images.mkdir()
    for name in ("0001.jpg", "0002.jpg"):
        Image.new("RGB", (8, 4)).save(images / name)
    (images / "notes.txt").write_text("no picture")
    boxes, classes = tmp_path / "boxes.csv", tmp_path / "classes.csv"
    boxes.write_text(BOXES)
    classes.write_text(CLASSES)
    return boxes, classes, images


def test_pictures_get_their_boxes_by_name_without_groups(files: tuple[Path, Path, Path]):
    contents = {path.stem: path.read_bytes() for path in files[2].glob("*.jpg")}
    assert list(read_open_images(*files)) == [
        Pair(
            "0001", contents["0001"],
            objects=(
                Thing("Traffic light", (0, 0.25, 0.5, 1)), Thing("Dog", (0, 0, 1, 1), score=0.5),
            ),
        ),
        Pair("0002", contents["0002"]),
    ]  # fmt: skip
    files[1].write_text("LabelName,DisplayName\n" + CLASSES)  # as of version 7
    first, _ = read_open_images(*files)
    assert [thing.name for thing in first.objects] == ["Traffic light", "Dog"]


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        (0, "ImageID,LabelName\n1,2\n", "boxes.csv lacks the columns Confidence, XMin, YMin"),
        (0, BOXES.replace("0.25", "x"), "boxes.csv cannot be read as boxes of Open Images"),
        (1, "/m/1,Cat\n", "classes.csv does not name the class /m/2 of"),
        (1, "one\n", "classes.csv has 1 columns in place of the two of class descr"),
        (1, "", "classes.csv cannot be read as class descriptions"),
    ],
)
def test_files_of_another_form_are_refused(
    files: tuple[Path, Path, Path], file: int, content: str, said: str
):
    files[file].write_text(content)
    with pytest.raises(DataError, match=said):
        list(read_open_images(*files))


def test_boxes_become_captions(files: tuple[Path, Path, Path], tmp_path: Path):
    out = str(tmp_path / "t")
    done = CliRunner().invoke(cli, ["data", "openimages", *map(str, files), "-o", out])
    assert done.exit_code == 0, done.output
    assert "1 pair in" in done.output
    assert "Left out 1: no caption." in done.output
    done = CliRunner().invoke(cli, ["data", "describe", out])
    assert done.exit_code == 0, done.output
    (texts,) = open_table(tmp_path / "t").to_arrow()["synthetic"].to_pylist()
    assert texts
    assert all("traffic light" in text or "dog" in text for text in texts)
