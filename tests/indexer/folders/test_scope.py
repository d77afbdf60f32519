"""A run that looks at a part of the roots comes to what a full run would come to."""

from __future__ import annotations

import os
import random
import shutil
from functools import partial
from pathlib import Path

import polars as pl
import pytest

from indexer.folders.scan import scan
from indexer.folders.scope import Scope, touched
from indexer.pipeline import index
from indexer.progress import IndexReport
from tests.indexer.test_pipeline import Library, counts


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path)


def look(library: Library, *names: str) -> IndexReport:
    """Index what these events say, paths relative to the photos."""
    roots = library.collection.roots
    scope = Scope(touched([f"{library.photos}/{name}" for name in names], roots))
    return index(library.collection, [], library.embedder, find=partial(scan, within=scope))


def test_only_what_was_touched_is_looked_at(library: Library) -> None:
    for name in ("a/1.png", "b/2.png", "3.png"):
        library.put(name, len(name))
    library.index()
    library.put("a/new.png", 10)
    library.put("b/unheard.png", 11)
    assert counts(look(library, "a/new.png")) == {"new": 1, "embedded": 1}
    (library.photos / "a/1.png").unlink()
    (library.photos / "3.png").unlink()
    assert counts(look(library, "a/1.png")) == {"removed": 1}
    assert library.paths() == ["3.png", "a/new.png", "b/2.png"]
    assert counts(library.index()) == {"new": 1, "removed": 1, "unchanged": 2, "embedded": 1}
    library.check_published()


def test_a_folder_that_came_is_walked_and_one_that_went_is_empty(library: Library) -> None:
    library.put("a/deep/er/1.png", 1)
    library.put("b/2.png", 2)
    library.index()
    (library.photos / "a").rename(library.photos / "c")
    library.embedder.embedded = 0
    assert counts(look(library, "a", "c")) == {"moved": 1}
    assert library.embedder.embedded == 0
    shutil.rmtree(library.photos / "c")
    assert counts(look(library, "c")) == {"removed": 1}
    assert library.paths() == ["b/2.png"]


def test_a_photo_from_a_folder_of_which_nothing_was_heard_is_a_moved_one(
    library: Library,
) -> None:
    library.put("a/1.png", 1)
    library.put("a/2.png", 2)
    library.index()
    (library.photos / "b").mkdir()
    (library.photos / "a/1.png").rename(library.photos / "b/1.png")
    shutil.copy2(library.photos / "a/2.png", library.photos / "b/2.png")
    assert counts(look(library, "b")) == {"moved": 1, "copied": 1}
    assert library.paths() == ["a/2.png", "b/1.png", "b/2.png"]


def test_a_photo_that_is_being_written_is_left_for_later(library: Library) -> None:
    library.put("a/1.png", 1)
    library.index()
    library.put("a/1.png", 3)
    library.put("a/2.png", 2)
    scope = Scope(frozenset([f"{library.photos}/a"]), frozenset([f"{library.photos}/a/1.png"]))
    find = partial(scan, within=scope)
    report = index(library.collection, [], library.embedder, find=find)
    assert counts(report) == {"new": 1, "embedded": 1}
    assert counts(look(library, "a/1.png")) == {"modified": 1, "embedded": 1}


def test_a_root_that_went_away_loses_nothing(library: Library) -> None:
    library.put("a/1.png", 1)
    library.index()
    library.photos.rename(library.photos.with_name("away"))
    assert counts(look(library, "a/1.png", "a")) == {}
    library.photos.mkdir()  # the mount point
    assert counts(look(library, "a/1.png")) == {}
    assert library.paths() == ["a/1.png"]


