"""Backups: what is in them, whoever writes meanwhile, and nothing that only looks whole."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import pytest

from indexer.catalog import table as catalog_module
from indexer.collection import Collection
from indexer.edge.manifest import MANIFEST
from indexer.errors import BackupError, DiskFullError
from indexer.maintenance import pinned_state as pinned_module
from indexer.maintenance.archive import Header, read_header
from indexer.maintenance.backup import backup
from indexer.maintenance.pinned_state import pinned
from indexer.maintenance.restore import check, restore
from indexer.maintenance.verify import verify
from indexer.publish import publish
from tests.indexer.catalog.catalog_cases import photo, removal, table
from tests.indexer.maintenance.backup_cases import make_collection, tree

ROOT = Path(__file__).parents[3]
CODE = """
import os, sys
from pathlib import Path
from indexer.maintenance.backup import backup
from indexer.collection import Collection

def show(stage, done, total):
    if stage == sys.argv[3] and done > total / 2:
        os.kill(os.getpid(), 9)

backup(Collection.open(sys.argv[1]), Path(sys.argv[2]), show)
"""


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    """Six photos, for tests that leave them as they are."""
    return make_collection(tmp_path_factory.mktemp("backup") / "mine.tips")


@pytest.fixture
def living(tmp_path: Path) -> Collection:
    """Six photos, for a test that changes them."""
    return make_collection(tmp_path / "living.tips")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "disk").mkdir()
    return tmp_path / "disk" / "mine.tar.zst"


def kill_in(stage: str, collection: Collection, target: Path) -> int:
    """The exit code of a process that kills itself in the middle of a stage of `backup`."""
    return subprocess.run(
        [sys.executable, "-c", CODE, collection.folder, target, stage],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    ).returncode


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file of this process may grow beyond `size` bytes, as on a disk that fills."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_backup_holds_the_files_and_comes_back_as_they_were(
    collection: Collection, target: Path, tmp_path: Path
) -> None:
    before = tree(collection.folder)
    seen: list[tuple[str, int, int]] = []
    report = backup(collection, target, lambda *step: seen.append(step))
    assert tree(collection.folder) == before
    assert (report.photos, report.revision) == (6, collection.catalog().revision)
    assert report.size == target.stat().st_size
    assert [p.name for p in target.parent.iterdir()] == [target.name]
    for stage in ("write", "check"):
        assert [step for step in seen if step[0] == stage][-1] == (
            stage,
            report.bytes,
            report.bytes,
        )
    assert check(target) == read_header(target)
    assert asdict(check(target))["photos"] == 6

    restored = restore(target, tmp_path / "back.tips")
    assert (restored.photos, restored.vectors, restored.rebuilt_because) == (6, "restored", "")
    again = Collection.open(tmp_path / "back.tips")
    assert verify(again).vectors_agree
    # Opening a shard writes its JSON again, in another order.
    kept = {n: h for n, h in before.items() if "/shard-" in n and not n.endswith(".json")}
    found = tree(again.folder)
    assert {n: found.get(n) for n in kept} == kept
    assert (
        again.catalog()
        .photos(list(again.catalog().ids()))
        .equals(collection.catalog().photos(list(collection.catalog().ids())))
    )
    assert again.id != collection.id


def test_a_restored_collection_goes_on_where_the_backup_stood(
    collection: Collection, target: Path, tmp_path: Path
) -> None:
    backup(collection, target)
    restore(target, tmp_path / "back.tips")
    again = Collection.open(tmp_path / "back.tips")
    catalog, store = again.catalog(), again.vectors(read_only=False)
    catalog.commit(table([photo(50)]), removal([1]))
    assert publish(catalog, store).published == 1
    assert (store.count("images"), verify(again).vectors_agree) == (6, True)


def test_a_folder_gets_dated_files(collection: Collection, target: Path) -> None:
    report = backup(collection, target.parent)
    (file,) = target.parent.iterdir()
    assert str(file) == report.file
    assert file.name.startswith("mine.tips-20")
    assert file.name.endswith(".tar.zst")
    assert file.stat().st_mode & 0o777 == 0o600  # paths of photos are nobody else's business


def test_a_state_is_consistent_while_another_writes(
    living: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer commits, publishes, removes, and joins fragments without keeping old versions."""
    monkeypatch.setattr(catalog_module, "KEEP_VERSIONS", timedelta(milliseconds=1))
    stop, failed = threading.Event(), list[BaseException]()

    def write() -> None:
        catalog, store = living.catalog(), living.vectors(read_only=False)
        number = 100
        try:
            while not stop.is_set():
                catalog.commit(
                    table([photo(number)]), removal([number - 1] if number > 100 else [])
                )
                publish(catalog, store)
                catalog.optimize()
                number += 1
        except BaseException as error:
            failed.append(error)
        store.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        files = [tmp_path / f"{n}.tar.zst" for n in range(2)]
        reports = [backup(living, file) for file in files]
    finally:
        stop.set()
        writer.join()
    assert not failed
    revisions = [report.revision for report in reports]
    assert revisions == sorted(revisions)
    assert revisions[0] < revisions[-1]
    for file, report in zip(files, reports, strict=True):
        restore(file, tmp_path / file.stem)
        found = verify(Collection.open(tmp_path / file.stem))
        assert found.vectors_agree
        assert found.photos == report.photos
    assert not list(living.folder.glob(".pinned-*"))


