import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from PIL import Image

from tips_model.train.boxes import NO_AREA
from tips_model.train.dataset import open_table
from tips_model.train.importers import Dropped, Label, Pair, Thing
from tips_model.train.parquet import ParquetSource
from tips_model.train.source import DataError
from ui.cli import cli
from ui.commands.data import data


def _picture(width: int = 8, height: int = 8) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height)).save(out, "PNG")
    return out.getvalue()


IMAGE = _picture()
MAPPING = {"image": "image"}


def _file(path: Path, **columns: Any) -> Path:
    rows = len(next(iter(columns.values())))
    pq.write_table(pa.table({"image": [IMAGE] * rows} | columns), path)
    return path


def _pairs(path: Path, columns: dict[str, str], **options: Any) -> list[Any]:
    return list(ParquetSource([path], MAPPING | columns, **options))


def test_a_file_with_machine_labels_becomes_pairs(tmp_path: Path):
    file = _file(
        tmp_path / "f.parquet",
        key=["a", "b", "c"],
        captions=pa.array([["one", "two", "three"], [], ["name"]], pa.large_list(pa.string())),
        imagenet=pa.array([[1, 0], [2], None], pa.large_list(pa.int16())),
        imagenet_score=pa.array([[0.5, 0.25], [1.0], None], pa.list_(pa.float32())),
        boxes=[[0, 0.25, 0.5, 1, 0.5, 0.5, 1, 1], [], [0, 0, 1, 1]],
        box_class=pa.array([[0, 1], [], [1]], pa.list_(pa.int16())),
        box_score=[[0.75, 0.5], [], [0.25]],
        features=[np.array([1, -2], np.int8).tobytes(), None, np.array([127, 3]).tobytes()[:2]],
    )
    mapping = {
        "key": "key", "web": "captions", "labels": "imagenet", "label_scores": "imagenet_score",
        "boxes": "boxes", "box_names": "box_class", "box_scores": "box_score",
        "features": "features",
    }  # fmt: skip
    pairs = _pairs(
        file, mapping, label_names=["tench", "ray", "hen"], box_names=["person", "bicycle"]
    )
    assert pairs == [
        Pair(
            "a", IMAGE, "one", webs=("two", "three"),
            objects=(
                Thing("person", (0, 0.25, 0.5, 1), score=0.75),
                Thing("bicycle", (0.5, 0.5, 1, 1), score=0.5),
            ),
            labels=(Label("ray", 0.5), Label("tench", 0.25)),
        ),
        Pair("b", IMAGE, labels=(Label("hen", 1.0),)),
        Pair("c", IMAGE, "name", objects=(Thing("bicycle", (0, 0, 1, 1), score=0.25),)),
    ]  # fmt: skip
    assert [None if p.features is None else p.features.tolist() for p in pairs] == [
        [1, -2], None, [127, 0],
    ]  # fmt: skip


