"""Photos and catalogs on object storage."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from indexer.collection import Collection
from indexer.errors import (
    BackupError,
    CollectionBusyError,
    CollectionError,
    RootError,
    StorageError,
)
from indexer.folders.paths import folders
from indexer.folders.roots import absent, is_gone
from indexer.folders.scan import absolute_roots, scan
from indexer.folders.storage import entries, facts, is_url, read
from indexer.maintenance.backup import backup
from indexer.maintenance.prune import PruneOptions, plan
from indexer.pipeline import index
from tests.indexer.colours import ColourEmbedder
from tests.indexer.folders.object_storage import s3_server
from tests.photos import make


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    with s3_server() as url:
        yield url


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    """fsspec's file system in memory, with a few photos."""
    system = fsspec.filesystem("memory")
    system.pipe_file("/library/a.png", make.encode(make.scene(1), "PNG"))
    system.pipe_file("/library/sub/b.jpg", make.encode(make.scene(2), "JPEG"))
    system.pipe_file("/library/sub/notes.txt", b"no photo")
    system.pipe_file("/library/.hidden/c.jpg", b"")
    system.pipe_file("/library/private/d.jpg", b"")
    system.pipe_file("/library/.tipsignore", b"private/\n")
    yield system
    system.store.clear()


def test_what_is_a_url() -> None:
    assert all(map(is_url, ["s3://bucket", "gs://b/photos", "memory://x"]))
    assert not any(
        map(is_url, ["/photos", "photos", "s3:/bucket", "C:\\a://b", "/a/s3://b", "x://"])
    )
    assert absolute_roots(["s3://bucket/a/", "s3://bucket/a/b"]) == ("s3://bucket/a",)
    assert folders("s3://bucket/a/b.jpg") == ["s3://bucket", "s3://bucket/a"]
    assert folders("/odd/x://y.jpg") == ["/", "/odd", "/odd/x:", "/odd/x:/"]


def test_a_scan_follows_the_same_rules(memory: fsspec.AbstractFileSystem) -> None:
    found = scan(("memory://library",))
    assert sorted(found.files["path"]) == ["memory://library/a.png", "memory://library/sub/b.jpg"]
    assert found.missing_roots == ()
    size = memory.size("/library/a.png")
    assert found.files.filter(path="memory://library/a.png")["size"].to_list() == [size]
    assert scan(("memory://nowhere",)).missing_roots == ("memory://nowhere",)
    hidden = scan(("memory://library",), include_hidden=True).files["path"].to_list()
    assert "memory://library/.hidden/c.jpg" in hidden


def test_photos_in_memory_are_indexed_like_any_other(
    memory: fsspec.AbstractFileSystem, tmp_path: Path
) -> None:
    embedder = ColourEmbedder()
    collection = Collection.create(tmp_path / "collection", embedder.info)
    report = index(collection, ["memory://library"], embedder)
    assert (report.new, report.embedded, report.failed) == (2, 2, 0)
    # The same bytes on a disk are the same photo.
    local = tmp_path / "photos"
    local.mkdir()
    (local / "a.png").write_bytes(read("memory://library/a.png"))
    assert index(collection, [local], embedder).copied == 1
    assert index(collection, [], embedder).unchanged == 3
    memory.mv("/library/a.png", "/library/renamed.png")
    memory.rm("/library/sub/b.jpg")
    embedder.embedded = 0
    report = index(collection, [], embedder)
    assert (report.moved, report.removed, report.unchanged) == (1, 1, 1)
    assert embedder.embedded == 0
    assert sorted(collection.catalog().files()["path"]) == [
        str(local / "a.png"),
        "memory://library/renamed.png",
    ]
    memory.rm("/library", recursive=True)
    report = index(collection, [], embedder)
    assert report.missing_roots == ("memory://library",)
    assert report.removed == 0


def test_listing_and_single_request_agree_on_s3(s3: str) -> None:
    system = fsspec.filesystem("s3")
    system.pipe_file(f"{s3}/facts/a b ü.jpg", b"one")
    (entry,) = entries(f"{s3}/facts")
    path = f"{s3}/facts/a b ü.jpg"
    assert entry.path == path.encode()
    assert entry.facts == facts(path)
    before = facts(path)
    assert (before.st_size, before.st_mtime_ns > 0, before.st_ctime_ns > 0) == (3, True, True)
    system.pipe_file(path, b"two")
    # Within the same second, of the same size: the ETag tells.
    assert facts(path).st_ctime_ns != before.st_ctime_ns


