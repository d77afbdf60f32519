import io
import re
from pathlib import Path
from random import Random
from typing import Any

import lancedb
import pytest
from click.testing import CliRunner
from PIL import Image

from tips_model.train.dataset import open_table
from tips_model.train.describe import captions, describe_table
from tips_model.train.importers import Label, Pair, Thing, import_pairs
from tips_model.train.source import DataError
from ui.cli import cli

Entry = dict[str, Any]


def _thing(name: str, *box: float, score: float | None = None) -> Entry:
    return {"name": name, "box": list(box), "mask": None, "score": score}


def _label(name: str, score: float | None = None) -> Entry:
    return {"name": name, "score": score}


def _all(objects: list[Entry], labels: list[Entry]) -> set[str]:
    """Every caption that two hundred seeds give."""
    return {text for seed in range(200) for text in captions(objects, labels, Random(seed), 4)}


DOG = _thing("dog, domestic dog", 0.0, 0.5, 0.3, 1.0)
CAR = _thing("Car", 0.7, 0.5, 1.0, 1.0)


def test_captions_tell_what_how_many_where_and_how_things_lie():
    told = _all([DOG, CAR, _thing("Car", 0.75, 0, 1, 0.3)], [_label("beach", 0.9)])
    assert {
        "a photo of a dog and two cars", "two cars along with a dog",
        "there are two cars on the right",
        "in the bottom left, a dog", "a dog in the bottom left and two cars on the right",
        "a dog to the left of a car", "a car right of a dog", "a photo of a beach",
        "two cars and a dog on a beach",
    } <= told  # fmt: skip
    nouns = {word for text in told for word in re.findall(r"dogs?|cars?|beach\w*|people", text)}
    assert nouns == {"dog", "car", "cars", "beach"}
    assert not any("car left of a dog" in text or "dog right of" in text for text in told)


def test_captions_of_a_picture_differ_in_what_they_say():
    for seed in range(50):
        told = captions([DOG, CAR], [_label("beach", 0.9)], Random(seed), 4)
        assert len(set(told)) == len(told) == 4
    assert [len(captions([], [_label("abbey")], Random(seed), 4)) for seed in range(9)] == [1] * 9


def test_what_is_not_certain_enough_is_not_told_and_what_is_not_sure_is_called_so():
    weak = _thing("cat", 0, 0, 0.3, 0.3, score=0.44)
    told = _all([weak], [_label("monastery, abbey", 0.5), _label("altar", 0.29)])
    assert told == {
        "probably a monastery", "a photo, probably of a monastery",
        "a picture of what may be a monastery", "perhaps a monastery",
    }  # fmt: skip
    assert _all([weak], [_label("altar", 0.29)]) == set()
    sure = _all([], [_label("monastery", 0.6)])
    assert sure == {
        "a monastery", "a photo of a monastery", "a picture of a monastery",
        "a photograph of a monastery", "an image of a monastery",
    }  # fmt: skip
    assert captions([weak], [], Random(0), 4, objects_from=0.4)


def test_labels_are_drawn_by_their_score():
    labels = [_label("fox", 0.7), _label("wolf", 0.3)]
    told = [captions([], labels, Random(seed), 1)[0] for seed in range(1000)]
    foxes = sum("fox" in text for text in told)
    assert 650 < foxes < 750


def test_two_machine_made_boxes_of_one_place_are_one_thing_by_the_better_name():
    told = _all(
        [_thing("cat", 0, 0, 0.5, 0.5, score=0.9), _thing("dog", 0, 0, 0.5, 0.52, score=0.5)], []
    )
    assert told
    assert not any("dog" in text for text in told)
    people = [_thing("person", 0, 0, 0.5, 0.5), _thing("tie", 0, 0, 0.5, 0.52)]
    assert any("a tie" in text for text in _all(people, []))


def test_a_label_is_not_told_as_the_thing_beside_itself():
    told = _all([_thing("banana", 0, 0, 0.3, 0.3)], [_label("banana", 0.9)])
    assert not any(text.count("banana") > 1 for text in told)


def _picture() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def table(tmp_path: Path) -> Path:
    dog = Thing("dog", (0.0, 0.0, 0.3, 0.3), score=0.9)
    weak = Label("lake", 0.1)
    import_pairs(
        [
            Pair("a", _picture(), "web", ("own",), objects=(dog,)),
            Pair("a", _picture(), labels=(weak,)),
            Pair("c", _picture(), labels=(Label("barn", 1.0),)),
            Pair("d", _picture(), "plain"),
        ],
        tmp_path / "t",
    )
    return tmp_path / "t"


def _synthetic(folder: Path) -> list[list[str]]:
    texts: list[list[str]] = open_table(folder).to_arrow()["synthetic"].to_pylist()
    return texts


def test_a_table_gets_captions_once_and_nothing_else_changes(table: Path):
    before = open_table(table).to_arrow().drop_columns(["synthetic"])
    told: list[int] = []
    report = describe_table(table, progress=told.append)
    first, second, third, fourth = _synthetic(table)
    assert first[0] == "own"
    assert len(first) > 2
    assert (second, fourth) == ([], [])
    assert len(third) == 1
    assert "a barn" in third[0]
    assert (report.captions, report.rows, report.without) == (len(first), 2, 1)
    assert told == [4]
    assert open_table(table).to_arrow().drop_columns(["synthetic"]) == before
    again = describe_table(table)
    assert (again.captions, again.rows) == (0, 0)
    assert _synthetic(table) == [first, second, third, fourth]


def test_another_seed_and_replacing_give_other_captions(table: Path):
    describe_table(table)
    texts = _synthetic(table)[0]
    found = set()
    for seed in range(8):
        describe_table(table, seed=seed, replace=True, count=2)
        (first, *_) = _synthetic(table)
        assert "own" not in first
        assert len(first) == 2
        found.add(tuple(first))
    assert len(found) > 1
    describe_table(table, replace=True)
    assert _synthetic(table)[0] == texts[1:]


def test_a_table_without_objects_and_labels_is_refused_and_stays(tmp_path: Path):
    import_pairs([Pair("a", _picture(), "web")], tmp_path)
    with pytest.raises(DataError, match="has neither objects nor labels to describe"):
        describe_table(tmp_path)
    assert _synthetic(tmp_path) == [[]]


def test_an_older_table_without_labels_and_scores_is_described(table: Path, tmp_path: Path):
    rows = open_table(table).to_arrow().to_pylist()
    old = [
        {
            "key": row["key"], "image": row["image"], "web": row["web"], "synthetic": ["own"],
            "objects": [{"name": o["name"], "box": o["box"]} for o in row["objects"] or ()],
        }
        for row in rows
    ]  # fmt: skip
    lancedb.connect(tmp_path).create_table("pairs", old)
    describe_table(tmp_path)
    assert any("a dog" in text for text in _synthetic(tmp_path)[0])


def test_the_command_tells_how_many(table: Path):
    done = CliRunner().invoke(cli, ["data", "describe", str(table), "--captions", "2"])
    assert done.exit_code == 0, done.output
    assert f"3 captions for 2 pictures in {table}." in done.output
    assert "1 picture without any caption." in done.output


def test_people_are_told_beside_a_label_and_other_things_apart_from_it():
    person, dog = _thing("person", 0, 0, 1, 1), _thing("dog", 0, 0, 1, 1)
    assert "a person and a racket" in _all([person], [_label("racket", 0.9)])
    assert "a person and probably a racket" in _all([person], [_label("racket", 0.5)])
    terriers = _all([dog], [_label("terrier", 0.9)])
    assert "a terrier: a dog" in terriers
    assert not any(" and " in text for text in terriers)
