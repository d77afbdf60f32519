"""`tips watch` as a process: it follows, and a signal ends it cleanly."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest

from tests.ui.conftest import paint, tips
from ui.jobs import TIPS

PATIENCE = 60  # seconds


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_watching_follows_until_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    paint(tmp_path / "photos/a.jpg", 1)
    words = ["watch", tmp_path / "photos", "--model", "nano", "--settle", "0.2", "--json"]
    line = [*TIPS, *map(str, words), "-c", str(tmp_path / "c")]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["new"] == 1
        paint(tmp_path / "photos/b.jpg", 2)
        second = json.loads(process.stdout.readline())
        assert (second["new"], second["unchanged"]) == (1, 0)
        process.send_signal(number)
        _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert errors.decode().count("Model nano on") == 1
    assert "Traceback" not in errors.decode()
    status = json.loads(tips("status", "-c", tmp_path / "c", "--json").stdout)
    assert (status["photos"], status["images"]) == (2, 2)


def test_watching_needs_a_folder(tmp_path: Path) -> None:
    nothing = tips("watch", "-c", tmp_path / "c")
    assert (nothing.exit_code, nothing.stderr) == (
        2,
        "tips: Nothing to index; name a folder: `tips index PHOTOS`.\n",
    )
    missing = tips("watch", tmp_path / "none", "-c", tmp_path / "c")
    assert missing.exit_code == 2
    assert "none does not exist or is empty" in missing.stderr
    bucket = tips("watch", "s3://bucket/photos", "-c", tmp_path / "c")
    assert bucket.exit_code == 2
    assert "s3://bucket/photos cannot be watched: object storage sends" in bucket.stderr
    assert not (tmp_path / "c").exists()


def test_a_mistyped_folder_is_not_waited_for(tmp_path: Path) -> None:
    paint(tmp_path / "photos/a.jpg", 1)
    assert (
        tips("index", tmp_path / "photos", "--model", "nano", "-c", tmp_path / "c").exit_code == 0
    )
    mistyped = tips("watch", tmp_path / "fotos", "-c", tmp_path / "c")
    assert mistyped.exit_code == 2
    assert "fotos is not there, and the collection" in mistyped.stderr
