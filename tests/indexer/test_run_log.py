"""The log of a collection: what began, how it ended, and that it stays small."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from indexer.errors import DiskFullError
from indexer.progress import Progress
from indexer.run_log import FILE, FOLDER, MOST_BYTES, OLD_FILES, read, recorded, write


def test_a_run_leaves_its_beginning_its_counts_and_its_stages(tmp_path: Path) -> None:
    with recorded(tmp_path, "index") as record:
        show = record.following(lambda progress: None)
        for stage, done in (("scan", 7), ("index", 3), ("index", 5), ("publish", 0), ("index", 6)):
            show(Progress(stage, done))  # type: ignore[arg-type]
        record.counts = {"new": 6}
    began, ended = read(tmp_path)
    assert (began["event"], began["command"], began["pid"]) == ("began", "index", os.getpid())
    assert (ended["event"], ended["counts"]) == ("done", {"new": 6})
    assert {name: stage["done"] for name, stage in ended["stages"].items()} == {
        "scan": 7,
        "index": 6,
        "publish": 0,
    }
    assert sum(stage["seconds"] for stage in ended["stages"].values()) <= ended["seconds"] + 0.01


def test_a_run_that_fails_says_why_and_the_error_passes_on(tmp_path: Path) -> None:
    with pytest.raises(DiskFullError), recorded(tmp_path, "index"):
        raise DiskFullError("full")
    with pytest.raises(KeyboardInterrupt), recorded(tmp_path, "index"):
        raise KeyboardInterrupt
    failed, stopped = read(tmp_path)[1::2]
    assert (failed["event"], failed["error"], failed["sentence"]) == (
        "failed",
        "DiskFullError",
        "full",
    )
    assert stopped["event"] == "stopped"


def test_the_log_is_bounded_and_damage_costs_a_line(tmp_path: Path) -> None:
    for number in range(700):
        write(tmp_path, event="began", number=number, text="x" * 5000)
    files = sorted(os.listdir(tmp_path / FOLDER))
    assert files == [FILE, *(f"{FILE}.{n}" for n in range(1, OLD_FILES + 1))]
    assert all((tmp_path / FOLDER / name).stat().st_size <= MOST_BYTES for name in files)
    with (tmp_path / FOLDER / FILE).open("a") as file:
        file.write('{"event": "be')
    assert [line["number"] for line in read(tmp_path, 3)] == [697, 698, 699]


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_text("in the way")
    with recorded(tmp_path, "index"):
        pass
    assert read(tmp_path) == []
