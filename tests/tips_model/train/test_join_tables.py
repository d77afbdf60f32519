"""Tables that are joined, and the tokenizer of what a table knows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.tips_model.train.test_labelled import picture, sentences, table
from tips_model.tokenizer import Tokenizer
from tips_model.train.dataset import open_table
from tips_model.train.importers import Pair, import_pairs
from tips_model.train.join_tables import join_tables
from tips_model.train.names import LABELS, OBJECTS, read_names
from tips_model.train.source import DataError, Thing
from tips_model.train.table_tokenizer import write_tokenizer


def test_joined_tables_hold_all_rows_and_the_names_of_both(tmp_path: Path) -> None:
    one = table(tmp_path / "one")
    things = (Thing("tree", (0, 0, 1, 1)),) * 3
    import_pairs([Pair("t", picture("green"), "a tree", objects=things)], tmp_path / "two")
    assert join_tables([one, tmp_path / "two"], tmp_path / "both") == 17
    found = open_table(tmp_path / "both").search().limit(None).to_arrow().to_pylist()
    wanted = open_table(one).search().limit(None).to_arrow().to_pylist()
    assert found[:16] == wanted
    assert found[16]["key"] == "t"
    names = read_names(tmp_path / "both", OBJECTS)
    assert names[0] == "tree"
    assert set(names) == {*read_names(one, OBJECTS), "tree"}
    assert read_names(tmp_path / "both", LABELS) == read_names(one, LABELS)


def test_a_table_is_not_joined_with_itself(tmp_path: Path) -> None:
    one = table(tmp_path / "one")
    with pytest.raises(DataError, match="one of the tables"):
        join_tables([one], one)


def test_a_tokenizer_reads_what_the_table_knows_and_is_made_alike(tmp_path: Path) -> None:
    words = ["a red wall", "a green wall", "a blue wall", "red and green", "blue and red"] * 3
    sentences(tmp_path, [f"{text} {n}" for n, text in enumerate(words)])
    pieces = write_tokenizer(tmp_path, 100)
    found = Tokenizer(tmp_path / "tokenizer.model")
    assert found.vocab == pieces <= 100
    assert found.encode("Red Wall") == found.encode("red wall")
    assert 1 not in found.encode("a blue wall and green")
    first = (tmp_path / "tokenizer.model").read_bytes()
    write_tokenizer(tmp_path, 100)
    assert (tmp_path / "tokenizer.model").read_bytes() == first


def test_without_sentence_vectors_there_are_no_texts_to_train_on(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="tips data sentences"):
        write_tokenizer(tmp_path, 100)


def test_tables_of_two_teachers_are_not_joined(tmp_path: Path) -> None:
    for name, width in (("one", 4), ("two", 8), ("none", 0)):
        vector = np.ones(width, np.float16) if width else None
        import_pairs([Pair(name, picture("red"), "red", features=vector)], tmp_path / name)
    with pytest.raises(DataError, match=r"different widths \(4 in .*one, 8 in .*two\)"):
        join_tables([tmp_path / "one", tmp_path / "two"], tmp_path / "both")
    assert not (tmp_path / "both").exists()
    assert join_tables([tmp_path / "one", tmp_path / "none"], tmp_path / "some") == 2
