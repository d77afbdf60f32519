"""Dropping what is kept for nothing, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from indexer.errors import CollectionError, RootError
from indexer.maintenance import model_switch
from indexer.maintenance.prune import PruneOptions, plan, prune
from indexer.maintenance.verify import verify
from indexer.pipeline import index
from tests.indexer.test_pipeline import Library, counts
from tests.search.colours import ColourEmbedder as WideEmbedder


@pytest.fixture
def library(tmp_path: Path) -> Library:
    """Four photos, one of them twice, a broken one, and two in a second folder."""
    made = Library(tmp_path)
    for number in range(4):
        made.put(f"{number}.png", number)
    made.put("copy.png", 0)
    (made.photos / "broken.jpg").write_bytes(b"nothing")
    disk = tmp_path / "disk"
    disk.mkdir()
    for number in (10, 11):
        made.put(f"{number}.png", number).rename(disk / f"{number}.png")
    index(made.collection, [made.photos, disk], made.embedder)
    return made


def test_a_sound_collection_loses_nothing(library: Library) -> None:
    found = prune(library.collection, PruneOptions())
    assert (found.photos, found.share, len(found.links())) == (7, 0.0, 0)
    assert found.orphans == ()
    assert verify(library.collection).sound
    assert counts(library.index()) == {"unchanged": 6}


def test_files_that_are_gone_are_dropped_and_new_ones_are_not_taken_up(library: Library) -> None:
    (library.photos / "0.png").unlink()  # its copy stays
    (library.photos / "1.png").unlink()
    library.put("new.png", 50)
    looked = plan(library.collection, PruneOptions())
    before = library.paths()
    assert (len(looked.gone), len(looked.leaving)) == (2, 1)
    assert library.paths() == before
    assert prune(library.collection, PruneOptions()).leaving == looked.leaving
    photos = ["2.png", "3.png", "broken.jpg", "copy.png"]
    assert [path for path in library.paths() if "/" not in path] == photos
    library.check_published()


def test_a_folder_that_is_away_is_kept_until_it_is_to_be_forgotten(
    library: Library, tmp_path: Path
) -> None:
    disk = str(tmp_path / "disk")
    (tmp_path / "disk").rename(tmp_path / "away")
    kept = prune(library.collection, PruneOptions())
    assert (len(kept.leaving), kept.away) == (0, (disk,))
    found = prune(library.collection, PruneOptions(missing_roots=True))
    assert (len(found.leaving), found.roots, found.away) == (2, (disk,), ())
    assert library.collection.roots == (str(library.photos),)
    assert verify(library.collection).sound
    assert counts(library.index()) == {"unchanged": 6}


def test_a_folder_is_forgotten_by_name(library: Library, tmp_path: Path) -> None:
    disk = str(tmp_path / "disk")
    prune(library.collection, PruneOptions(roots=(disk,)))
    assert library.collection.roots == (str(library.photos),)
    assert (tmp_path / "disk/10.png").exists()
    assert counts(index(library.collection, [], library.embedder)) == {"unchanged": 6}
    with pytest.raises(RootError, match="is not a folder of this collection; its folders are"):
        plan(library.collection, PruneOptions(roots=(disk,)))
    library.put("sub/x.png", 60)
    library.index()
    with pytest.raises(RootError, match=r"is a part of .* with a .tipsignore file"):
        plan(library.collection, PruneOptions(roots=(f"{library.photos}/sub",)))
    everything = prune(library.collection, PruneOptions(roots=(str(tmp_path),)))
    assert everything.share == 1.0
    assert library.collection.roots == ()
    assert library.catalog.ids() == {}


def test_failures_are_dropped_when_asked_and_read_again(library: Library) -> None:
    assert len(prune(library.collection, PruneOptions()).leaving) == 0
    assert len(prune(library.collection, PruneOptions(failed=True)).leaving) == 1
    assert library.catalog.failures().is_empty()
    assert counts(library.index()) == {"failed": 1, "unchanged": 5}


def test_no_more_than_was_agreed_to_leaves(library: Library) -> None:
    (library.photos / "1.png").unlink()
    agreed = plan(library.collection, PruneOptions()).leaving
    (library.photos / "2.png").unlink()
    before = library.paths()
    with pytest.raises(CollectionError, match="More photos would go than a moment ago"):
        prune(library.collection, PruneOptions(), agreed)
    assert library.paths() == before


def test_what_killed_processes_left_goes(library: Library) -> None:
    folder = library.collection.folder
    (folder / "collection.json.tmp").write_text("{")
    (folder / "vectors/manifest.json.tmp").write_text("{")
    (folder / "vectors/shard-images-0123456789ab").mkdir()
    with model_switch.building(library.collection):
        other = model_switch.begin(library.collection, WideEmbedder().info)
    (other.folder / "collection.json").unlink()
    found = plan(library.collection, PruneOptions())
    assert sorted(path.name for path in found.orphans) == [
        "collection.json.tmp",
        "colours-1",
        "manifest.json.tmp",
        "shard-images-0123456789ab",
    ]
    prune(library.collection, PruneOptions())
    assert not [path for path in found.orphans if path.exists()]
    assert plan(library.collection, PruneOptions()).orphans == ()
    assert verify(library.collection).sound
