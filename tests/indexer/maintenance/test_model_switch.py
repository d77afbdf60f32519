"""Switching models: searches go on, the switch is one step, and it may be killed anywhere."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from indexer.collection import SETTINGS, Collection
from indexer.errors import CollectionBusyError, CollectionError, SwitchError
from indexer.maintenance import model_switch
from indexer.maintenance.backup import backup
from indexer.maintenance.restore import restore
from indexer.maintenance.verify import verify
from indexer.pipeline import index
from tests.indexer.test_pipeline import Library
from tests.search.colours import ColourEmbedder as WideEmbedder

ROOT = Path(__file__).parents[3]


class Switched(Library):
    """A library with eight photos, and another model, eight times as wide."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.other = WideEmbedder()
        for number in range(8):
            self.put(f"{number}.png", number)
        (self.photos / "broken.jpg").write_bytes(b"nothing")
        self.index()

    def reopened(self) -> Collection:
        return Collection.open(self.collection.folder)

    def begin(self) -> Collection:
        made: Collection = model_switch.begin(self.collection, self.other.info)
        return made

    def build(self, other: Collection) -> None:
        model_switch.build(self.collection, other, lambda: self.other)

    def switch(self) -> Collection:
        """All of it."""
        with model_switch.building(self.collection):
            other = self.begin()
            self.build(other)
            return model_switch.take_over(self.collection, other, lambda: self.other)

    def vectors(self, collection: Collection) -> int:
        store = collection.vectors()
        try:
            return store.count("images")
        finally:
            store.close()


@pytest.fixture
def library(tmp_path: Path) -> Switched:
    return Switched(tmp_path)


def test_a_model_is_built_beside_the_one_in_use(library: Switched) -> None:
    with model_switch.building(library.collection):
        other = library.begin()
        library.build(other)
        assert (library.vectors(library.reopened()), library.vectors(other)) == (8, 8)
        assert library.reopened().model.dim == 4
        found = model_switch.following(library.reopened())
        assert found is not None
        assert (found.folder, found.model.dim) == (other.folder, 32)
        # Photos that come meanwhile are in both in the end.
        library.put("late.png", 100)
        (library.photos / "0.png").unlink()
        assert library.index().embedded == 1
        switched = model_switch.take_over(library.collection, other, lambda: library.other)
    assert (switched.model.name, switched.model.dim) == ("colours", 32)
    assert model_switch.following(switched) is None
    names = [f"{number}.png" for number in range(1, 8)] + ["broken.jpg", "late.png"]
    assert sorted(Path(path).name for path in switched.catalog().files()["path"]) == names
    assert verify(library.reopened()).sound


def test_after_the_switch_indexing_goes_on_and_there_is_a_way_back(library: Switched) -> None:
    switched = library.switch()
    library.put("new.png", 50)
    report = index(switched, [], library.other)
    assert (report.embedded, report.unchanged) == (1, 9)
    before = model_switch.previous(switched)
    assert before is not None
    assert (before.model.dim, library.vectors(before)) == (4, 8)
    with pytest.raises(CollectionError, match="is not the model in use"), before.lock():
        pass
    back = model_switch.go_back(library.reopened())
    assert (back.model.dim, back.data) == (4, "")
    assert index(back, [], library.embedder).embedded == 1  # what came while it was not in use
    forth = model_switch.go_back(library.reopened())
    assert verify(forth).sound
    assert library.vectors(forth) == 9


def test_what_was_used_before_is_dropped_when_asked(library: Switched) -> None:
    switched = library.switch()
    folder = library.collection.folder
    assert (folder / "catalog").exists()
    with pytest.raises(SwitchError, match="are kept since the last switch"):
        model_switch.begin(switched, library.embedder.info)
    model_switch.drop_previous(switched)
    assert not (folder / "catalog").exists()
    assert not (folder / "vectors").exists()
    dropped = library.reopened()
    assert model_switch.leftovers(dropped) == []
    with pytest.raises(SwitchError, match="no previous model"):
        model_switch.go_back(dropped)
    # And on to a third one, which is dropped in turn.
    third = WideEmbedder(seed=3)
    with model_switch.building(dropped):
        other = model_switch.begin(dropped, third.info)
        model_switch.build(dropped, other, lambda: third)
        changed = model_switch.take_over(dropped, other, lambda: third)
    model_switch.drop_previous(changed)
    assert len(list((folder / "models").glob("*/"))) == 1
    assert verify(library.reopened()).sound