def test_fields_of_structs_nested_boxes_in_pixels_and_plain_names_are_read(tmp_path: Path):
    file = tmp_path / "f.parquet"
    (tmp_path / "b.png").write_bytes(_picture(16, 4))
    rows = [
        {
            "image": {"bytes": _picture(4, 8), "path": "a.png"},
            "objects": {"bbox": [[1.0, 2, 2, 4]], "category": ["cat"]},
            "class": "indoors",
        },
        {
            "image": {"bytes": None, "path": "b.png"},
            "objects": {"bbox": [[0.0, 0, 8, 2], [8, 2, 8, 2]], "category": ["dog", "car"]},
            "class": None,
        },
        {"image": {"bytes": None, "path": "gone.png"}, "objects": None, "class": "x"},
    ]
    pq.write_table(pa.Table.from_pylist(rows), file)
    mapping = {"labels": "class", "boxes": "objects.bbox", "box_names": "objects.category"}
    pairs = _pairs(file, mapping, form="xywh", unit="pixel")
    assert pairs == [
        Pair(
            "f-000000", _picture(4, 8), objects=(Thing("cat", (0.25, 0.25, 0.75, 0.75)),),
            labels=(Label("indoors"),),
        ),
        Pair(
            "f-000001", _picture(16, 4),
            objects=(Thing("dog", (0, 0, 0.5, 0.5)), Thing("car", (0.5, 0.5, 1, 1))),
        ),
        Dropped("f-000002", "file cannot be read (FileNotFoundError)"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "kind", [pa.list_(pa.int8()), pa.list_(pa.int8(), 2), pa.large_list(pa.float32())]
)
def test_features_come_in_lists_of_all_kinds(tmp_path: Path, kind: pa.DataType):
    file = _file(tmp_path / "f.parquet", f=pa.array([[1, 2], None, [3, 4]], kind))
    pairs = _pairs(file, {"features": "f"})
    assert [None if p.features is None else p.features.tolist() for p in pairs] == [
        [1, 2], None, [3, 4],
    ]  # fmt: skip
    assert pairs[0].features.dtype == np.float16


def test_files_come_in_order_in_parts_and_only_rows_that_meet_a_condition(tmp_path: Path):
    first = _file(tmp_path / "a.parquet", n=list(range(600)), t=["w"] * 600)
    second = _file(tmp_path / "b.parquet", n=[600, None, 602], t=["w"] * 3)
    source = ParquetSource([first, second], MAPPING | {"web": "t"}, where="n % 200 = 2 or n > 600")
    assert [item.key for item in source] == ["a-000002", "a-000202", "a-000402", "b-000002"]


def test_files_of_one_name_give_keys_that_differ(tmp_path: Path):
    files = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        files.append(_file(tmp_path / folder / "f.parquet", t=["w"]))
    source = ParquetSource(files, MAPPING | {"web": "t"})
    assert [item.key for item in source] == [f"{file}-000000" for file in files]


def test_boxes_without_area_are_left_out_and_told(tmp_path: Path):
    boxes = [[[0.0, 0, 1, 1], [0.5, 0, 0.5, 1]], [[2.0, 0, 3, 1]]]
    file = _file(tmp_path / "f.parquet", b=boxes, n=[["a", "b"], ["c"]], t=["w", "w"])
    assert _pairs(file, {"boxes": "b", "box_names": "n", "web": "t"}) == [
        Dropped("f-000000", NO_AREA, corrupt=False),
        Pair("f-000000", IMAGE, "w", objects=(Thing("a", (0, 0, 1, 1)),)),
        Dropped("f-000001", NO_AREA, corrupt=False),
        Pair("f-000001", IMAGE, "w"),
    ]


LATE = [None] * 300
"""Rows before the faulty one, so that it lies in the second part that is read."""


@pytest.mark.parametrize(
    ("columns", "mapping", "options", "said"),
    [
        ({"t": ["w"]}, {"web": "x"}, {}, r"f.parquet has no column x; it has image, t\."),
        ({"t": ["w"]}, {"text": "t"}, {}, "There is no text to map to; there are image, key"),
        ({"t": [3]}, {"web": "t"}, {}, "column t of f.parquet is of type int64; web takes texts"),
        ({"t": [3]}, {"labels": "t"}, {}, "t of f.parquet holds numbers; labels needs the file"),
        ({"t": [[0.5]]}, {"label_scores": "t"}, {}, "mapped to label_scores needs another"),
        ({"t": ["w"]}, {"web": "t"}, {"label_names": ["a"]}, "needs a column mapped to labels"),
        ({"t": [*LATE, [1]]}, {"labels": "t"}, {"label_names": ["a"]}, "the number 1, but the fil"),
        ({"t": [*LATE, [-1]]}, {"labels": "t"}, {"label_names": ["a"]}, "the number -1, but"),
        ({"t": [["a"]], "s": [[0.5, 0.5]]}, {"labels": "t", "label_scores": "s"}, {},
         "s of f.parquet does not have one score for each name"),
        ({"t": [["a"]], "s": [[1.5]]}, {"labels": "t", "label_scores": "s"}, {}, "between 0 and 1"),
        ({"t": [["a", None]]}, {"labels": "t"}, {}, "t of f.parquet holds lists with missing name"),
        ({"b": [[0, 0, 1]], "n": [["a"]]}, {"boxes": "b", "box_names": "n"}, {}, "not four number"),
        ({"b": [[[0, 0], [1, 1]]], "n": [["a"]]}, {"boxes": "b", "box_names": "n"}, {}, "not four"),
        ({"b": [[0, 0, 1, 1]], "n": [["a", "b"]]}, {"boxes": "b", "box_names": "n"}, {},
         "b of f.parquet does not have one box a name"),
        ({"f": [[1.0, 2.0], [1.0]]}, {"features": "f"}, {}, "vectors of 1 and of 2 numbers"),
        ({"f": [[0.0], *LATE, [1.0, 2.0]]}, {"features": "f"}, {}, "of 1 and of 2 numbers"),
        ({"f": [[1e6]]}, {"features": "f"}, {}, "too large for float16"),
        ({"f": [[1.0, None]]}, {"features": "f"}, {}, "numbers that are missing"),
        ({"t": ["w"]}, {"web": "t"}, {"where": "x = 1"}, "f.parquet has no column x"),
        ({"t": ["w"]}, {"web": "t"}, {"where": "t = "}, "The condition t =  cannot be read"),
        ({"t": ["w"]}, {"web": "t"}, {"where": "t"}, "The condition t is neither true nor false"),
        ({"t": ["w"]}, {"web": "t"}, {"where": "1 = 1"}, "The condition 1 = 1 names no column"),
    ],
)  # fmt: skip
def test_bad_input_is_told_before_the_first_pair(
    tmp_path: Path,
    columns: dict[str, Any],
    mapping: dict[str, str],
    options: dict[str, Any],
    said: str,
):
    file = _file(tmp_path / "f.parquet", **columns)
    source = iter(ParquetSource([file], MAPPING | mapping, **options))
    with pytest.raises(DataError, match=said):
        next(source)


def test_what_is_no_parquet_and_a_mapping_without_image_are_refused(tmp_path: Path):
    file = tmp_path / "f.parquet"
    file.write_bytes(b"nothing" * 9)
    with pytest.raises(DataError, match=r"f.parquet cannot be read as Parquet \("):
        list(ParquetSource([file], MAPPING))
    with pytest.raises(DataError, match="No column is mapped to image"):
        list(ParquetSource([file], {"web": "t"}))


def test_the_command_writes_a_table_with_names_and_tells_what_is_missing(tmp_path: Path):
    file = _file(
        tmp_path / "f.parquet", t=["one", None, "three"], c=[1, 1, 0], f=[[1.0], [2.0], None]
    )
    names = tmp_path / "names.txt"
    names.write_text("cat\nfire hydrant\n")
    words = [
        "parquet", str(file), "-o", str(tmp_path / "t"), "--map", "image=image", "--map", "web=t",
        "--map", "labels=c", "--map", "features=f", "--label-names", str(names),
    ]  # fmt: skip
    done = CliRunner().invoke(data, words)
    assert done.exit_code == 0, done.output
    assert "3 pairs in" in done.output
    assert "1 row has no features." in done.output
    rows = open_table(tmp_path / "t").to_arrow().to_pylist()
    assert [row["web"] for row in rows] == ["one", None, "three"]
    assert [row["features"] for row in rows] == [[1], [2], None]
    assert (tmp_path / "t" / "labels.txt").read_text() == "fire hydrant\ncat\n"


@pytest.mark.parametrize("mapping", [["image"], ["image="], ["image=image", "image=t"]])
def test_a_wrong_mapping_is_a_wrong_call(tmp_path: Path, mapping: list[str]):
    file = _file(tmp_path / "f.parquet", t=["one"])
    words = [word for entry in mapping for word in ("--map", entry)]
    done = CliRunner().invoke(
        cli, ["data", "parquet", str(file), "-o", str(tmp_path / "t"), *words]
    )
    assert done.exit_code == 2
    assert "--map" in done.output
    assert not (tmp_path / "t").exists()


def test_a_file_of_names_with_an_empty_line_is_refused(tmp_path: Path):
    file = _file(tmp_path / "f.parquet", c=[1])
    names = tmp_path / "names.txt"
    names.write_text("cat\n\ndog\n")
    words = [
        "data", "parquet", str(file), "-o", str(tmp_path / "t"), "--map", "image=image",
        "--map", "labels=c", "--label-names", str(names),
    ]  # fmt: skip
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 2
    assert "Line 2 of" in done.output
