"""`tips forget`: the list gets shorter, and nothing else happens."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ui.conftest import tips
from ui import registry


@pytest.fixture(autouse=True)
def own_list(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


def test_a_collection_is_taken_off_the_list_by_name_or_folder(
    collection: Path, tmp_path: Path
) -> None:
    entry, gone = registry.register(collection), registry.register(tmp_path / "gone.tips")
    done = tips("forget", entry.name, "--yes")
    assert done.exit_code == 0
    assert done.stdout == f"Forgot {entry.title}. Its folder is kept: {collection}\n"
    assert registry.known() == (gone,)
    assert (collection / "collection.json").exists()
    done = tips("forget", tmp_path / "gone.tips", "--yes")
    assert done.stdout == f"Forgot gone. Its folder is not there: {tmp_path}/gone.tips\n"
    assert registry.known() == ()


def test_it_asks_and_names_what_there_is(collection: Path) -> None:
    entry = registry.register(collection)
    asked = tips("forget", entry.name)
    assert asked.exit_code == 2
    assert "There is no terminal to ask; confirm with --yes." in asked.stderr
    other = tips("forget", "holiday", "--yes")
    assert other.exit_code == 2
    assert f"holiday is not on the list; the collections are {entry.name}." in other.stderr
    assert registry.known() == (entry,)