def test_a_backup_of_a_switched_collection_holds_the_model_in_use(
    library: Switched, tmp_path: Path
) -> None:
    switched = library.switch()
    file = tmp_path / "c.tar.zst"
    backup(switched, file)
    restore(file, tmp_path / "restored")
    restored = Collection.open(tmp_path / "restored")
    assert (restored.model, restored.data, restored.previous) == (switched.model, "", None)
    assert restored.catalog().ids() == switched.catalog().ids()
    assert verify(restored).sound
    assert index(restored, [], library.other).unchanged == 9


def test_a_build_may_be_given_up(library: Switched) -> None:
    with model_switch.building(library.collection):
        other = library.begin()
        library.build(other)
        model_switch.cancel(library.collection)
        assert model_switch.following(library.collection) is None
        with pytest.raises(SwitchError, match="No model is being built"):
            model_switch.cancel(library.collection)
    assert not other.folder.exists()
    assert verify(library.reopened()).sound


def test_two_do_not_build_at_once(library: Switched) -> None:
    with (
        model_switch.building(library.collection),
        pytest.raises(CollectionBusyError, match="process"),
        model_switch.building(library.reopened()),
    ):
        pass


def test_the_model_in_use_is_not_built_again(library: Switched) -> None:
    with (
        model_switch.building(library.collection),
        pytest.raises(SwitchError, match="made with colours already"),
    ):
        model_switch.begin(library.collection, library.embedder.info)
    assert list((library.collection.folder / "models").glob("*/")) == []


def test_photos_whose_disk_is_away_are_not_lost_in_a_switch(
    library: Switched, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    (disk / "far.png").write_bytes(library.put("x.png", 77).read_bytes())
    (library.photos / "x.png").unlink()
    index(library.collection, [disk], library.embedder)
    disk.rename(tmp_path / "away")
    with model_switch.building(library.collection):
        other = library.begin()
        library.build(other)
        with pytest.raises(SwitchError, match="1 photos cannot be read now"):
            model_switch.take_over(library.collection, other, lambda: library.other)
        assert library.reopened().model.dim == 4
        (tmp_path / "away").rename(disk)
        switched = model_switch.take_over(library.collection, other, lambda: library.other)
    assert library.vectors(switched) == 9
    disk.rename(tmp_path / "away")
    assert index(switched, [], library.other).missing_roots == (str(disk),)


def test_an_indexer_that_waited_does_not_write_the_old_model(library: Switched) -> None:
    waiting = library.reopened()
    library.switch()
    with pytest.raises(CollectionError, match="switched to colours meanwhile"):
        index(waiting, [], library.embedder)


def killed_switch(library: Switched, point: str) -> tuple[int, bool]:
    """Switch in a process that dies at this point: the width of the model in use then, and whether
    another one is kept."""
    line = [
        sys.executable,
        "-m",
        "tests.indexer.maintenance.switch_actor",
        str(library.collection.folder),
    ]
    done = subprocess.run([*line, point], cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    opened = library.reopened()
    assert verify(opened).sound
    assert library.vectors(opened) == 8
    return opened.model.dim, opened.previous is not None


def test_a_switch_that_is_killed_goes_on_or_has_happened(library: Switched) -> None:
    states = [killed_switch(library, point) for point in ("commit-2", "flipped")]
    assert states == [(4, False), (32, True)]
    switched = library.reopened()
    with switched.lock():  # and as one that dies while it drops the old model leaves it
        switched.use_part(switched.part(), None)
    switched = library.reopened()
    # One build, gone on with, and the settings of its own; the old data are still to be deleted.
    assert len(list((switched.folder / "models").glob("*/"))) == 1
    assert model_switch.following(switched) is None
    swept = model_switch.sweep(switched)
    assert [path.name for path in swept] == ["catalog", "vectors"]
    assert (switched.folder / SETTINGS).exists()
    assert verify(library.reopened()).sound
