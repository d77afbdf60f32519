"""What the index says of all photos, held against polars on the catalog's own table."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.catalog.rows import Link
from indexer.catalog.table import Catalog
from indexer.edge.store import EdgeStore
from indexer.publish import image_points, publish
from indexer.vectors import Filter, Has, Match, Range, Within, image_point_id, point_array
from indexer.vectors import point_keys as keys_of
from search.browse.index import Month, Order, PhotoIndex
from search.browse.places import Bounds
from search.errors import FilterError
from tests.indexer.catalog.catalog_cases import broken, removal, table
from tests.indexer.vector_cases import DIM, FILTERS, HEADS, holds, image_id, unit
from tests.search.browse.browse_cases import PHOTOS, numbered, photo_like_no_other, photos

MORE_FILTERS: dict[str, Filter] = {
    "root folder": Match("folders", ("/",)),
    "folder of another case": Match("folders", ("/Photos",)),
    "folder above a copy": Match("folders", ("/photos/trips", "/b")),
    "months": Match("month", ("2020-02", "1969-12")),
    "a year": Match("year", (1969, 2020)),
    "before 1970": Range("taken", None, 0),
    "to the second": Range("taken", 1_600_000_000, 1_600_000_001),
    "a moment": Match("taken", (1_600_000_000,)),
    "across the date line": Within(-90, 100, 90, -100),
    "a size": Match("width", (101, 102)),
    "has a lens": Has("lens"),
    "has a folder": Has("folders"),
    "has a year": Has("year"),
}


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """Sound photos, and one that failed."""
    made = Catalog(tmp_path_factory.mktemp("browse") / "catalog", HEADS, DIM)
    made.commit(table([*photos(range(PHOTOS)), broken(900)]))
    return made


@pytest.fixture(scope="module")
def index(catalog: Catalog) -> PhotoIndex:
    return PhotoIndex.load(catalog)


@pytest.fixture(scope="module")
def store(catalog: Catalog, tmp_path_factory: pytest.TempPathFactory) -> EdgeStore:
    folder = tmp_path_factory.mktemp("browse-vectors")
    made = EdgeStore(folder, heads=HEADS, dim=DIM, model_id="m", read_only=False)
    publish(catalog, made)
    return made


@pytest.fixture(scope="module")
def facts(catalog: Catalog) -> pl.DataFrame:
    return catalog.photos(list(catalog.ids())).filter(pl.col("status") == "ok")


def some_rows(index: PhotoIndex, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.permutation(len(index))[: len(index) // 2].astype(np.int64)


def of_rows(facts: pl.DataFrame, index: PhotoIndex, rows: np.ndarray | None) -> pl.DataFrame:
    return facts if rows is None else facts.filter(pl.col("id").is_in(index.ids(rows)))


@pytest.mark.parametrize("name", [*FILTERS, *MORE_FILTERS])
def test_a_filter_keeps_what_the_stores_keep(
    catalog: Catalog, index: PhotoIndex, store: EdgeStore, name: str
) -> None:
    filter = (FILTERS | MORE_FILTERS)[name]
    found = {image_point_id(i) for i in index.ids(index.matching(filter))}
    (hits,) = store.search("images", unit(1, 1), using=HEADS[0], filter=filter, limit=PHOTOS)
    assert found == set(hits.ids)
    (batch,) = catalog.changed_since(0, batch_rows=PHOTOS + 1)
    payloads = image_points(batch.filter(pl.Series(batch["status"]).eq("ok").to_arrow())).payload
    assert found == {image_point_id(p["image"]) for p in payloads if holds(filter, p)}


def test_the_filters_of_these_tests_are_not_all_trivial(index: PhotoIndex) -> None:
    kept = {name: len(index.matching(filter)) for name, filter in MORE_FILTERS.items()}
    trivial = {name for name, count in kept.items() if count in (0, PHOTOS)}
    assert trivial == {"root folder", "has a folder"}


def test_the_text_of_a_filter_is_read_with_the_collections_own_names(index: PhotoIndex) -> None:
    rows = index.matching("camera:canon in:rome")
    expected = Match("camera", ("Canon EOS R5",)), Match("folders", ("/photos/trips/Rome",))
    assert set(rows) == set(index.matching(expected[0])) & set(index.matching(expected[1]))
    assert len(rows)
    assert len(index.matching(None)) == len(index.matching("")) == len(index) == PHOTOS
    _, (miss,) = index.resolved("camera:kodak")
    assert (miss.field, miss.text) == ("camera", "kodak")
    with pytest.raises(FilterError):
        index.matching("colour:red")
    with pytest.raises(ValueError, match="no field 'area'"):
        index.matching(Range("area", 0.5, None))


def test_rows_and_ids_belong_together(index: PhotoIndex) -> None:
    ids = [image_id(n) for n in random.Random(1).sample(range(PHOTOS), 50)]
    keys = keys_of(point_array([image_point_id(i) for i in ids]))
    unknown = keys_of(point_array([image_id(5000), image_id(900)]))
    rows = index.rows_of(np.concatenate([keys[:20], unknown, keys[20:]]))
    assert index.ids(rows) == ids
    assert len(index.rows_of(keys[:0])) == 0


@pytest.mark.parametrize("seed", [None, 1])
@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_photos_are_sorted_by_date_and_undated_ones_come_last(
    index: PhotoIndex, facts: pl.DataFrame, order: Order, seed: int | None
) -> None:
    rows = None if seed is None else some_rows(index, seed)
    back = order == "newest"
    expected = of_rows(facts, index, rows).sort(
        "taken", "id", descending=[back, not back], nulls_last=True
    )
    undated = expected["taken"].is_null()
    dated = expected.filter(~undated)["id"].to_list()
    last = sorted(expected.filter(undated)["id"].to_list())
    assert last
    if back:  # photos of one moment by id
        dated = (
            expected.filter(~undated).sort("taken", "id", descending=[True, False])["id"].to_list()
        )
    assert index.ids(index.sorted_rows(rows, order)) == dated + last


@pytest.mark.parametrize("seed", [None, 2])
def test_months_are_counted_the_newest_first(
    index: PhotoIndex, facts: pl.DataFrame, seed: int | None
) -> None:
    rows = None if seed is None else some_rows(index, seed)
    chosen = of_rows(facts, index, rows)
    counted = (
        chosen.drop_nulls("taken")
        .group_by(pl.col("taken").dt.year().alias("y"), pl.col("taken").dt.month().alias("m"))
        .len()
        .sort("y", "m", descending=True)
    )
    assert index.months(rows) == [Month(y, m, count) for y, m, count in counted.iter_rows()]
    assert index.months(rows)[-1].name == "1969-12"
    assert index.undated(rows) == chosen["taken"].null_count() > 0


@given(
    south=st.floats(-90, 90),
    north=st.floats(-90, 90),
    west=st.floats(-180, 180),
    east=st.floats(-180, 180),
    cells=st.integers(1, 64),
)
@settings(max_examples=40, deadline=None)
def test_spots_share_out_the_photos_inside_the_bounds(
    index: PhotoIndex,
    facts: pl.DataFrame,
    south: float,
    north: float,
    west: float,
    east: float,
    cells: int,
) -> None:
    bounds = Bounds(min(south, north), west, max(south, north), east)
    lat, lon = pl.col("latitude"), pl.col("longitude")
    across = (lon >= west) | (lon <= east)
    within = (lon >= west) & (lon <= east) if west <= east else across
    there = facts.filter(lat.is_between(bounds.south, bounds.north) & within)
    spots = index.clusters(None, bounds, cells)
    assert spots.count.sum() == len(there)
    assert list(spots.count) == sorted(spots.count, reverse=True)
    weighed = float(spots.latitude @ spots.count)
    assert weighed == pytest.approx(float(there["latitude"].sum()), abs=1e-6)
    assert set(spots.ids) <= set(there["id"])
    sides = (spots.extents[:, 2] - spots.extents[:, 0], spots.extents[:, 3] - spots.extents[:, 1])
    assert (sides[0] >= 0).all()
    assert (sides[1] <= 3 * bounds.width / cells + 1e-9).all()
    assert (spots.latitude >= spots.extents[:, 0] - 1e-9).all()
    assert (spots.longitude <= spots.extents[:, 3] + 1e-9).all()


def test_photos_beside_each_other_are_one_spot_on_both_sides_of_an_edge(tmp_path: Path) -> None:
    places = [(0.01, 0.01), (0.01, 0.02), (-0.01, -0.01), (0.01, 5.0)]
    rows = [
        replace(row, facts=replace(row.facts, latitude=lat, longitude=lon))
        for row, (lat, lon) in zip(photos(range(4)), places, strict=True)
    ]
    catalog = Catalog(tmp_path, HEADS, DIM)
    catalog.commit(table(rows))
    spots = PhotoIndex.load(catalog).clusters(None, Bounds(-10, -10, 10, 10), 20)
    assert spots.count.tolist() == [3, 1]
    assert spots.latitude.tolist() == pytest.approx([0.01 / 3, 0.01])
    assert spots.longitude.tolist() == pytest.approx([0.02 / 3, 5.0])
    assert spots.extents.tolist() == [[-0.01, -0.01, 0.01, 0.02], [0.01, 5.0, 0.01, 5.0]]


def test_the_photo_of_a_spot_is_its_newest(index: PhotoIndex, facts: pl.DataFrame) -> None:
    near = facts.filter(pl.col("longitude") == 11.0)
    spots = index.clusters(None, Bounds(47, 10.99, 51, 11.01), 1)
    assert spots.count.sum() == len(near)
    for identifier, count, (south, west, north, east) in zip(
        spots.ids, spots.count, spots.extents, strict=True
    ):
        spot = near.filter(pl.col("latitude").is_between(south, north))
        assert (west, east, count) == (11.0, 11.0, len(spot))
        newest = spot.sort("taken", "id", descending=[True, False], nulls_last=True)
        assert identifier == newest["id"][0]


def test_the_extent_is_the_smallest_that_holds_all_places(
    index: PhotoIndex, facts: pl.DataFrame
) -> None:
    around = sorted(facts["longitude"].drop_nulls().to_list())
    widest = max(b - a for a, b in zip(around, [*around[1:], around[0] + 360], strict=True))
    extent = index.extent()
    assert extent is not None
    assert extent.width == pytest.approx(360 - widest)
    assert (extent.south, extent.north) == (facts["latitude"].min(), facts["latitude"].max())
    assert len(index.matching(extent.filter())) == facts["latitude"].count()
    assert index.extent(index.matching("-has:gps")) is None


def test_the_extent_of_photos_on_both_sides_of_the_date_line_crosses_it(tmp_path: Path) -> None:
    fiji = [photo_like_no_other(n) for n in (1, 2, 3)]
    for row, longitude in zip(fiji, (179.5, -179.5, 178.0), strict=True):
        row.facts = replace(row.facts, latitude=-17.0, longitude=longitude)
    catalog = Catalog(tmp_path, HEADS, DIM)
    catalog.commit(table(fiji))
    index = PhotoIndex.load(catalog)
    assert index.extent() == Bounds(-17.0, 178.0, -17.0, -179.5)
    assert index.extent(index.rows_of(keys_of(point_array([image_id(2)])))) == Bounds(
        -17.0, -179.5, -17.0, -179.5
    )


def test_a_refresh_takes_up_what_came_changed_and_went(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "catalog", HEADS, DIM)
    index = PhotoIndex.load(catalog)
    assert (len(index), index.months(), index.extent()) == (0, [], None)
    assert len(index.sorted_rows(None, "newest")) == len(index.matching("type:jpeg")) == 0
    assert not index.refresh()
    catalog.commit(table(photos(range(10))))
    assert index.refresh()
    held = index.sorted_rows(None, "newest")
    names = index.ids(held)
    catalog.commit(table([*photos(range(10, 20)), broken(900)]), removal([3, 4]))
    moved = photo_like_no_other(7).files[0]._replace(path="/moved/7.jpg")
    catalog.commit(None, [Link(image_id(7), "ok", (moved,))])
    assert index.refresh()
    left = [n for n in range(20) if n not in (3, 4)]
    assert sorted(numbered(index.ids(index.matching(None)), range(20))) == left
    assert numbered(index.ids(index.matching("in:/moved")), range(20)) == [7]
    assert index.ids(held) == names  # a row stays a photo's own
    catalog.commit(None, [Link(image_id(3), "ok", tuple(photo_like_no_other(3).files))])
    index.refresh()
    assert len(index) == len(left) + 1
    assert len(index.columns.ids) == 20


def test_a_refresh_misses_no_removal_whose_row_is_gone_already(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "catalog", HEADS, DIM)
    catalog.commit(table(photos(range(10))))
    index = PhotoIndex.load(catalog)
    catalog.commit(table(photos(range(10, 12))), removal([2, 5]))
    catalog.purge(catalog.revision)
    assert index.refresh()
    assert sorted(numbered(index.ids(index.matching(None)), range(12))) == [
        n for n in range(12) if n not in (2, 5)
    ]


def test_an_index_that_was_refreshed_equals_one_that_is_loaded(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "catalog", HEADS, DIM)
    index = PhotoIndex.load(catalog)
    for start in range(0, 60, 20):
        catalog.commit(table(photos(range(start, start + 20))), removal([start - 1] * (start > 0)))
        index.refresh()
    loaded = PhotoIndex.load(catalog)
    assert index.revision == loaded.revision
    assert index.months() == loaded.months()
    for order in ("newest", "oldest"):
        for filter in ("", "camera:canon", "in:trips", "-has:date"):
            first, second = (
                each.ids(each.sorted_rows(each.matching(filter), order)) for each in (index, loaded)
            )
            assert first == second
