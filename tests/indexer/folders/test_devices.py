"""A disk that goes away never empties a collection."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from indexer.errors import RootError
from indexer.folders.devices import Away, away, kept, read_devices, write_devices
from indexer.maintenance.prune import PruneOptions, plan, prune
from indexer.pipeline import index
from tests.indexer.test_pipeline import Library, counts

ONE, TWO, THREE = (1, 10), (2, 20), (3, 30)


class Disk:
    """A tmpfs on a folder, with what was written to it kept while it is away."""

    def __init__(self, place: Path, store: Path) -> None:
        self.place, self.store = place, store
        place.mkdir(parents=True, exist_ok=True)
        self.plug()

    def plug(self) -> None:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=8m", "tips-test", self.place], capture_output=True
        )
        if done.returncode:
            pytest.skip("mounting a file system needs root")
        if self.store.exists():
            subprocess.run(["cp", "-a", f"{self.store}/.", self.place], check=True)

    def unplug(self) -> None:
        shutil.rmtree(self.store, ignore_errors=True)
        subprocess.run(["cp", "-a", self.place, self.store], check=True)
        subprocess.run(["umount", self.place], check=True)


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path)


@pytest.fixture
def disk(library: Library, tmp_path: Path) -> Iterator[Disk]:
    """A disk below the root."""
    found = Disk(library.photos / "disk", tmp_path / "away")
    yield found
    subprocess.run(["umount", found.place], capture_output=True)


def test_a_disk_below_a_root(library: Library, disk: Disk) -> None:
    for n in range(3):
        library.put(f"disk/deep/{n}.png", n)
    for n in range(10, 40):
        library.put(f"{n}.png", n)
    library.index()
    disk.unplug()
    (library.photos / "10.png").unlink()
    for _ in range(2):
        report = library.index()
        assert report.away == ((str(disk.place), 3),)
        assert len(library.paths()) == 32
    assert report.held == ()
    assert counts(report) == {"unchanged": 29}
    disk.plug()
    library.embedder.embedded = 0
    report = library.index()  # the copies have other change times
    assert (counts(report), report.away) == ({"unchanged": 32}, ())
    assert library.embedder.embedded == 0
    (disk.place / "deep/0.png").unlink()
    assert counts(library.index()) == {"unchanged": 31, "removed": 1}
    library.check_published()


def test_a_mount_point_that_holds_files_of_its_own(tmp_path: Path) -> None:
    library = Library(tmp_path)
    (library.photos / "NOT_MOUNTED.txt").touch()
    (library.photos / ".DS_Store").touch()
    disk = Disk(library.photos, tmp_path / "away")
    try:
        for n in range(4):
            library.put(f"a/{n}.png", n)
        library.index()
        disk.unplug()
        report = library.index()
        assert report.away == ((str(library.photos), 4),)
        library.put("new.png", 9)  # one photo in the mount point does not change that
        report = library.index()
        assert (counts(report), report.away[0][1]) == ({"new": 1, "embedded": 1}, 4)
        assert plan(library.collection, PruneOptions()).away == (str(library.photos),)
        prune(library.collection, PruneOptions())
        assert len(library.paths()) == 5
        disk.plug()
        assert counts(library.index()) == {"unchanged": 4, "removed": 1}  # it hides the new one
    finally:
        subprocess.run(["umount", disk.place], capture_output=True)


def test_a_disk_on_top_of_photos(library: Library, tmp_path: Path) -> None:
    library.put("a/1.png", 1)
    library.put("2.png", 2)
    library.index()
    disk = Disk(library.photos / "a", tmp_path / "away")
    try:
        for _ in range(2):
            assert library.index().away == ((str(library.photos), 1),)
    finally:
        subprocess.run(["umount", disk.place], check=True)
    report = library.index()
    assert (counts(report), report.away) == ({"unchanged": 2}, ())


def test_prune_forgets_a_disk_only_when_told(library: Library, disk: Disk) -> None:
    library.put("1.png", 1)
    library.put("disk/2.png", 2)
    library.index()
    disk.unplug()
    found = plan(library.collection, PruneOptions())
    assert (len(found.gone), found.away) == (0, (str(disk.place),))
    prune(library.collection, PruneOptions(missing_roots=True))
    assert library.paths() == ["1.png"]
    assert library.index().away == ()


def test_a_link_to_a_folder_on_another_disk(library: Library, tmp_path: Path) -> None:
    elsewhere = Disk(tmp_path / "elsewhere", tmp_path / "away")
    try:
        (library.photos / "linked").symlink_to(elsewhere.place)
        library.put("1.png", 1)
        library.put("linked/2.png", 2)
        library.index()
        elsewhere.unplug()
        assert library.index().away == ((f"{library.photos}/linked", 1),)
        assert library.paths() == ["1.png", "linked/2.png"]
    finally:
        subprocess.run(["umount", elsewhere.place], capture_output=True)


def test_photos_that_were_deleted_on_the_same_disk_are_removed(library: Library) -> None:
    for n in range(5):
        library.put(f"a/{n}.png", n)
    library.index()
    assert [*read_devices(library.collection.catalog_folder)] == [str(library.photos)]
    shutil.rmtree(library.photos / "a")
    library.put("b.png", 9)
    assert library.index().removed == 5


def test_a_library_that_was_copied_to_another_disk_is_not_away() -> None:
    device = os.statvfs("/").f_fsid, os.stat("/").st_dev
    other = device[0] + 1, device[1] + 1
    there = [f"/nowhere/{n}.jpg" for n in range(3)]
    assert away(["/nowhere/x.jpg"], there, {"/nowhere": other}) == Away()
    gone = [f"/nowhere/{n}.png" for n in range(4)]
    lost = away(gone, there, {"/nowhere": other})
    assert lost == Away(frozenset(["/nowhere"]), {"/nowhere": 4})
    assert away(gone, there, {"/nowhere": device}) == Away()
    assert away(gone, [], {}) == Away()


def test_what_is_remembered_while_a_disk_is_away() -> None:
    remembered = {"/r": ONE, "/r/disk": TWO}
    lost = Away(frozenset(["/r/disk/deep"]), {"/r/disk": 3})
    assert kept({"/r": ONE}, remembered, lost) == {"/r": ONE, "/r/disk": TWO}
    covered = Away(frozenset(["/r/a"]), {"/r": 1})
    assert kept({"/r": ONE, "/r/a": THREE}, {"/r": ONE}, covered) == {"/r": ONE}
    assert kept({"/r": THREE}, {"/r": ONE}, Away()) == {"/r": THREE}


def test_damaged_memory_is_no_memory(tmp_path: Path) -> None:
    write_devices(tmp_path, {"/r": ONE})
    assert read_devices(tmp_path) == {"/r": ONE}
    for text in ("", "[]", '{"/r": 5}', '{"/r": ["x", 1]}', "{"):
        (tmp_path / "devices.json").write_text(text)
        assert read_devices(tmp_path) == {}


def test_a_root_that_is_missing_keeps_its_memory(library: Library, tmp_path: Path) -> None:
    library.put("1.png", 1)
    library.index()
    folder = library.collection.catalog_folder
    before = read_devices(folder)
    library.photos.rename(tmp_path / "gone")
    other = tmp_path / "other"
    other.mkdir()
    (other / "2.png").write_bytes((tmp_path / "gone/1.png").read_bytes())
    index(library.collection, [other], library.embedder)
    assert read_devices(folder) == before | {str(other): before[str(library.photos)]}
    with pytest.raises(RootError):
        index(library.collection, [library.photos / "never"], library.embedder)
