import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tips_model.train.boxes import NO_AREA
from tips_model.train.dataset import open_table
from tips_model.train.importers import (
    NO_CAPTION,
    Dropped,
    Label,
    Pair,
    Thing,
    check,
    import_pairs,
    read_coco,
    read_list,
)
from tips_model.train.shards import read_shards
from tips_model.train.source import DataError


def _picture(shade: int = 100) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8), (shade, 0, 0)).save(out, "JPEG")
    return out.getvalue()


def _shard(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def test_shards_give_samples_by_the_name_up_to_the_first_dot(tmp_path: Path):
    facts = {"caption": "from json", "synthetic": ["s one", "s two"]}
    shard = _shard(tmp_path / "a.tar", {
        "x/0001.jpg": b"1", "x/0001.txt": b"from text", "x/0001.json": json.dumps(facts).encode(),
        "x/0002.json": json.dumps({"caption": "second"}).encode(), "x/0002.png": b"2",
        "x/0003.txt": b"alone",
    })  # fmt: skip
    assert list(read_shards([shard])) == [
        Pair("a.tar/x/0001", b"1", "from text", ("s one", "s two")),
        Pair("a.tar/x/0002", b"2", "second", ()),
        Dropped("a.tar/x/0003", "no picture", corrupt=False),
    ]


def test_a_broken_shard_is_reported_and_the_next_one_read(tmp_path: Path):
    (tmp_path / "bad.tar").write_bytes(b"nonsense" * 200)
    good = _shard(tmp_path / "good.tar", {"1.jpg": b"1", "1.txt": b"one"})
    cut = tmp_path / "cut.tar"
    cut.write_bytes(_shard(tmp_path / "t.tar", {"1.jpg": b"1" * 4000}).read_bytes()[:1500])
    items = list(read_shards([tmp_path / "bad.tar", cut, good]))
    assert [type(item) for item in items] == [Dropped, Dropped, Pair]
    assert items[0].key == str(tmp_path / "bad.tar")
    assert items[0] == Dropped(items[0].key, "shard cannot be read (ReadError)")


@pytest.mark.parametrize("kind", ["between members", "in a header", "in the end", "overwritten"])
def test_a_shard_that_ends_too_early_is_reported_and_keeps_what_came_before(
    tmp_path: Path, kind: str
):
    """The tar module itself stops at all of these without a word."""
    whole = _shard(tmp_path / "t.tar", {"1.jpg": b"1", "2.jpg": b"2"}).read_bytes()
    content = {
        "between members": whole[:1024],
        "in a header": whole[:1300],
        "in the end": whole[:2048],
        "overwritten": whole[:1024] + b"nonsense" * 64 + whole[1536:],
    }[kind]
    (tmp_path / "t.tar").write_bytes(content)
    *pairs, last = read_shards([tmp_path / "t.tar"])
    assert [pair.key for pair in pairs] == ["t.tar/1", "t.tar/2"][: 1 + (kind == "in the end")]
    assert last == Dropped(str(tmp_path / "t.tar"), "shard cannot be read (ReadError)")


def test_shards_of_the_same_name_are_told_apart(tmp_path: Path):
    shards = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        shards.append(_shard(tmp_path / folder / "0.tar", {"1.jpg": b"1", "1.txt": b"one"}))
    keys = [f"{shard}/1" for shard in shards]
    assert [item.key for item in read_shards(shards)] == keys
    assert [item.key for item in read_shards([tmp_path])] == keys  # the shards in a folder


def test_the_files_of_img2dataset_are_samples(tmp_path: Path):
    (tmp_path / "00000").mkdir()
    for name, content in {
        "00000_stats.json": b"{}", "00000.parquet": b"", "00000/000000001.jpg": b"1",
        "00000/000000001.txt": b"one", "00000/000000001.json": b'{"caption": "no"}',
        "00000/000000010.JPG": b"10", "00000/000000010.json": b'{"caption": "ten"}',
        "00000/000000002.txt": b"two",
    }.items():  # fmt: skip
        (tmp_path / name).write_bytes(content)
    name = tmp_path.name
    assert list(read_shards([tmp_path])) == [
        Pair(f"{name}/00000/000000001", b"1", "one"),
        Dropped(f"{name}/00000/000000002", "no picture", corrupt=False),
        Pair(f"{name}/00000/000000010", b"10", "ten"),
    ]
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="contains neither tar shards nor pictures"):
        list(read_shards([tmp_path / "empty"]))


def test_broken_json_drops_its_sample_only(tmp_path: Path):
    shard = _shard(tmp_path / "a.tar", {
        "1.jpg": b"1", "1.json": b"{", "2.jpg": b"2", "2.txt": b"two",
    })  # fmt: skip
    first, second = read_shards([shard])
    assert first == Dropped("a.tar/1", "captions cannot be read (JSONDecodeError)")
    assert second == Pair("a.tar/2", b"2", "two")