def test_a_collection_that_never_stands_still_is_refused(
    collection: Collection, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = iter(range(1000))
    monkeypatch.setattr(pinned_module, "_newest", lambda table: (next(numbers), None))
    with pytest.raises(BackupError, match="changing too fast"):
        backup(collection, target)
    assert not list(target.parent.iterdir())


def test_without_links_the_files_themselves_are_read(
    collection: Collection, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*paths: object) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    backup(collection, target)
    assert check(target).photos == 6
    with pinned(collection) as state:
        assert dict(state.files)["collection.json"] == collection.folder / "collection.json"


def test_a_file_that_goes_under_the_copy_ends_it(
    living: Collection, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*paths: object) -> None:
        raise PermissionError("no links here")

    def lose(stage: str, done: int, total: int) -> None:
        for file in living.folder.glob("catalog/photos.lance/data/*"):
            file.unlink()

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(BackupError, match=r"catalog/.* was deleted while it was copied"):
        backup(living, target, lose)
    assert not list(target.parent.iterdir())


@pytest.mark.parametrize("stage", ["write", "check"])
def test_a_killed_backup_leaves_no_file_that_looks_whole(
    collection: Collection, target: Path, stage: str
) -> None:
    assert kill_in(stage, collection, target) == -signal.SIGKILL
    assert [p.name for p in target.parent.iterdir()] == [".mine.tar.zst.part"]
    assert list(collection.folder.glob(".pinned-*"))
    backup(collection, target.parent / "other.tar.zst")
    assert [p.name for p in target.parent.iterdir()] == ["other.tar.zst"]
    assert not list(collection.folder.glob(".pinned-*"))


def test_a_full_disk_is_said_and_leaves_nothing(collection: Collection, target: Path) -> None:
    full = f"The disk that holds {target.parent} is full"
    with largest_file(20_000), pytest.raises(DiskFullError, match=full):
        backup(collection, target)
    assert not list(target.parent.iterdir())


def test_wrong_targets_are_refused(collection: Collection, target: Path, tmp_path: Path) -> None:
    target.write_text("precious")
    for wrong, words in (
        (target, "already exists"),
        (tmp_path / "disk" / "mine.zip", r"must end in \.tar\.zst"),
        (tmp_path / "nowhere" / "mine.tar.zst", "There is no folder .*nowhere"),
        (collection.folder, "is inside the collection"),
        (collection.folder / "b.tar.zst", "is inside the collection"),
    ):
        with pytest.raises(BackupError, match=words):
            backup(collection, wrong)
    assert target.read_text() == "precious"


def test_one_file_is_written_by_one_process(collection: Collection, target: Path) -> None:
    tried: list[str] = []

    def again(stage: str, done: int, total: int) -> None:
        if stage in tried:
            return
        tried.append(stage)
        with pytest.raises(BackupError, match="Another process is writing"):
            backup(collection, target)

    assert backup(collection, target, again).photos == 6
    assert tried == ["write", "check"]


def test_vectors_on_a_server_come_back_from_the_catalog(target: Path, tmp_path: Path) -> None:
    engine = {"kind": "server", "url": "http://127.0.0.1:9", "prefix": "p"}
    collection = make_collection(tmp_path / "mine.tips", engine=engine)
    assert backup(collection, target).vectors == "none"
    restored = restore(target, tmp_path / "back.tips")
    assert restored.vectors == "made"
    again = Collection.open(tmp_path / "back.tips")
    assert again.engine == {"kind": "embedded"}
    assert verify(again).vectors_agree


def test_vectors_that_cannot_be_read_are_left_out(
    living: Collection, target: Path, tmp_path: Path
) -> None:
    (living.folder / "vectors" / MANIFEST).write_text("{")
    assert backup(living, target).vectors == "none"
    assert restore(target, tmp_path / "back.tips").vectors == "made"


def test_a_collection_without_photos_has_a_backup(target: Path, tmp_path: Path) -> None:
    from tests.indexer.maintenance.backup_cases import INFO

    collection = Collection.create(tmp_path / "new.tips", INFO)
    report = backup(collection, target)
    assert (report.files, report.photos, report.revision) == (1, 0, 0)
    assert restore(target, tmp_path / "back.tips").vectors == "none"
    assert Collection.open(tmp_path / "back.tips").model == collection.model
    assert isinstance(check(target), Header)
