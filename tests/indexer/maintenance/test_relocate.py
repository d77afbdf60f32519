"""A library that moved: rewritten paths, nothing embedded again, and no doubt passed over."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from indexer.catalog.table import Catalog
from indexer.collection import Collection
from indexer.errors import RootError
from indexer.maintenance import relocate as module
from indexer.maintenance.relocate import look, relocate
from indexer.maintenance.verify import verify
from indexer.pipeline import index
from tests.indexer.test_pipeline import Library, counts


@pytest.fixture
def library(tmp_path: Path) -> Library:
    made = Library(tmp_path)
    for number in range(6):
        made.put(f"year/{number}.png", number)
    (made.photos / "broken.jpg").write_bytes(b"nothing")
    made.index()
    return made


def elsewhere(library: Library) -> Path:
    """The photos on another disk, copied with their times."""
    new = library.photos.with_name("new disk")
    shutil.copytree(library.photos, new)
    return new


def test_paths_and_folders_are_rewritten_and_nothing_is_read(library: Library) -> None:
    new = elsewhere(library)
    shutil.rmtree(library.photos)
    found = look(library.collection, str(library.photos), str(new))
    assert (found.files, found.there, found.compared, found.other) == (7, 7, 6, ())
    assert not found.doubtful
    ids = library.catalog.ids()
    assert relocate(library.collection, str(library.photos), str(new)) == 7
    opened = Collection.open(library.collection.folder)
    assert opened.roots == (str(new),)
    assert set(library.catalog.files()["root"]) == {str(new)}
    assert library.catalog.ids() == ids
    assert verify(opened).sound
    library.embedder.embedded = 0
    report = index(opened, [], lambda: pytest.fail("nothing is to be embedded"))
    assert counts(report) == {"unchanged": 7}
    store = opened.vectors()
    folders = {folder for folder, _ in store.facet("folders")}
    store.close()
    assert f"{new}/year" in folders
    assert str(library.photos) not in folders


def test_a_part_of_a_folder_may_move(library: Library, tmp_path: Path) -> None:
    library.put("stays.png", 20)
    library.index()
    new = tmp_path / "archive"
    (library.photos / "year").rename(new)
    relocate(library.collection, f"{library.photos}/year", str(new))
    assert library.collection.roots == (str(new), str(library.photos))
    assert counts(index(library.collection, [], library.embedder)) == {"unchanged": 8}


def test_files_with_another_time_are_read_but_not_embedded(library: Library) -> None:
    new = elsewhere(library)
    os.utime(new / "year/0.png", ns=(7, 7))
    relocate(library.collection, str(library.photos), str(new))
    library.embedder.embedded = 0
    assert counts(index(library.collection, [], library.embedder)) == {"unchanged": 7}
    assert library.embedder.embedded == 0


def test_missing_and_other_files_are_said_before(library: Library) -> None:
    new = elsewhere(library)
    (new / "year/0.png").unlink()
    (new / "year/1.png").write_bytes(b"something else")
    found = look(library.collection, str(library.photos), str(new))
    assert found.doubtful
    assert (found.files, found.there, found.absent) == (7, 6, (f"{new}/year/0.png",))
    assert found.other == (f"{new}/year/1.png",)


def test_folders_that_make_no_sense_are_refused(library: Library, tmp_path: Path) -> None:
    photos = str(library.photos)
    with pytest.raises(RootError, match="does not exist or is empty"):
        look(library.collection, photos, f"{tmp_path}/none")
    with pytest.raises(RootError, match=r"has no photos in .*; its folders are"):
        look(library.collection, f"{tmp_path}/none", photos)
    for old, new in ((photos, photos), (photos, f"{photos}/year"), (f"{photos}/year", photos)):
        with pytest.raises(RootError, match="neither inside the other"):
            look(library.collection, old, new)


def test_a_move_that_is_killed_goes_on(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    new = elsewhere(library)
    monkeypatch.setattr(module, "BATCH", 2)
    commit, left = Catalog.commit, [2]

    def dies(self: Catalog, *arguments: object) -> int:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        return commit(self, *arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(Catalog, "commit", dies)
        with pytest.raises(KeyboardInterrupt):
            relocate(library.collection, str(library.photos), str(new))
    opened = Collection.open(library.collection.folder)
    assert set(opened.roots) == {str(library.photos), str(new)}
    shutil.rmtree(library.photos)  # and the old disk is gone
    library.embedder.embedded = 0
    report = index(opened, [], library.embedder)  # nothing is taken for gone meanwhile
    assert report.removed == 0
    assert library.embedder.embedded == 0
    relocate(Collection.open(opened.folder), str(library.photos), str(new))
    done = Collection.open(opened.folder)
    assert done.roots == (str(new),)
    assert sorted(done.catalog().files()["path"]) == sorted(
        [*(f"{new}/year/{n}.png" for n in range(6)), f"{new}/broken.jpg"]
    )
    assert verify(done).sound