def test_photos_and_catalog_on_s3_are_those_on_a_disk(s3: str, tmp_path: Path) -> None:
    embedder = ColourEmbedder()
    local = tmp_path / "photos"
    make.write(local)
    system = fsspec.filesystem("s3")
    system.put(str(local), f"{s3}/photos", recursive=True)
    here = Collection.create(tmp_path / "here", embedder.info)
    there = Collection.create(tmp_path / "there", embedder.info, catalog_url=f"{s3}/catalog")
    mine = index(here, [local], embedder)
    theirs = index(there, [f"{s3}/photos"], embedder)
    assert (theirs.new, theirs.failed, theirs.copied) == (mine.new, mine.failed, mine.copied)
    assert system.exists(f"{s3}/catalog/photos.lance")
    assert not (there.catalog_folder / "photos.lance").exists()
    names = ["id", "status", "reason", "thumbnail", "taken", "region_vectors", "region_masks"]
    ids = sorted(here.catalog().ids())
    opened = Collection.open(there.folder).catalog()
    assert opened.rows(ids, names).equals(here.catalog().rows(ids, names))
    assert index(there, [], embedder).unchanged == mine.new + mine.failed


def test_a_catalog_belongs_to_one_collection(s3: str, tmp_path: Path) -> None:
    embedder = ColourEmbedder()
    Collection.create(tmp_path / "one", embedder.info, catalog_url=f"{s3}/mine").catalog()
    with pytest.raises(CollectionError, match="already contains the catalog of another collection"):
        Collection.create(tmp_path / "two", embedder.info, catalog_url=f"{s3}/mine")
    assert not Collection.exists(tmp_path / "two")


def test_a_second_writer_is_found_out_before_anything_changes(tmp_path: Path) -> None:
    """A lock holds on one machine only; the number of a commit is the catalog's own guard."""
    from indexer.catalog.fragments import write_fragment
    from indexer.catalog.table import Catalog
    from tests.indexer.catalog.catalog_cases import photo, table
    from tests.indexer.vector_cases import DIM, HEADS, image_id

    catalog = Catalog(tmp_path, HEADS, DIM)
    catalog.commit(table([photo(n) for n in range(4)]))

    def write(revision: int) -> list[str]:
        Catalog(tmp_path, HEADS, DIM).commit(table([photo(9)]))
        return write_fragment(table([photo(2, version=1)]), catalog.uri)

    with pytest.raises(CollectionBusyError, match="has one collection folder and one writer"):
        catalog.commit_fragments(write, [image_id(2)], [])
    assert sorted(catalog.ids()) == sorted(map(image_id, (0, 1, 2, 3, 9)))
    assert catalog.counts()["ok"] == 5


def test_what_cannot_be_had_is_said(s3: str, tmp_path: Path) -> None:
    embedder = ColourEmbedder()
    collection = Collection.create(tmp_path / "collection", embedder.info)
    with pytest.raises(RootError, match=r"^s3://nobucket/photos does not exist or is empty"):
        index(collection, ["s3://nobucket/photos"], embedder)
    with pytest.raises(StorageError, match=r"^Reading gopher:// needs|gopher://x cannot be read"):
        index(collection, ["gopher://x"], embedder)
    with pytest.raises(CollectionError, match=r"^The catalog nonsense://x cannot be reached"):
        Collection.create(tmp_path / "other", embedder.info, catalog_url="nonsense://x")
    shutil.rmtree(tmp_path / "other", ignore_errors=True)
    assert collection.roots == ()


def test_roots_and_files_of_a_bucket_are_there_or_not(
    memory: fsspec.AbstractFileSystem, tmp_path: Path
) -> None:
    """Nothing may be pruned because this machine has no folder of that name."""
    assert absent(("memory://library", "memory://nowhere")) == ("memory://nowhere",)
    assert not is_gone("memory://library/a.png")
    assert is_gone("memory://library/z.png")
    assert not is_gone("gopher://what cannot be asked")
    embedder = ColourEmbedder()
    collection = Collection.create(tmp_path / "collection", embedder.info)
    index(collection, ["memory://library"], embedder)
    memory.rm("/library/a.png")
    found = plan(collection, PruneOptions(missing_roots=True))
    assert found.gone["path"].to_list() == ["memory://library/a.png"]
    assert (found.roots, found.away) == ((), ())


def test_a_backup_does_not_leave_out_a_remote_catalog(s3: str, tmp_path: Path) -> None:
    collection = Collection.create(
        tmp_path / "collection", ColourEmbedder().info, catalog_url=f"{s3}/not backed up"
    )
    with pytest.raises(BackupError, match="which backups do not cover"):
        backup(collection, tmp_path)