def test_what_is_ignored_is_ignored_in_part_as_in_whole(library: Library) -> None:
    photos = ("a/keep.png", "a/drop.png", ".hidden/1.png", "a/@eaDir/2.png", "raw/x.png")
    for seed, name in enumerate(photos):
        library.put(name, seed)
    (library.photos / "a/.tipsignore").write_text("drop.png\n")
    (library.photos / "raw/.nomedia").touch()
    library.index()
    names = ("a/drop.png", ".hidden/1.png", "a/@eaDir/2.png", "a/@eaDir", "raw/x.png")
    assert counts(look(library, *names)) == {}
    (library.photos / "a/.tipsignore").unlink()
    assert counts(look(library, "a/.tipsignore")) == {"new": 1, "unchanged": 1, "embedded": 1}
    (library.photos / "raw/.nomedia").unlink()
    assert counts(look(library, "raw/.nomedia")) == {"new": 1, "embedded": 1}
    assert library.paths() == ["a/drop.png", "a/keep.png", "raw/x.png"]


def test_a_link_to_a_folder_makes_the_whole_root_be_looked_at(library: Library) -> None:
    library.put("real/1.png", 1)
    (library.photos / "link").symlink_to("real")
    outside = library.photos.with_name("outside")
    outside.mkdir()
    library.index()
    library.put("link/2.png", 2)  # written through the link, it has its real path
    assert counts(look(library, "link/2.png")) == {"new": 1, "embedded": 1}
    shutil.copy(library.photos / "real/1.png", outside / "3.png")
    (library.photos / "further").symlink_to(outside)
    assert counts(look(library, "further")) == {"copied": 1, "unchanged": 2}
    assert library.paths() == ["further/3.png", "real/1.png", "real/2.png"]
    (outside / "3.png").unlink()
    assert counts(look(library, "further/3.png")) == {"removed": 1, "unchanged": 2}


def test_paths_outside_of_the_roots_are_nothing(tmp_path: Path) -> None:
    assert touched([f"{tmp_path}/x.png", "/"], [f"{tmp_path}/photos"]) == frozenset()


@pytest.mark.parametrize("seed", range(8))
def test_a_part_holds_what_a_full_walk_holds_there(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    names = ["a", "b", ".c", "@eaDir", "d"]
    folders = [tmp_path / "photos"]
    for _ in range(25):
        folder = chance.choice(folders) / chance.choice(names)
        folder.mkdir(parents=True, exist_ok=True)
        folders.append(folder)
        (folder / f"{chance.randrange(9)}.jpg").write_bytes(b"x")
        if chance.random() < 0.15:
            (folder / ".tipsignore").write_text(chance.choice(["*.jpg\n", "b/\n", "!1.jpg\n"]))
        if chance.random() < 0.1:
            (folder / ".nomedia").touch()
        if chance.random() < 0.1 and not (folder / "link").exists():
            (folder / "link").symlink_to(chance.choice(folders))
    root = str(tmp_path / "photos")
    whole = scan([root]).files
    events = [str(chance.choice(folders) / chance.choice([*names, "1.jpg", "2.jpg"]))]
    events += [str(folder) for folder in chance.sample(folders, 3) if chance.random() < 0.5]
    part = scan([root], within=Scope(touched(events, [root])))
    assert part.scope is not None
    inside = [
        any(os.path.commonpath([path, place]) == place for place in part.scope.paths)
        for path in whole["path"]
    ]
    assert part.files.sort("path").equals(
        whole.filter(pl.Series(inside, dtype=pl.Boolean)).sort("path")
    )


def test_a_touched_sidecar_stands_for_its_photos(library: Library) -> None:
    for name in ("a/1.png", "a/2.png", "b/1.png"):
        library.put(name, len(name) + ord(name[0]) + ord(name[2]))
    library.index()
    for name in ("a/1.xmp", "b/1.xmp"):
        (library.photos / name).write_text("<x")
    report = look(library, "a/1.xmp")
    assert (report.reread, report.unchanged) == (1, 1)
    (library.photos / "a/1.xmp").unlink()
    report = look(library, "a/1.xmp")
    assert (report.reread, report.unchanged, report.removed) == (1, 1, 0)
    assert look(library, "a/other.xmp").reread == 0
    assert library.index().reread == 1
    assert len(library.paths()) == 3
