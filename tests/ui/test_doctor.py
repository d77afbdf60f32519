"""The doctor finds what is wrong and says the way on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from indexer.collection import Collection
from tests.ui.conftest import tips
from tips_model.download import MANIFEST, damaged


def states(folder: Path) -> dict[str, tuple[str, str]]:
    """Name -> state and text, of all checks."""
    checks = json.loads(tips("doctor", "-c", folder, "--json").stdout)
    return {check["name"]: (check["state"], check["text"]) for check in checks}


@pytest.fixture
def copy(collection: Path, tmp_path: Path) -> Path:
    shutil.copytree(collection, tmp_path / "c")
    return tmp_path / "c"


def test_a_sound_collection_has_no_problem(collection: Path) -> None:
    result = tips("doctor", "-c", collection)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    names = [line[9:30].strip() for line in lines]
    assert names == [
        *("python", "packages", "torch", "pictures", "list of collections", "watching", "disk"),
        *("collection", "model", "lock", "catalog", "vectors", "folders", "leftovers"),
    ]
    assert not any(line.startswith("problem") for line in lines)
    found = states(collection)
    assert found["catalog"][1].startswith("30 photos, 1 failed, revision ")
    assert found["vectors"] == ("ok", "30 photos (embedded), up to date with the catalog")


def test_no_collection_is_no_problem(tmp_path: Path) -> None:
    result = tips("doctor", "-c", tmp_path / "none")
    assert result.exit_code == 0
    assert "create one with `tips index PHOTOS" in result.stdout
    assert not (tmp_path / "none").exists()


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="the device is there")
def test_a_device_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    result = tips("doctor", "-c", tmp_path / "none", "--device", "mps")
    assert result.exit_code == 2
    assert "the device mps is not available here; use `--device cpu`" in result.stdout


def test_damage_is_a_problem_with_the_way_on(copy: Path) -> None:
    (copy / "vectors/manifest.json").write_text("{")
    file = copy / "collection.json"
    settings = json.loads(file.read_text())
    settings["roots"] = ["/nowhere/at/all"]
    settings["model"]["model_id"] = settings["model"]["model_id"].replace("nano:", "nano:0")
    file.write_text(json.dumps(settings))
    found = states(copy)
    assert found["vectors"][0] == "problem"
    assert "`tips rebuild`" in found["vectors"][1]
    assert found["folders"][0] == "warning"
    assert "tips prune --missing-roots" in found["folders"][1]
    assert found["model"][0] == "problem"
    assert tips("doctor", "-c", copy).exit_code == 2
    file.write_text("{")
    assert states(copy)["collection"][0] == "problem"


def test_what_lags_behind_and_who_writes_are_said(copy: Path) -> None:
    opened = Collection.open(copy)
    (copy / "catalog/links.arrow.tmp").touch()
    catalog = opened.catalog()
    ids = list(catalog.ids())[:1]
    catalog.commit(catalog.rows(ids))
    with opened.lock():
        found = states(copy)
        status = tips("status", "-c", copy)
        held = json.loads(tips("status", "--json", "-c", copy).stdout)["holder"]
    assert found["vectors"] == (
        "warning",
        "they lack the last changes of the catalog; `tips index` publishes them",
    )
    assert found["leftovers"] == ("warning", "1 leftover; `tips prune` deletes them")
    assert found["lock"][1].startswith("held by process ")
    assert "written by" in status.stdout
    assert held["alive"] is True


def test_fetched_weights_are_compared_with_what_was_fetched(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(b"weights")
    assert damaged("a.npz", tmp_path) is None
    digest = "9c3cd8ab39bcc4c9d4e1c8d3ab4a9d7e" * 2
    (tmp_path / MANIFEST).write_text(json.dumps({"a.npz": {"size": 7, "sha256": digest}}))
    assert damaged("a.npz", tmp_path) == "a.npz is not what was downloaded"
    (tmp_path / MANIFEST).write_text(json.dumps({"a.npz": {"size": 8, "sha256": digest}}))
    assert damaged("a.npz", tmp_path) == "a.npz has 7 of 8 bytes"
