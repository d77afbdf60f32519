"""The lock of a collection: who waits, for whom, how long, and what is cleaned up."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from indexer.collection import SETTINGS, Collection
from indexer.errors import CollectionBusyError
from indexer.write_lock import LOCK, Patience, held
from tests.indexer.colours import ColourEmbedder

ROOT = Path(__file__).parents[2]
HOLD = (
    "import sys; from pathlib import Path; from indexer.write_lock import held\n"
    "with held(Path(sys.argv[1])):\n"
    "    print('held', flush=True); sys.stdin.read()\n"
)


@contextmanager
def holder(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock until its stdin closes."""
    command = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_the_impatient_are_told_who_holds_it(tmp_path: Path) -> None:
    with (
        holder(tmp_path) as other,
        pytest.raises(
            CollectionBusyError, match=rf"process {other.pid} on .*since 2.*; wait for it"
        ),
        held(tmp_path),
    ):
        pass


def test_patience_ends(tmp_path: Path) -> None:
    told: list[str] = []
    with (
        holder(tmp_path) as other,
        pytest.raises(CollectionBusyError, match=r"waited [\d.]+ s"),
        held(tmp_path, Patience(0.4, told.append)),
    ):
        pass
    assert len(told) == 1
    assert told[0].startswith(f"Waiting for process {other.pid} on ")


@pytest.mark.parametrize("end", ["close", "kill"])
def test_the_patient_go_on_when_the_holder_ends(tmp_path: Path, end: str) -> None:
    waiting = threading.Event()
    with holder(tmp_path) as other:

        def release() -> None:
            assert waiting.wait(30)
            if end == "kill":
                other.kill()
            else:
                assert other.stdin is not None
                other.stdin.close()

        releasing = threading.Thread(target=release)
        releasing.start()
        with held(tmp_path, Patience(math.inf, lambda _: waiting.set())):
            assert (tmp_path / LOCK).read_text().startswith(f"process {os.getpid()} on ")
        releasing.join()
    assert (tmp_path / LOCK).read_text() == ""


def test_a_killed_holder_is_told_from_one_that_lives(tmp_path: Path) -> None:
    with holder(tmp_path) as dead:
        dead.kill()
    before = (tmp_path / LOCK).read_text()
    assert f"process {dead.pid} " in before
    descriptor = os.open(tmp_path / LOCK, os.O_RDWR)
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX)  # taken, and the name not written yet
        with pytest.raises(CollectionBusyError, match="which has ended, or"), held(tmp_path):
            pass
    finally:
        os.close(descriptor)


def test_old_temporary_files_go_and_young_ones_stay(tmp_path: Path) -> None:
    names = [".calibration.npz.ab.part", "collection.json.tmp"]
    for name in names:
        (tmp_path / f"old{name}" if name[0] != "." else tmp_path / f".old{name}").touch()
        (tmp_path / name).touch()
    for path in tmp_path.iterdir():
        if "old" in path.name:
            os.utime(path, (1, 1))
    (tmp_path / "photo.part").touch()  # not of our making
    os.utime(tmp_path / "photo.part", (1, 1))
    with held(tmp_path):
        pass
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {*names, LOCK, "photo.part"}


def test_a_collection_whose_making_was_killed_can_be_made(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    folder.mkdir()
    (folder / f"{SETTINGS}.tmp").write_text("{")  # killed before the rename
    (folder / LOCK).touch()
    Collection.create(folder, ColourEmbedder().info)
    assert Collection.open(folder).model.name == "colours"


def test_two_who_make_one_collection_do_not_mix(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    folder.mkdir()
    with holder(folder), pytest.raises(CollectionBusyError):
        Collection.create(folder, ColourEmbedder().info)
    assert not Collection.exists(folder)
