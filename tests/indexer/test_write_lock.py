"""Who holds a collection: this process, another one, one that has ended, nobody."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from indexer.collection import Collection
from indexer.errors import CollectionBusyError, CollectionError
from indexer.write_lock import LOCK, holder, read_line
from tests.indexer.colours import ColourEmbedder

HOLD = """
import sys, subprocess
from pathlib import Path
from indexer.write_lock import held
with held(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def collection(tmp_path: Path) -> Collection:
    return Collection.create(tmp_path / "c", ColourEmbedder().info)


def test_nobody_holds_a_collection_that_nobody_writes(collection: Collection) -> None:
    assert holder(collection.folder) is None
    with collection.lock():
        pass
    assert (collection.folder / LOCK).exists()
    assert holder(collection.folder) is None


def test_another_process_is_named_while_it_lives(collection: Collection) -> None:
    line = [sys.executable, "-c", HOLD, str(collection.folder)]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        found = holder(collection.folder)
        assert found is not None
        assert (found.pid, found.host, found.alive) == (other.pid, os.uname().nodename, True)
        assert found.command.startswith("-c ")
        with pytest.raises(CollectionBusyError, match=f"process {other.pid} on "):
            collection.lock().__enter__()
        other.kill()
    assert holder(collection.folder) is None


def test_a_lock_that_outlives_its_process_says_so() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    line = f"process {ended.pid} on {os.uname().nodename} (`tips index`, since 2026-05-01 10:00:00)"
    found = read_line(line)
    assert found.alive is False
    assert str(found) == f"{line}, which has ended, or one that it started"
    elsewhere = read_line("process 1 on another-host (`tips index (x)`, since 2026-05-01 10:00:00)")
    assert (elsewhere.alive, elsewhere.command) == (None, "tips index (x)")
    assert str(read_line("garbage")) == "another process"


def test_who_looks_keeps_no_writer_out(collection: Collection) -> None:
    with collection.lock():
        pass
    looking = os.open(collection.folder / LOCK, os.O_RDONLY)
    fcntl.flock(looking, fcntl.LOCK_SH)  # as `holder` does, and lets go at once
    ends = threading.Timer(0.05, os.close, [looking])
    ends.start()
    with collection.lock():
        assert holder(collection.folder) is not None
    ends.join()


def test_a_writer_takes_up_what_another_wrote(collection: Collection) -> None:
    old = Collection.open(collection.folder)
    with collection.lock():
        collection.add_roots(["/a"])
    with old.lock():
        old.add_roots(["/b"])
    assert Collection.open(collection.folder).roots == ("/a", "/b")


def test_a_writer_does_not_write_what_was_switched_away(collection: Collection) -> None:
    old = Collection.open(collection.folder)
    with collection.lock():
        part = collection.part() | {"data": "models/x"}
        changed = collection.use_part(part, collection.part())
    assert changed.catalog_folder == collection.folder / "models/x/catalog"
    previous = Collection.open(collection.folder).previous
    assert previous is not None
    assert (previous["model"]["model_id"], previous["data"]) == ("colours:1", "")
    with pytest.raises(CollectionError, match="switched to colours meanwhile"), old.lock():
        pass


@pytest.mark.parametrize("data", ["..", "models/..", "/etc", "models/a/b", "other/x"])
def test_data_lies_in_the_collection(collection: Collection, data: str) -> None:
    file = collection.folder / "collection.json"
    text = file.read_text().replace('"schema": 1', f'"schema": 2, "data": "{data}"')
    file.write_text(text)
    with pytest.raises(CollectionError, match="cannot be read"):
        Collection.open(collection.folder)