@pytest.mark.parametrize(
    "facts",
    [
        ["a list"],
        {"caption": 3},
        {"caption": "a", "synthetic": 3},
        {"caption": "a", "synthetic": ["b", 3]},
    ],
)
def test_json_of_another_form_drops_its_sample_only(tmp_path: Path, facts: object):
    shard = _shard(tmp_path / "a.tar", {
        "1.jpg": b"1", "1.json": json.dumps(facts).encode(), "2.jpg": b"2", "2.txt": b"two",
    })  # fmt: skip
    first, second = read_shards([shard])
    assert first == Dropped("a.tar/1", "captions cannot be read (ValueError)")
    assert second == Pair("a.tar/2", b"2", "two")


def test_coco_captions_of_one_picture_are_synthetic_ones(tmp_path: Path):
    (tmp_path / "p.jpg").write_bytes(b"p")
    content = {
        "images": [{"id": 7, "file_name": "p.jpg"}, {"id": 8, "file_name": "gone.jpg"}],
        "annotations": [
            {"image_id": 7, "caption": "first"}, {"image_id": 7, "caption": "second"},
        ],
    }  # fmt: skip
    listing = tmp_path / "captions.json"
    listing.write_text(json.dumps(content))
    assert list(read_coco(listing, tmp_path)) == [
        Pair("p.jpg", b"p", "", ("first", "second")),
        Dropped("gone.jpg", "file cannot be read (FileNotFoundError)"),
    ]
    content["annotations"] = [
        {"image_id": 7, "caption": None}, {"image_id": 8, "caption": 3},
    ]  # fmt: skip
    listing.write_text(json.dumps(content))
    assert list(read_coco(listing, tmp_path)) == [
        Pair("p.jpg", b"p", "", ()),
        Dropped(
            "gone.jpg",
            "captions cannot be read (the synthetic captions are neither a text nor a list of "
            "texts)",
        ),
    ]
    listing.write_text('{"images": []}')
    with pytest.raises(DataError, match="not a COCO caption file"):
        list(read_coco(listing, tmp_path))


@pytest.mark.parametrize("form", ["csv", "CSV", "jsonl"])
def test_lists_give_pairs(tmp_path: Path, form: str):
    (tmp_path / "1.jpg").write_bytes(b"1")
    listing = tmp_path / f"pairs.{form}"
    if form.lower() == "csv":
        listing.write_text("image,caption,synthetic\n1.jpg,007,exact\n")
    else:
        listing.write_text('{"image": "1.jpg", "caption": "007", "synthetic": ["exact"]}\n')
    assert list(read_list(listing)) == [Pair("1.jpg", b"1", "007", ("exact",))]


def test_a_picture_that_is_listed_again_has_a_key_of_its_own(tmp_path: Path):
    (tmp_path / "a.jpg").write_bytes(b"1")
    (tmp_path / "l.csv").write_text("image,caption\na.jpg,one\nb.jpg,x\na.jpg,two\n")
    first, missing, again = read_list(tmp_path / "l.csv")
    assert (first, again) == (Pair("a.jpg", b"1", "one"), Pair("a.jpg#2", b"1", "two"))
    assert missing == Dropped("b.jpg", "file cannot be read (FileNotFoundError)")


def test_a_list_without_the_columns_is_refused(tmp_path: Path):
    (tmp_path / "l.csv").write_text("file,text\na,b\n")
    with pytest.raises(DataError, match="needs the columns image and caption; it has file, text"):
        list(read_list(tmp_path / "l.csv"))


def test_empty_captions_and_broken_pictures_are_dropped():
    good = _picture()
    assert check(Pair("a", good, "  ", (" ", ""))) == Dropped("a", NO_CAPTION, corrupt=False)
    assert check(Pair("a", good, " two\n words ", ("", "s"))) == Pair(
        "a", good, "two words", ("s",)
    )
    assert check(Pair("a", b"x", "w")) == Dropped(
        "a", "picture cannot be read (UnidentifiedImageError)"
    )


def test_an_import_writes_rows_and_reports_what_was_dropped(tmp_path: Path):
    items = [
        Pair("a", _picture(), "web", ("s",)), Pair("b", _picture(), ""), Pair("c", b"x", "web"),
        Pair("d", _picture(), "", ("only",)), Pair("e", _picture(), " "),
    ]  # fmt: skip
    told: list[int] = []
    report = import_pairs(items, tmp_path / "t", progress=told.append)
    assert (report.rows, report.corrupt, told) == (2, 1, [1, 2])
    rows = open_table(tmp_path / "t").to_arrow().to_pylist()
    assert [(r["key"], r["web"], r["synthetic"]) for r in rows] == [
        ("a", "web", ["s"]), ("d", None, ["only"]),
    ]  # fmt: skip
    assert rows[0]["image"] == items[0].image
    assert report.summary().rows() == [
        (NO_CAPTION, 2), ("picture cannot be read (UnidentifiedImageError)", 1),
    ]  # fmt: skip
    assert (tmp_path / "t" / "dropped.csv").read_text().count("\n") == 4


