"""The list of collections: names, broken files, writers at the same time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from indexer.folders.paths import to_text
from tests.ui.conftest import paint, tips
from ui import registry
from ui.registry import RegistryError


@pytest.fixture(autouse=True)
def own_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test begins without known collections."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))


def test_nothing_is_known_at_first() -> None:
    assert registry.known() == ()
    assert registry.find("holiday") is None


def test_a_collection_gets_a_stable_name_from_its_folder(tmp_path: Path) -> None:
    entry = registry.register(tmp_path / "Our Holiday.tips")
    assert (entry.name, entry.title) == ("our-holiday", "Our Holiday")
    assert registry.register(tmp_path / "x" / ".." / "Our Holiday.tips") == entry
    assert registry.find("our-holiday") == entry
    assert registry.known() == (entry,)
    assert not entry.present


def test_names_are_unique(tmp_path: Path) -> None:
    folders = [tmp_path / place / "trip" for place in ("a", "b", "c")]
    assert [registry.register(folder).name for folder in folders] == ["trip", "trip-2", "trip-3"]
    assert [entry.path for entry in registry.known()] == folders


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("demo-out/collection", "demo-out"),
        ("Фото/Отпуск", "отпуск"),
        ("../../etc", "etc"),
        ("<img src=x>&?#", "img-src-x"),
        ("...", "photos"),
        ("x" * 100, "x" * registry.LONGEST_NAME),
    ],
)
def test_any_folder_has_a_name_fit_for_an_address(tmp_path: Path, folder: str, name: str) -> None:
    assert registry.register(tmp_path / folder).name == name


def test_a_name_that_is_no_utf8_survives(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/sch\xf6n"))
    entry = registry.register(folder)
    assert registry.find(entry.name) == entry
    assert entry.path == folder
    assert entry.folder == to_text(os.fsencode(folder))


def test_forgetting_leaves_the_folder(tmp_path: Path) -> None:
    (tmp_path / "trip").mkdir()
    entry = registry.register(tmp_path / "trip")
    registry.forget(entry.name)
    assert registry.known() == ()
    assert (tmp_path / "trip").is_dir()


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"schema": 2, "collections": []}',
        '{"schema": 1, "collections": [{"name": "a"}]}',
        '{"schema": 1, "collections": [{"name": 1, "title": "a", "folder": "/a"}]}',
    ],
)
def test_a_broken_list_is_one_sentence_and_never_overwritten(tmp_path: Path, text: str) -> None:
    file = registry.registry_file()
    file.parent.mkdir(parents=True)
    file.write_text(text)
    with pytest.raises(RegistryError, match="cannot be read"):
        registry.known()
    with pytest.raises(RegistryError, match="move it away"):
        registry.register(tmp_path / "trip")
    assert file.read_text() == text


def test_writers_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from ui.registry import register\n"
        "for n in range(10): register(Path(sys.argv[1], str(n), 'trip'))"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path / place)]) for place in "abc"
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    entries = registry.known()
    assert len({entry.folder for entry in entries}) == 30
    assert len({entry.name for entry in entries}) == 30


def test_index_registers_and_a_broken_list_does_not_stop_it(tmp_path: Path) -> None:
    paint(tmp_path / "photos" / "a.jpg", 1)
    index = ("index", tmp_path / "photos", "--model", "nano", "-c")
    assert tips(*index, tmp_path / "one.tips").exit_code == 0
    assert [entry.name for entry in registry.known()] == ["one"]
    assert registry.known()[0].present
    registry.registry_file().write_text("{")
    result = tips(*index, tmp_path / "two.tips", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["new"] == 1
    assert "The list of collections" in result.stderr
