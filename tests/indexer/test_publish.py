"""The store becomes what the catalog says: incrementally, again, from nothing."""

from __future__ import annotations

from calendar import timegm
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from indexer.catalog.table import Catalog
from indexer.edge.store import EdgeStore
from indexer.publish import publish
from indexer.server.store import ServerStore
from indexer.vectors import Match, Near, VectorStore, image_point_id, region_point_id
from tests.indexer.catalog.catalog_cases import GRID, REGIONS, broken, photo, removal, table
from tests.indexer.server.qdrant import CLIENTS, qdrant
from tests.indexer.vector_cases import DIM, HEADS, image_id, unit

pytestmark = [
    pytest.mark.filterwarnings("ignore:Payload indexes have no effect"),
    pytest.mark.filterwarnings("ignore:Local mode performs exact"),
]


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    """Seven photos and a broken one."""
    catalog = Catalog(tmp_path / "catalog", HEADS, DIM)
    catalog.commit(table([*(photo(n) for n in range(7)), broken(90)]))
    return catalog


@pytest.fixture(params=["edge", *CLIENTS])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[VectorStore]:
    settings = {"heads": HEADS, "dim": DIM, "model_id": "m", "read_only": False}
    if request.param == "edge":
        yield EdgeStore(tmp_path / "vectors", **settings)  # type: ignore[arg-type]
        return
    with qdrant(request.param) as (client, prefix, parallel):
        yield ServerStore(client, prefix, **settings, parallel=parallel)  # type: ignore[arg-type]


def image_ids(store: VectorStore) -> set[str]:
    return {i for page in store.scroll_ids("images") for i in page}


def test_points_have_the_vectors_and_facts_of_the_rows(
    catalog: Catalog, store: VectorStore
) -> None:
    report = publish(catalog, store)
    assert (report.published, report.removed) == (7, 1)
    assert report.revision == store.revision == catalog.revision
    assert (store.count("images"), store.count("regions")) == (7, 7 * REGIONS)
    by_image = Match("image", (image_id(4),))
    (hits,) = store.search("images", unit(41, 1), using="caption", filter=by_image, limit=9)
    assert hits.ids == [image_point_id(image_id(4))]
    assert hits.scores[0] == pytest.approx(1, abs=1e-3)
    assert store.payloads("images", hits.points) == [
        {
            "image": image_id(4),
            "folders": ["/", "/photos", "/photos/a"],
            "taken": timegm(datetime(2021, 5, 5).timetuple()),
            "year": 2021,
            "month": "2021-05",
            "camera": "Nikon Z6",
            "type": "jpeg",
            "place": {"lat": 48.5, "lon": 11.25},
            "width": 640,
            "height": 480,
        }
    ]
    assert store.count("images", Near(48.5, 11.25, 1)) == 4
    row = photo(4).features
    assert row is not None
    (hits,) = store.search("regions", row.regions[2:3], using="region", filter=by_image, limit=1)
    assert hits.ids == [region_point_id(image_id(4), 2)]
    (payload,) = store.payloads("regions", hits.points)
    np.testing.assert_allclose(payload["box"], row.boxes[2], atol=1e-6)
    assert payload["area"] == pytest.approx(row.masks[2].sum() / np.prod(GRID))
    assert payload["k"] == 2
    assert store.payloads("regions", hits.points, ["k", "camera"]) == [
        {"k": 2, "camera": "Nikon Z6"}
    ]


def test_what_is_unknown_is_left_out(catalog: Catalog, store: VectorStore) -> None:
    publish(catalog, store)
    by_image = Match("image", (image_id(3),))
    (hits,) = store.search("images", unit(1, 1), using="web", filter=by_image, limit=1)
    (payload,) = store.payloads("images", hits.points)
    assert set(payload) == {"image", "folders", "type", "width", "height"}


def test_a_second_publish_has_nothing_to_do(catalog: Catalog, store: VectorStore) -> None:
    first = publish(catalog, store)
    again = publish(catalog, store)
    assert (again.published, again.removed, again.revision) == (0, 0, first.revision)


def test_only_changes_are_published_and_tombstones_leave_the_catalog(
    catalog: Catalog, store: VectorStore
) -> None:
    publish(catalog, store)
    catalog.commit(table([photo(2, folder="/photos/moved", version=1), photo(8)]))
    catalog.commit(None, removal([0, 1]))
    steps: list[int] = []
    report = publish(catalog, store, progress=steps.append)
    assert (report.published, report.removed, steps[-1]) == (2, 2, 4)
    assert image_ids(store) == {image_point_id(image_id(n)) for n in (2, 3, 4, 5, 6, 8)}
    assert store.count("regions") == 6 * REGIONS
    assert store.count("images", Match("folders", ("/photos/moved",))) == 1
    (hits,) = store.search("images", unit(1020, 1), using="web", limit=1)
    assert hits.ids == [image_point_id(image_id(2))]
    assert catalog.counts() == {"ok": 6, "failed": 1, "removed": 0}


def test_a_rebuild_needs_only_the_catalog(
    catalog: Catalog, store: VectorStore, tmp_path: Path
) -> None:
    publish(catalog, store)
    catalog.commit(None, removal([5]))
    other = EdgeStore(tmp_path / "other", heads=HEADS, dim=DIM, model_id="m", read_only=False)
    report = publish(catalog, other, rebuild=True)
    assert (report.published, report.revision) == (6, other.revision)
    assert image_ids(other) == {image_point_id(image_id(n)) for n in (0, 1, 2, 3, 4, 6)}
    publish(catalog, store, rebuild=True)
    assert image_ids(store) == image_ids(other)
    assert catalog.counts()["removed"] == 0


def test_tombstones_of_a_publish_that_died_late_are_purged_by_the_next(
    catalog: Catalog, store: VectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(catalog, store)
    catalog.commit(None, removal([0]))
    with monkeypatch.context() as patch:
        patch.setattr(Catalog, "purge", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            publish(catalog, store)
    assert catalog.counts()["removed"] == 1
    report = publish(catalog, store)
    assert (report.published, report.removed) == (0, 0)
    assert catalog.counts()["removed"] == 0
    assert store.count("images") == 6


def test_an_empty_catalog_gives_an_empty_store(tmp_path: Path, store: VectorStore) -> None:
    empty = Catalog(tmp_path / "none", HEADS, DIM)
    assert publish(empty, store).published == 0
    assert publish(empty, store, rebuild=True).published == 0
    assert store.count("images") == 0
