"""Files and folders of strangers run nothing, and what is the user's stays with the user."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from indexer.collection import Collection
from search.confidence import sample
from search.duplicates import groups as duplicates
from search.query import Query
from search.scenes.language import parse
from tests.indexer.colours import ColourEmbedder
from tips_model.errors import WeightsError
from tips_model.openclip import open_openclip
from ui.commands.ui import streamlit_command
from ui.job_files import JobFiles


class Trap:
    """Unpickled freely, it makes a file."""

    def __init__(self, made: Path) -> None:
        self.made = made

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.made,)


def test_an_openclip_checkpoint_cannot_run_code(tmp_path: Path) -> None:
    made, file = tmp_path / "made", tmp_path / "weights.pt"
    torch.save({"state_dict": Trap(made)}, file)
    with pytest.raises(WeightsError, match="contains more than tensors"):
        open_openclip("ViT-B-32/openai", str(file), "cpu")
    assert not made.exists()


def test_a_damaged_openclip_checkpoint_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "weights.pt").write_bytes(b"junk")
    with pytest.raises(
        WeightsError, match=r"weights of openclip:ViT-B-32/openai could not be loaded"
    ):
        open_openclip("ViT-B-32/openai", str(tmp_path / "weights.pt"), "cpu")


@pytest.mark.parametrize("read", [partial(sample._read, dim=8), duplicates._read])
def test_what_search_keeps_in_a_collection_cannot_run_code(
    tmp_path: Path, read: Callable[[Path], object]
) -> None:
    made, file = tmp_path / "made", tmp_path / "kept.npz"
    np.savez(file, key=np.array([Trap(made)], dtype=object))
    with np.load(file, allow_pickle=True) as arrays:
        arrays["key"]
    assert made.exists()  # the trap works where it is let
    made.unlink()
    assert read(file) == {}
    assert not made.exists()


def test_the_app_imports_nothing_from_the_folder_it_is_started_in(tmp_path: Path) -> None:
    for name in ("streamlit", "click", "json"):
        (tmp_path / f"{name}.py").write_text("open('made', 'w')\nraise SystemExit('a stranger')")
    command = streamlit_command("localhost", 1, browser=False)
    place = command.index("run")
    done = subprocess.run(
        [*command[:place], "--version"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout.startswith("Streamlit"), done.stderr
    assert not (tmp_path / "made").exists()


def test_new_collections_and_jobs_are_the_owners_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    before = os.umask(0)
    try:
        collection = Collection.create(tmp_path / "new", ColourEmbedder().info)
        files = JobFiles.of(collection.folder)
        files.make()
    finally:
        os.umask(before)
    for folder in (collection.folder, files.lock.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_folder_that_was_shared_stays_shared(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o755)
    Collection.create(tmp_path / "shared", ColourEmbedder().info)
    assert stat.S_IMODE((tmp_path / "shared").stat().st_mode) == 0o755


def test_names_from_a_collection_do_not_reach_the_terminal_as_commands(tmp_path: Path) -> None:
    folder = tmp_path / "a\x1b[31mb\x9bc"
    folder.mkdir()
    (folder / "collection.json").write_text(json.dumps({"schema": "\x1b]0;owned\x07"}))
    command = [sys.executable, "-c", "from ui.cli import main; main()", "status", "-c", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "\x1b" not in done.stderr
    assert "\x07" not in done.stderr
    assert "\\x1b]0;owned\\x07" in done.stderr


@pytest.mark.parametrize("address", ["http://127.0.0.1:1/x.jpg", "file:///etc/x.jpg", "ftp://h/x"])
def test_an_address_in_a_query_is_a_text_and_never_fetched(address: str) -> None:
    asked = parse(f"2:{address} + red")
    assert isinstance(asked, Query)
    assert not asked.images
    assert [term.text for term in asked.texts] == [address, "red"]
