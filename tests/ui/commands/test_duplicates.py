"""`tips duplicates` on a real collection: what is listed, in which form, and the exit codes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from tests.ui.conftest import HOSTILE, paint, tips
from tests.unprivileged import read_only_copy, run_unprivileged

BIG = "2024/big.png"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Painted photos: one in three sizes, one copied byte for byte, one with a hostile name."""
    base = tmp_path_factory.mktemp("duplicates")
    photos = base / "photos"
    for seed in (3, 4, 7, 9):
        paint(photos / "2023" / f"{seed}.jpg", seed)
    picture = Image.open(photos / "2023" / "3.jpg").convert("RGB")
    (photos / "2024").mkdir()
    picture.resize((400, 300), Image.Resampling.LANCZOS).save(photos / BIG)
    picture.save(photos / "2024" / HOSTILE, "JPEG", quality=60)
    shutil.copy(photos / "2023" / "4.jpg", photos / "2024" / "copy.jpg")
    assert tips("index", photos, "--model", "nano", "-c", base / "c").exit_code == 0
    return base / "c", photos


def test_groups_come_largest_first_and_the_best_file_first(library: tuple[Path, Path]) -> None:
    collection, _photos = library
    run = tips("duplicates", "--json", "-c", collection)
    assert run.exit_code == 0, run.output
    answer = json.loads(run.stdout)
    assert answer["tier"] == "same"
    first, second = answer["groups"]
    assert [Path(photo["path"]).name for photo in first] == ["big.png", "3.jpg", HOSTILE]
    assert (first[0]["width"], first[0]["height"], first[0]["format"]) == (400, 300, "png")
    assert sorted(Path(path).name for path in second[0]["paths"]) == ["4.jpg", "copy.jpg"]
    assert "2 groups; 3 files besides the best of each" in run.stderr


def test_into_a_pipe_go_paths_and_empty_lines(library: tuple[Path, Path]) -> None:
    collection, photos = library
    groups = tips("duplicates", "-c", collection).stdout.split("\n\n")
    assert groups[0].splitlines()[0] == str(photos / BIG)
    assert [len(group.splitlines()) for group in groups] == [3, 2]


def test_a_filter_chooses_among_which_photos(library: tuple[Path, Path]) -> None:
    collection, _photos = library
    run = tips("duplicates", "--filter", "in:2024", "-c", collection)
    names = [Path(line).name for line in run.stdout.splitlines() if line]
    assert names[:2] == ["big.png", HOSTILE]
    assert tips("duplicates", "--filter", "type:png", "-c", collection).exit_code == 1
    assert tips("duplicates", "--filter", "nonsense", "-c", collection).exit_code == 2


def test_similar_holds_the_same(library: tuple[Path, Path]) -> None:
    collection, _ = library
    same, similar = (
        [{photo["id"] for photo in group} for group in json.loads(run.stdout)["groups"]]
        for run in (
            tips("duplicates", "--json", "-c", collection),
            tips("duplicates", "--similar", "--json", "-c", collection),
        )
    )
    assert all(any(group <= wider for wider in similar) for group in same)


def test_none_is_exit_code_one(tmp_path: Path) -> None:
    for seed in (3, 9):
        paint(tmp_path / "photos" / f"{seed}.jpg", seed)
    tips("index", tmp_path / "photos", "--model", "nano", "-c", tmp_path / "c")
    run = tips("duplicates", "-c", tmp_path / "c")
    assert (run.exit_code, run.stdout) == (1, "")
    assert "No photos show the same picture." in run.stderr
    assert tips("duplicates", "-c", tmp_path / "none").exit_code == 2


def test_a_collection_that_can_only_be_read_answers_too(library: tuple[Path, Path]) -> None:
    code = "import sys; from ui.cli import main; sys.argv[0] = 'tips'; main()"
    with read_only_copy(library[0]) as copy:
        run = run_unprivileged(code, "duplicates", "--json", "-c", copy)
        assert run.returncode == 0, run.stderr
        (copy / "duplicates.npz").unlink(missing_ok=True)
        before = sorted(copy.rglob("*"))
        fresh = run_unprivileged(code, "duplicates", "--json", "-c", copy)
        assert sorted(copy.rglob("*")) == before
    assert json.loads(fresh.stdout) == json.loads(run.stdout)
    assert len(json.loads(run.stdout)["groups"]) > 0
