"""The catalog on a real LanceDB table."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import lancedb
import numpy as np
import pytest

from indexer.catalog import table as catalog_module
from indexer.catalog.rows import (
    ADDED_COLUMNS,
    Features,
    FileRef,
    Link,
    PhotoRow,
    file_refs,
    photo_schema,
    to_table,
    unpack_masks,
)
from indexer.catalog.table import TABLE, Catalog
from indexer.errors import CollectionError
from indexer.folders.snapshot import read_snapshot, write_snapshot
from indexer.photos.facts import Facts

DIM = 4
HEADS = ("web", "caption")


def key(n: int) -> str:
    return f"{n:032x}"


def file(path: str, size: int = 1) -> FileRef:
    return FileRef(path, "/r", size, 2, 3)


def photo(n: int, path: str | None = None, regions: int = 2) -> PhotoRow:
    generator = np.random.default_rng(n)
    features = Features(
        {head: generator.standard_normal(DIM).astype(np.float32) for head in HEADS},
        generator.standard_normal((regions, DIM)).astype(np.float32),
        generator.random((regions, 4)).astype(np.float32),
        generator.random((regions, 3, 5)) > 0.5,
    )
    facts = Facts(taken=datetime(2020, 1, 2, 3, 4, 5, 678), camera="Acme", iso=100)
    path = path or f"/r/{n}.jpg"
    return PhotoRow(key(n), [file(path)], None, "jpeg", 640, 480, facts, b"webp%d" % n, features)


def failure(n: int) -> PhotoRow:
    return PhotoRow(key(n), [file(f"/r/{n}.jpg")], "the file is empty")


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return Catalog(tmp_path / "catalog", HEADS, DIM)


def commit(catalog: Catalog, *rows: PhotoRow) -> int:
    return catalog.commit(to_table(rows, catalog.schema, DIM))


def test_rows_come_back_as_they_went_in(catalog: Catalog) -> None:
    row = photo(7, "/r/odd\uf7ff\n.jpg", regions=3)
    commit(catalog, row, photo(8, regions=0))
    back = catalog.rows([key(7)]).to_pylist()[0]
    assert row.features is not None
    assert file_refs(back) == [file("/r/odd\uf7ff\n.jpg")]
    assert back["status"] == "ok"
    assert back["taken"] == datetime(2020, 1, 2, 3, 4, 5, 678)
    assert (back["width"], back["height"], back["bytes"], back["iso"]) == (640, 480, 1, 100)
    np.testing.assert_array_equal(
        np.array(back["vector_web"], np.float16), row.features.heads["web"].astype(np.float16)
    )
    np.testing.assert_array_equal(
        np.array(back["region_vectors"], np.float16), row.features.regions.astype(np.float16)
    )
    np.testing.assert_array_equal(np.array(back["region_boxes"], np.float32), row.features.boxes)
    masks = unpack_masks(back["region_masks"], 3, back["grid_h"], back["grid_w"])
    np.testing.assert_array_equal(masks, row.features.masks)
    assert catalog.rows([key(8)])["region_vectors"].to_pylist() == [[]]


def test_failures_are_rows_without_vectors(catalog: Catalog) -> None:
    commit(catalog, failure(1), photo(2))
    assert catalog.counts() == {"ok": 1, "failed": 1, "removed": 0}
    assert catalog.failures().row(0, named=True) == {
        "path": "/r/1.jpg",
        "reason": "the file is empty",
        "size": 1,
        "mtime_ns": 2,
        "id": key(1),
    }
    assert catalog.rows([key(1)], ["vector_web", "region_vectors"]).to_pylist() == [
        {"vector_web": None, "region_vectors": None}
    ]
    assert catalog.ids() == {key(1): False, key(2): True}


def test_each_commit_has_its_own_growing_revision(catalog: Catalog) -> None:
    first = commit(catalog, photo(1), photo(2))
    assert first == catalog.revision
    second = commit(catalog, photo(3))
    assert second == catalog.revision > first
    changed = [row for batch in catalog.changed_since(first) for row in batch["id"].to_pylist()]
    assert changed == [key(3)]
    third = catalog.commit(None, [Link(key(1), "ok", (file("/r/new.jpg"),))])
    changed = [row for batch in catalog.changed_since(second) for row in batch["id"].to_pylist()]
    assert changed == [key(1)]
    assert sum(len(batch) for batch in catalog.changed_since(0)) == 3
    assert third == catalog.revision


def test_an_empty_commit_changes_nothing(catalog: Catalog) -> None:
    before = catalog.revision
    assert catalog.commit(None) == before
    assert catalog.revision == before


def test_links_change_files_and_keep_everything_else(catalog: Catalog) -> None:
    commit(catalog, photo(1), photo(2))
    before = catalog.rows([key(1)]).drop_columns(["files", "stamps", "revision"]).to_pylist()
    files = (file("/r/moved.jpg"), file("/r/copy.jpg")._replace(stamp=5))
    catalog.commit(None, [Link(key(1), "ok", files)])
    after = catalog.rows([key(1)])
    assert file_refs(after.to_pylist()[0]) == [*files]
    assert after.drop_columns(["files", "stamps", "revision"]).to_pylist() == before
    assert sorted(catalog.files()["path"]) == ["/r/2.jpg", "/r/copy.jpg", "/r/moved.jpg"]


def test_new_rows_and_links_are_one_commit(catalog: Catalog) -> None:
    first = commit(catalog, photo(1))
    table = to_table([photo(2)], catalog.schema, DIM)
    second = catalog.commit(table, [Link(key(1), "removed", ())])
    assert second == first + 1
    assert catalog.counts() == {"ok": 1, "failed": 0, "removed": 1}


def test_committing_again_replaces(catalog: Catalog) -> None:
    commit(catalog, failure(1))
    commit(catalog, photo(1))
    assert catalog.counts() == {"ok": 1, "failed": 0, "removed": 0}


def test_removed_rows_are_purged_only_up_to_the_published_revision(catalog: Catalog) -> None:
    commit(catalog, photo(1), photo(2), photo(3))
    published = catalog.commit(None, [Link(key(1), "removed", ())])
    catalog.commit(None, [Link(key(2), "removed", ())])
    catalog.purge(published)
    assert set(catalog.ids()) == {key(2), key(3)}
    # The number goes on growing, or the next commit would never be published.
    assert catalog.revision > published
    assert commit(catalog, photo(4)) == catalog.revision


def test_rows_are_in_the_order_asked_and_unknown_ids_left_out(catalog: Catalog) -> None:
    commit(catalog, *(photo(n) for n in range(5)))
    asked = [key(3), key(99), key(0), "' OR 1=1 --", key(3)]
    assert catalog.rows(asked, ["id"])["id"].to_pylist() == [key(3), key(0), key(3)]
    assert catalog.photos([key(3), key(0)])["format"].to_list() == ["jpeg", "jpeg"]
    assert catalog.photos([]).is_empty()
    assert catalog.thumbnails([key(1), key(99)]) == {key(1): b"webp1"}


def test_reads_are_bounded_batches(catalog: Catalog) -> None:
    commit(catalog, *(photo(n) for n in range(20)))
    sizes = [len(batch) for batch in catalog.changed_since(0, ["id"], batch_rows=6)]
    assert sum(sizes) == 20
    assert max(sizes) <= 6


def test_another_process_sees_commits_at_once(catalog: Catalog, tmp_path: Path) -> None:
    reader = Catalog(tmp_path / "catalog", HEADS, DIM)
    commit(catalog, photo(1))
    assert reader.counts()["ok"] == 1
    assert reader.revision == catalog.revision


def test_optimizing_joins_fragments_and_keeps_rows(catalog: Catalog) -> None:
    for n in range(6):
        commit(catalog, photo(n))
    before = catalog.rows([key(n) for n in range(6)]).to_pylist()
    assert catalog.fragments() == 6
    catalog.optimize()
    assert catalog.fragments() == 1
    assert catalog.rows([key(n) for n in range(6)]).to_pylist() == before
    assert commit(catalog, photo(9)) == catalog.revision


def data_bytes(catalog: Catalog) -> int:
    """What the rows take on the disk, in all versions."""
    return sum(f.stat().st_size for f in (catalog.folder / "photos.lance/data").iterdir())


def test_many_small_commits_cost_about_themselves(catalog: Catalog, tmp_path: Path) -> None:
    heavy = [replace(photo(n), thumbnail=np.random.default_rng(n).bytes(4096)) for n in range(600)]
    commit(catalog, *heavy)
    alone = data_bytes(catalog)
    reader = Catalog(tmp_path / "catalog", HEADS, DIM)
    began = reader.changed_since(0, ["id"], batch_rows=50)
    seen = next(began)["id"].to_pylist()
    fragments = []
    for n in range(600, 700):
        commit(catalog, photo(n))
        catalog.tidy()
        fragments.append(catalog.fragments())
    assert max(fragments) <= catalog_module.MANY_FRAGMENTS
    # The 600 are in a fragment that is large enough; it is not written again for each of the 100.
    assert data_bytes(catalog) < 1.75 * alone
    # Who began to read before reads on as if nothing had happened; who begins now sees all.
    seen += [found for batch in began for found in batch["id"].to_pylist()]
    assert sorted(seen) == [key(n) for n in range(600)]
    assert sorted(reader.ids()) == [key(n) for n in range(700)]
    catalog.optimize(timedelta(0))
    assert data_bytes(catalog) < 1.25 * alone


def test_old_versions_do_not_pile_up(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog_module, "KEEP_VERSIONS", timedelta(0))
    monkeypatch.setattr(catalog_module, "MANY_VERSIONS", 10)
    for n in range(40):
        commit(catalog, photo(n))
        catalog.tidy()
        assert catalog.versions() <= 11
    assert len(catalog.ids()) == 40
    assert catalog.revision >= 40


def test_a_large_table_gets_an_index_and_answers_the_same(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog_module, "INDEX_FROM", 4)
    commit(catalog, *(photo(n) for n in range(3)))
    catalog.optimize()
    assert _indexed_rows(catalog) == []
    commit(catalog, *(photo(n) for n in range(3, 6)))
    catalog.optimize()
    assert _indexed_rows(catalog) == [6]
    commit(catalog, photo(4, "/r/moved.jpg"), photo(6))  # rows that the index does not have yet
    catalog.commit(None, [Link(key(0), "removed", ())])
    paths = [f[0]["path"] for f in catalog.rows([key(6), key(4), key(5)])["files"].to_pylist()]
    assert paths == ["/r/6.jpg", "/r/moved.jpg", "/r/5.jpg"]
    catalog.purge(catalog.revision)
    catalog.optimize()
    assert _indexed_rows(catalog) == [6]
    reader = Catalog(tmp_path / "catalog", HEADS, DIM)
    found = reader.rows([key(n) for n in range(7)], ["id"])["id"].to_pylist()
    assert found == [key(n) for n in range(1, 7)]


def _indexed_rows(catalog: Catalog) -> list[int | None]:
    return [index.num_indexed_rows for index in catalog._table.list_indices()]


def test_a_vector_that_is_not_finite_is_refused(catalog: Catalog) -> None:
    row = photo(1)
    assert row.features is not None
    row.features.heads["web"][2] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        commit(catalog, row)


def test_other_columns_are_refused(catalog: Catalog, tmp_path: Path) -> None:
    with pytest.raises(CollectionError, match="has columns that this version does not know"):
        Catalog(tmp_path / "catalog", ("image",), DIM)


def test_the_snapshot_ends_with_the_next_commit(catalog: Catalog) -> None:
    commit(catalog, photo(1))
    assert read_snapshot(catalog.folder) is None
    write_snapshot(catalog.folder, catalog.files())
    snapshot = read_snapshot(catalog.folder)
    assert snapshot is not None
    assert snapshot.equals(catalog.files())
    commit(catalog, photo(2))
    assert read_snapshot(catalog.folder) is None


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """The folder of a catalog as version 0.1 made it, with five photos."""
    folder = tmp_path / "earlier"
    schema = photo_schema(HEADS, DIM)
    for name, _ in ADDED_COLUMNS:
        schema = schema.remove(schema.get_field_index(name))
    rows = to_table([photo(n) for n in range(5)], schema, DIM)
    lancedb.connect(folder).create_table(TABLE, schema=schema).add(rows)
    return folder


def test_a_catalog_of_the_first_version_is_read_as_it_is(earlier: Path) -> None:
    catalog = Catalog(earlier, HEADS, DIM)
    before = catalog.revision
    frame = catalog.photos([key(3)], ["title", "id", "keywords", "rating", "camera"])
    assert frame.columns == ["title", "id", "keywords", "rating", "camera"]
    assert frame.row(0)[:4] == (None, key(3), None, None)
    assert [len(batch) for batch in catalog.changed_since(0)] == [5]
    assert catalog.noted() == {}
    assert catalog.rows([key(1)]).schema == catalog.schema
    assert catalog.revision == before


def test_a_writer_brings_a_catalog_of_the_first_version_up_to_date(earlier: Path) -> None:
    catalog, reader = Catalog(earlier, HEADS, DIM), Catalog(earlier, HEADS, DIM)
    facts = Facts(title="A hill", keywords=("hill", "home"), rating=4)
    row = replace(photo(7), facts=facts, notes=("cut off",))
    before = catalog.commit(to_table([row], catalog.schema, DIM))
    assert before == catalog.revision
    for known in (catalog, reader, Catalog(earlier, HEADS, DIM)):
        rows = known.photos([key(7), key(2)], ["title", "keywords", "rating", "notes"])
        assert rows.rows() == [("A hill", ["hill", "home"], 4, ["cut off"]), (None,) * 4]
        assert known.counts()["ok"] == 6
        assert known.noted() == {"cut off": 1}
    links = [Link(key(1), "removed", ())]
    assert catalog.commit(None, links) == before + 1
