"""Catalog, vectors and files: every kind of disagreement is found, and the vectors are repaired."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from indexer.catalog.rows import FileRef, PhotoRow
from indexer.collection import Collection
from indexer.errors import CollectionBusyError
from indexer.maintenance.verify import verify
from indexer.publish import publish
from indexer.vectors import VectorStore
from tests.indexer.catalog.catalog_cases import photo, removal, table
from tests.indexer.vector_cases import DIM, HEADS, image_id, images
from tips_model.features import ModelInfo


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    return folder


@pytest.fixture
def collection(tmp_path: Path, photos: Path) -> Collection:
    """Six photos, published; their files are there."""
    info = ModelInfo(
        name="m",
        model_id="m-1",
        dim=DIM,
        heads=HEADS,
        retrieval_head="web",
        patch=8,
        image_size=96,
        note="",
    )
    collection = Collection.create(tmp_path / "collection", info)
    collection.add_roots([str(photos)])
    collection.catalog().commit(table([on_disk(photos, n) for n in range(6)]))
    publish(collection.catalog(), writable(collection))
    return collection


def on_disk(photos: Path, number: int) -> PhotoRow:
    path = photos / f"{number}.jpg"
    path.write_bytes(b"x" * (number + 1))
    facts = path.stat()
    file = FileRef(str(path), str(photos), facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)
    return replace(photo(number), files=[file])


def writable(collection: Collection) -> VectorStore:
    return collection.vectors(read_only=False)


def test_a_collection_in_order_is_sound(collection: Collection) -> None:
    report = verify(collection)
    assert report.sound
    assert report.photos == 6
    assert report.lines() == ["6 photos in the catalog", "all agree"]
    assert json.loads(json.dumps(report.to_dict()))["sound"] is True
    assert not verify(collection, repair=True).repaired


def test_missing_and_unpublished_points_are_found_and_put_back(collection: Collection) -> None:
    store = writable(collection)
    with store.writer() as writer:
        writer.remove([image_id(2)])
        writer.commit(store.revision)
    assert verify(collection).incomplete == (image_id(2),)
    repaired = verify(collection, repair=True)
    assert repaired.sound
    assert repaired.repaired
    assert verify(collection).sound


def test_a_photo_without_its_regions_is_incomplete(collection: Collection) -> None:
    store = writable(collection)
    with store.writer() as writer:
        writer.remove([image_id(3)])
        writer.upsert("images", images([3]))
        writer.commit(store.revision)
    assert verify(collection).incomplete == (image_id(3),)


def test_points_without_a_photo_are_surplus(collection: Collection) -> None:
    store = writable(collection)
    with store.writer() as writer:
        writer.upsert("images", images([77]))
        writer.commit(store.revision)
    assert verify(collection).surplus == (image_id(77)[:30],)
    assert verify(collection, repair=True).sound


def test_what_was_committed_and_not_published_is_pending_until_it_is(
    collection: Collection, photos: Path
) -> None:
    catalog = collection.catalog()
    catalog.commit(None, removal([0]))
    catalog.commit(table([on_disk(photos, 9)]))
    (photos / "0.jpg").unlink()
    report = verify(collection)
    assert sorted(report.pending) == sorted([image_id(0), image_id(9)])
    assert (report.surplus, report.incomplete, report.stale, report.broken) == ((), (), (), ())
    assert not report.sound
    repaired = verify(collection, repair=True)
    assert repaired.sound
    assert repaired.photos == 6


def test_vectors_of_another_photo_are_wrong(collection: Collection) -> None:
    store = writable(collection)
    other = images([0], version=3)
    with store.writer() as writer:
        writer.upsert("images", other)
        writer.commit(store.revision)
    assert verify(collection).wrong == (image_id(0),)
    assert verify(collection, repair=True).sound


def test_a_damaged_store_is_made_anew(collection: Collection) -> None:
    for shard in (collection.folder / "vectors").glob("shard-images-*"):
        shutil.rmtree(shard)
    report = verify(collection)
    assert "tips rebuild" in report.damage
    assert not report.sound
    assert report.photos == 6
    assert verify(collection, repair=True).sound


def test_changed_and_missing_files_are_named_unless_their_root_is_gone(
    collection: Collection, photos: Path
) -> None:
    (photos / "1.jpg").unlink()
    os.utime(photos / "2.jpg", ns=(1, 1))
    report = verify(collection)
    assert report.stale == (str(photos / "1.jpg"), str(photos / "2.jpg"))
    assert not report.sound
    assert report.vectors_agree
    assert any("tips index" in line for line in report.lines())
    shutil.rmtree(photos)
    assert verify(collection).sound


def test_a_repair_waits_for_no_other_writer(collection: Collection) -> None:
    with collection.lock(), pytest.raises(CollectionBusyError):
        verify(collection, repair=True)
    with collection.lock():
        assert verify(collection).sound


def test_a_file_that_two_photos_claim_is_named(collection: Collection, photos: Path) -> None:
    collection.catalog().commit(table([replace(photo(9), files=on_disk(photos, 1).files)]))
    assert verify(collection).twice == (str(photos / "1.jpg"),)
    assert not verify(collection, repair=True).sound


def test_rows_that_are_not_whole_are_named(collection: Collection, photos: Path) -> None:
    fileless = replace(photo(7), files=[])
    torn = on_disk(photos, 8)
    assert torn.features is not None
    torn = replace(torn, features=replace(torn.features, boxes=torn.features.boxes[:-1]))
    collection.catalog().commit(table([fileless, torn]))
    assert sorted(verify(collection).broken) == sorted([image_id(7), image_id(8)])


def test_a_damaged_catalog_is_taken_back_and_the_vectors_with_it(
    collection: Collection, photos: Path
) -> None:
    whole = collection.catalog().revision
    collection.catalog().commit(table([on_disk(photos, 9)]))
    publish(collection.catalog(), writable(collection))
    data = (collection.catalog_folder / "photos.lance" / "data").iterdir()
    os.truncate(max(data, key=lambda path: path.stat().st_mtime_ns), 100)
    report = verify(collection)
    assert "catalog" in report.damage
    assert not report.sound
    repaired = verify(collection, repair=True)
    assert (repaired.back_to, repaired.photos) == (whole, 6)
    assert any("`tips index`" in line for line in repaired.lines())
    assert verify(collection).sound