def test_more_corrupt_items_than_allowed_stop_the_import_with_the_count(tmp_path: Path):
    items = [Pair(str(n), b"x", "web") for n in range(5)]
    with pytest.raises(DataError, match=r"^3 items are corrupt, more than the limit of 2"):
        import_pairs(items, tmp_path, limit=2)
    assert not (tmp_path / "pairs.lance").exists()


def test_objects_labels_and_features_are_written_and_their_names_beside_the_table(tmp_path: Path):
    box = (0.0, 0.25, 0.5, 1.0)
    items = [
        Pair("a", _picture(), "web", objects=(Thing("dog", box, score=0.5), Thing("cat", box))),
        Pair("b", _picture(), labels=(Label("beach", 0.75), Label("dog"))),
        Pair("c", _picture(), "w", objects=(Thing("dog", box), Thing("ant", box, b"mask"))),
        Pair("d", _picture(), "w", features=np.array([1, -2.5], np.float16)),
    ]
    import_pairs(items, tmp_path)
    rows = open_table(tmp_path).to_arrow().to_pylist()
    assert rows[0]["objects"] == [
        {"name": "dog", "box": list(box), "mask": None, "score": 0.5},
        {"name": "cat", "box": list(box), "mask": None, "score": None},
    ]
    assert rows[1]["labels"] == [
        {"name": "beach", "score": 0.75}, {"name": "dog", "score": None},
    ]  # fmt: skip
    assert [row["features"] for row in rows] == [None, None, None, [1, -2.5]]
    assert rows[1]["web"] is None
    assert rows[1]["synthetic"] == []
    assert (tmp_path / "objects.txt").read_text() == "dog\nant\ncat\n"
    assert (tmp_path / "labels.txt").read_text() == "beach\ndog\n"
    import_pairs([Pair("a", _picture(), "web")], tmp_path)
    assert not (tmp_path / "objects.txt").exists()
    assert not (tmp_path / "labels.txt").exists()


def _wide() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 4)).save(out, "PNG")
    return out.getvalue()


def test_coco_instances_become_objects_of_the_pictures_with_captions(tmp_path: Path):
    (tmp_path / "p.png").write_bytes(_wide())
    images = [{"id": 7, "file_name": "p.png"}, {"id": 8, "file_name": "gone.png"}]
    captions = tmp_path / "captions.json"
    notes = [{"image_id": 7, "caption": "a cat"}]
    captions.write_text(json.dumps({"images": images, "annotations": notes}))
    instances = tmp_path / "instances.json"
    boxes = [
        {"image_id": 7, "category_id": 3, "bbox": [2, 1, 4, 2], "iscrowd": 0},
        {"image_id": 7, "category_id": 3, "bbox": [0, 0, 8, 4], "iscrowd": 1},
        {"image_id": 7, "category_id": 5, "bbox": [4, 0, 8, 4], "score": 0.5},
        {"image_id": 7, "category_id": 5, "bbox": [9, 0, 1, 1]},
        {"image_id": 8, "category_id": 5, "bbox": [0, 0, 1, 1]},
    ]
    categories = [{"id": 3, "name": "cat"}, {"id": 5, "name": "bat_(animal)"}]
    content = {"images": images, "annotations": boxes, "categories": categories}
    instances.write_text(json.dumps(content))
    cat = Thing("cat", (0.25, 0.25, 0.75, 0.75))
    bat = Thing("bat (animal)", (0.5, 0, 1, 1), score=0.5)
    gone = Dropped("gone.png", "file cannot be read (FileNotFoundError)")
    lost = Dropped("p.png", NO_AREA, corrupt=False)
    pair = Pair("p.png", _wide(), "", ("a cat",), objects=(cat, bat))
    assert list(read_coco(captions, tmp_path, [instances])) == [lost, pair, gone]
    alone = replace(pair, synthetic=())
    assert list(read_coco(instances, tmp_path)) == [lost, alone, gone]
    content["images"] = [{"id": 7, "coco_url": "http://host/train2017/p.png"}]
    instances.write_text(json.dumps(content))
    assert list(read_coco(instances, tmp_path)) == [lost, alone]


def test_instances_of_another_form_are_refused(tmp_path: Path):
    captions, instances = tmp_path / "captions.json", tmp_path / "instances.json"
    captions.write_text('{"images": [], "annotations": []}')
    for content, said in (
        ("[", "cannot be read as COCO's JSON"),
        ("[]", "is not a COCO instance file"),
        ('{"annotations": [{"image_id": 1, "category_id": 2, "bbox": [0, 0, 1, 1]}]}', "is no"),
        ('{"annotations": [{"image_id": 1, "bbox": [0, 0]}]}', "is not a COCO instance file"),
    ):
        instances.write_text(content)
        with pytest.raises(DataError, match=rf"instances.json {said}"):
            list(read_coco(captions, tmp_path, [instances]))
