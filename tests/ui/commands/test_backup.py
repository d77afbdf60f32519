"""`tips backup` and `tips restore`: what they print, and what they refuse in one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.indexer.maintenance.backup_cases import make_collection
from tests.ui.conftest import tips


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_collection(tmp_path_factory.mktemp("made") / "mine.tips").folder


def test_a_collection_goes_into_a_file_and_comes_back(made: Path, tmp_path: Path) -> None:
    written = tips("backup", "-c", made, tmp_path)
    assert written.exit_code == 0, written.output
    file = Path(written.stdout.strip())
    assert file.parent == tmp_path
    assert "6 photos" in written.stderr
    assert "verified" in written.stderr

    checked = tips("restore", "--check", file, "--json")
    assert json.loads(checked.stdout)["photos"] == 6
    assert "is intact: 6 photos" in tips("restore", "--check", file).stderr

    back = tips("restore", file, "-c", tmp_path / "back.tips", "--json")
    facts = json.loads(back.stdout)
    assert (facts["photos"], facts["vectors"]) == (6, "restored")
    assert json.loads(tips("status", "-c", tmp_path / "back.tips", "--json").stdout)["images"] == 6

    again = tips("restore", file, "-c", tmp_path / "back.tips")
    assert (again.exit_code, again.stdout) == (2, "")
    assert "back.tips is not empty; choose a new folder" in " ".join(again.stderr.split())


def test_mistakes_are_sentences(made: Path, tmp_path: Path) -> None:
    (tmp_path / "no.tar.zst").write_text("no archive")
    for arguments, words in (
        (("backup", "-c", tmp_path / "none", tmp_path), "There is no collection in"),
        (("backup", "-c", made, tmp_path / "a" / "b.tar.zst"), "There is no folder"),
        (("restore", tmp_path / "no.tar.zst", "-c", tmp_path / "x"), "is not a backup"),
        (("restore", tmp_path / "gone.tar.zst", "-c", tmp_path / "x"), "does not exist"),
    ):
        result = tips(*arguments)
        assert result.exit_code == 2
        assert words in " ".join(result.stderr.split())
        assert "Traceback" not in result.output
    assert not (tmp_path / "x").exists()


def test_without_vectors_a_search_says_what_makes_them(collection: Path, tmp_path: Path) -> None:
    tips("backup", "-c", collection, tmp_path / "b.tar.zst")
    bare = tmp_path / "bare.tips"
    assert tips("restore", tmp_path / "b.tar.zst", "--no-vectors", "-c", bare).exit_code == 0
    asked = tips("search", "red circle", "--all", "-c", bare)
    assert (asked.exit_code, asked.stdout) == (2, "")
    assert "has photos and no vectors yet; `tips rebuild` makes them" in " ".join(
        asked.stderr.split()
    )
    assert tips("rebuild", "-c", bare).exit_code == 0
    assert tips("search", "red circle", "--all", "-c", bare).exit_code == 0
