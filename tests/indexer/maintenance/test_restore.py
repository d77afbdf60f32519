"""Restoring: damage is named, strangers' archives do nothing, and a half state never appears."""

from __future__ import annotations

import json
import os
import random
import signal
import stat
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from indexer.collection import SETTINGS, Collection
from indexer.edge import manifest as edge_manifest
from indexer.errors import BackupError, DiskFullError
from indexer.maintenance.archive import read_archive
from indexer.maintenance.backup import backup
from indexer.maintenance.restore import check, restore
from indexer.maintenance.verify import verify
from tests.indexer.maintenance.backup_cases import forge, header, make_collection

ROOT = Path(__file__).parents[3]
DIE = """
import os, sys
from indexer.maintenance.restore import restore

def show(done, total):
    if done > total / 2:
        os.kill(os.getpid(), 9)

restore(__import__("pathlib").Path(sys.argv[1]), sys.argv[2], progress=show)
"""
WATCH = """
import sys
from pathlib import Path
from indexer.errors import BackupError
from indexer.maintenance.restore import restore
import indexer.catalog.table, indexer.edge.store

def watch(event, arguments):
    if event in ("pickle.find_class", "subprocess.Popen", "os.exec", "os.system", "os.posix_spawn"):
        print(event, arguments)

sys.addaudithook(watch)
print(restore(Path(sys.argv[1]), sys.argv[3] + "/new").photos)
try:
    restore(Path(sys.argv[2]), sys.argv[3] + "/other")
except BackupError as error:
    print("refused")
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of six photos."""
    folder = tmp_path_factory.mktemp("whole")
    file = folder / "mine.tar.zst"
    backup(make_collection(folder / "mine.tips"), file)
    return file


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole archive of two files that zstd cannot make smaller."""
    chance = random.Random(3)
    members = [(name, chance.randbytes(30_000)) for name in ("catalog/a", "vectors/b")]
    return forge(tmp_path_factory.mktemp("small") / "b", members, first=header(bytes=60_000))  # type: ignore[arg-type]


def run(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )


def refused(file: Path, folder: Path, words: str) -> None:
    """Neither a check nor a restore takes it, and a restore leaves nothing behind."""
    with pytest.raises(BackupError, match=words):
        check(file)
    with pytest.raises(BackupError, match=words):
        restore(file, folder)
    assert not folder.exists()
    assert not list(folder.parent.glob(f".{folder.name}*"))


def link(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "/tmp/evil",
        "catalog/../../evil",
        "catalog/./a",
        "catalog//a",
        "catalog\\..\\evil",
        "catalog/a\nb",
        "catalog",
        "lock",
        "evil/a",
        ".bashrc",
        "",
    ],
)
def test_names_that_belong_to_no_collection_are_refused(tmp_path: Path, name: str) -> None:
    file = forge(tmp_path / "b.tar.zst", [(name, b"x")])
    refused(file, tmp_path / "new", "which is not part of a collection")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b.tar.zst"]


@pytest.mark.parametrize(
    "member",
    [
        link("catalog/a", tarfile.SYMTYPE, "/etc/passwd"),
        link("catalog/a", tarfile.LNKTYPE, "collection.json"),
        link("catalog/a", tarfile.CHRTYPE),
        link("catalog/a", tarfile.FIFOTYPE),
        link("catalog/a", tarfile.DIRTYPE),
    ],
    ids=["symlink", "hard link", "device", "pipe", "folder"],
)
def test_only_files_are_unpacked(tmp_path: Path, member: tarfile.TarInfo) -> None:
    file = forge(tmp_path / "b.tar.zst", [(member, b"")])
    refused(file, tmp_path / "new", "is a link or a device")


@pytest.mark.parametrize(
    ("members", "words"),
    [
        (["catalog/a", "catalog/a"], "twice"),
        (["catalog/a", "catalog/a/b"], "twice"),
        (["catalog/a/b", "catalog/a"], "twice"),
        (["catalog/a", "catalog/b", "catalog/c"], "more than its list says, from catalog/c on"),
    ],
)
def test_names_are_there_once(tmp_path: Path, members: list[str], words: str) -> None:
    file = forge(tmp_path / "b.tar.zst", [(name, b"x") for name in members])
    refused(file, tmp_path / "new", words)


def test_more_bytes_than_the_header_says_are_refused(tmp_path: Path) -> None:
    file = forge(tmp_path / "b.tar.zst", [("catalog/a", bytes(1001))])
    refused(file, tmp_path / "new", "more than its list says, from catalog/a on")


def test_headers_of_any_length_are_not_read_into_memory(tmp_path: Path) -> None:
    long = tarfile.TarInfo("catalog/a")
    long.pax_headers = {"comment": "x" * (4 << 20)}
    file = forge(tmp_path / "b.tar.zst", [(long, b"")])
    assert file.stat().st_size < 10_000
    refused(file, tmp_path / "new", "its headers are too long")


@pytest.mark.parametrize(
    ("first", "words"),
    [
        (header(format=2, program="tips-search 9"), r"format 2, this version reads 1; .*search 9"),
        ({"format": 1}, "is not a backup"),
        ({}, "is not a backup"),
        (header(bytes="many"), "is not a backup"),
        (header(files=-1), "is not a backup"),
        (header(photos=True), "is not a backup"),
        (header(evil=1), "is not a backup"),
        (b"[1]", "is not a backup"),
        (b"\xff{", "is not a backup"),
        (b"[" * 100_000, "is not a backup"),
    ],
)
def test_headers_of_other_versions_and_of_none(tmp_path: Path, first: Any, words: str) -> None:
    refused(forge(tmp_path / "b.tar.zst", [], first=first), tmp_path / "new", words)


@pytest.mark.parametrize(
    ("listed", "words"),
    [
        ({"files": {}}, "damaged: catalog/a changed since it was written"),
        ({"files": {"catalog/a": {"size": 1, "sha256": "00"}}}, "damaged: catalog/a changed"),
        ({"files": {"catalog/a": {"size": 1}}}, "its list of files cannot be read"),
        ({"files": [1]}, "its list of files cannot be read"),
        ({}, "its list of files cannot be read"),
    ],
)
def test_files_that_are_not_as_the_list_says_are_named(
    tmp_path: Path, listed: dict[str, Any], words: str
) -> None:
    file = forge(tmp_path / "b.tar.zst", [("catalog/a", b"x")], listed=listed)
    refused(file, tmp_path / "new", words)


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    entry = {"size": 1, "sha256": "00"}
    file = forge(tmp_path / "b.tar.zst", [], listed={"files": {"vectors/manifest.json": entry}})
    refused(file, tmp_path / "new", r"damaged: vectors/manifest\.json changed since it was written")


@pytest.mark.parametrize("data", [b"", b"photos", b"\x28\xb5\x2f\xfd", bytes(5000)])
def test_what_is_no_archive_is_said_to_be_none(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "b.tar.zst"
    file.write_bytes(data)
    refused(file, tmp_path / "new", "is not a backup of a collection")


def test_a_backup_that_was_cut_off_is_not_whole(small: Path, tmp_path: Path) -> None:
    data = small.read_bytes()
    for share in (0.3, 0.6, 0.9, 0.999):
        file = tmp_path / "b.tar.zst"
        file.write_bytes(data[: int(len(data) * share)])
        refused(file, tmp_path / "new", r"(is damaged in|is not whole|is not a backup)")


def test_a_flipped_bit_is_found_and_never_restored(small: Path, tmp_path: Path) -> None:
    """Anywhere in the file: either it changes nothing of the contents, or it is refused."""
    _, truth = read_archive(small, lambda name, pieces: None)
    data, chance, found = bytearray(small.read_bytes()), random.Random(5), 0
    file, sentences = tmp_path / "b.tar.zst", set[str]()
    for place in chance.sample(range(len(data)), 200):
        data[place] ^= 1 << chance.randrange(8)
        file.write_bytes(data)
        data[:] = small.read_bytes()
        try:
            _, entries = read_archive(file, lambda name, pieces: None)
        except BackupError as error:
            found += 1
            sentences.add(str(error))
        else:
            assert entries == truth
    assert found > 150
    assert not any("\n" in sentence for sentence in sentences)


def test_a_backup_whose_settings_or_catalog_are_none_is_refused(tmp_path: Path) -> None:
    for settings in (b"{", b'{"schema": 99}', b'{"schema": 1, "model": {}}'):
        file = forge(tmp_path / "b.tar.zst", [(SETTINGS, settings)])
        with pytest.raises(BackupError, match="contains no collection that can be opened"):
            restore(file, tmp_path / "new")
        assert not (tmp_path / "new").exists()


def test_a_revision_that_is_not_there_is_refused(whole: Path, tmp_path: Path) -> None:
    kept: dict[str, bytes] = {}
    head, _ = read_archive(whole, lambda name, pieces: kept.update({name: b"".join(pieces)}))
    said = {**header(), **{k: getattr(head, k) for k in ("files", "bytes", "stored")}}
    file = forge(tmp_path / "b.tar.zst", [*kept.items()], first={**said, "revision": 77})
    with pytest.raises(BackupError, match=r"its header says revision 77, not \d"):
        restore(file, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_the_engine_of_a_stranger_is_not_taken_over(whole: Path, tmp_path: Path) -> None:
    """A server's address in it would be sent the user's key."""
    kept: dict[str, bytes] = {}
    head, _ = read_archive(whole, lambda name, pieces: kept.update({name: b"".join(pieces)}))
    settings = json.loads(kept[SETTINGS])
    settings["engine"] = {"kind": "server", "url": "http://evil.example", "prefix": "p"}
    kept[SETTINGS] = json.dumps(settings).encode()
    facts = ("files", "stored", "revision", "photos")
    said = {**header(), **{k: getattr(head, k) for k in facts}, "bytes": head.bytes + 1000}
    file = forge(tmp_path / "b.tar.zst", [*kept.items()], first=said)
    assert restore(file, tmp_path / "new").photos == 6
    assert "evil" not in (tmp_path / "new" / SETTINGS).read_text()


def test_a_backup_executes_nothing(whole: Path, tmp_path: Path) -> None:
    pickled = b"\x80\x04cposix\nsystem\n(S'false'\ntR."
    file = forge(tmp_path / "b.tar.zst", [(SETTINGS, pickled), ("catalog/a.pkl", pickled)])
    assert run(WATCH, whole, file, tmp_path).stdout.split() == ["6", "refused"]


def test_what_is_there_is_never_written_over(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    restore(whole, folder)  # an empty folder is free
    before = (folder / SETTINGS).read_bytes()
    with pytest.raises(BackupError, match="new is not empty"):
        restore(whole, folder)
    assert (folder / SETTINGS).read_bytes() == before
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(BackupError, match="file is not empty"):
        restore(whole, file)


def test_a_restored_collection_is_the_owners_alone(whole: Path, tmp_path: Path) -> None:
    new, shared = tmp_path / "new", tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o755)
    before = os.umask(0)
    try:
        restore(whole, new, vectors=False)
        restore(whole, shared, vectors=False)
    finally:
        os.umask(before)
    assert stat.S_IMODE(new.stat().st_mode) == 0o700
    assert stat.S_IMODE(shared.stat().st_mode) == 0o755


def test_a_killed_restore_leaves_no_collection_and_the_next_one_makes_it(
    whole: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "new"
    assert run(DIE, whole, folder).returncode == -signal.SIGKILL
    assert [p.name for p in tmp_path.iterdir()] == [".new.restoring"]
    assert restore(whole, folder).photos == 6
    assert [p.name for p in tmp_path.iterdir()] == ["new"]
    assert verify(Collection.open(folder)).vectors_agree


def test_two_restores_to_one_place_do_not_meet(whole: Path, tmp_path: Path) -> None:
    from indexer.errors import CollectionBusyError

    tried: list[int] = []

    def again(done: int, total: int) -> None:
        if tried:
            return
        tried.append(done)
        with pytest.raises(CollectionBusyError, match="Another process is restoring"):
            restore(whole, tmp_path / "new")

    assert restore(whole, tmp_path / "new", progress=again).photos == 6
    assert tried


def test_a_disk_without_room_is_said_before_anything_is_written(tmp_path: Path) -> None:
    file = forge(tmp_path / "b.tar.zst", [], first=header(stored=10**18))
    with pytest.raises(DiskFullError, match=r"needs 1,000,000,000\.0 GB"):
        restore(file, tmp_path / "new")


def test_vectors_of_another_engine_are_made_anew_and_it_is_said(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge_manifest, "ENGINE", "qdrant-edge-py 99")
    report = restore(whole, tmp_path / "new")
    assert report.vectors == "made"
    assert "qdrant-edge-py 99" in report.rebuilt_because
    assert verify(Collection.open(tmp_path / "new")).vectors_agree


def test_vectors_can_be_left_out(whole: Path, tmp_path: Path) -> None:
    assert restore(whole, tmp_path / "new", vectors=False).vectors == "none"
    assert not (tmp_path / "new" / "vectors").exists()
    assert verify(Collection.open(tmp_path / "new"), repair=True).vectors_agree


@pytest.mark.durability
def test_holes_come_back_as_holes(whole: Path, tmp_path: Path) -> None:
    restore(whole, tmp_path / "a" / "new")
    facts = [path.stat() for path in (tmp_path / "a" / "new").rglob("*") if path.is_file()]
    assert sum(f.st_blocks * 512 for f in facts) < sum(f.st_size for f in facts) / 3
