"""Counts of facets and folders, held against polars on the catalog's own table."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from indexer.catalog.table import Catalog
from indexer.folders.paths import folders as folders_above
from search.browse.columns import Rows
from search.browse.facets import FacetValue, Field, facets, folder, narrowed, subfolders
from search.browse.index import PhotoIndex
from search.browse.selection import Choices
from tests.indexer.catalog.catalog_cases import table
from tests.indexer.vector_cases import DIM, HEADS
from tests.search.browse.browse_cases import PHOTOS, photos

EXPRESSIONS: dict[Field, pl.Expr] = {
    "cameras": pl.col("camera"),
    "lenses": pl.col("lens"),
    "types": pl.col("format").str.to_lowercase(),
    "years": pl.col("taken").dt.year(),
}


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    made = Catalog(tmp_path_factory.mktemp("facets"), HEADS, DIM)
    made.commit(table(photos(range(PHOTOS))))
    return made


@pytest.fixture(scope="module")
def index(catalog: Catalog) -> PhotoIndex:
    return PhotoIndex.load(catalog)


@pytest.fixture(scope="module")
def facts(catalog: Catalog) -> pl.DataFrame:
    return catalog.photos(list(catalog.ids()))


@pytest.fixture(scope="module")
def found(index: PhotoIndex) -> Rows:
    """What a search may have found."""
    return np.random.default_rng(4).permutation(PHOTOS)[:70].astype(np.int64)


def chosen_by(field: Field, values: tuple[str | int, ...]) -> pl.Expr:
    return EXPRESSIONS[field].is_in(values).fill_null(False) if values else pl.lit(True)


@pytest.mark.parametrize(
    "choices",
    [
        Choices(),
        Choices(cameras=("Canon EOS R5",)),
        Choices(cameras=("Canon EOS R5", "Pixel 8"), years=(2020,)),
        Choices(cameras=("Nikon Z6",), types=("png",), lenses=("Lens 2", "Lens 0")),
    ],
)
def test_a_field_is_counted_under_the_choices_in_the_others(
    index: PhotoIndex, facts: pl.DataFrame, found: Rows, choices: Choices
) -> None:
    among = facts.filter(pl.col("id").is_in(index.ids(found)))
    for field, values in facets(index, choices, found).items():
        conditions = [
            chosen_by(other, getattr(choices, other)) for other in EXPRESSIONS if other != field
        ]
        counted = among.filter(conditions).group_by(EXPRESSIONS[field].alias("v")).len()
        expected = dict(counted.drop_nulls().iter_rows())
        assert {each.value: each.count for each in values if each.count} == expected
        assert {each.value for each in values if each.chosen} == set(getattr(choices, field))
        keys = [(-each.count, str(each.value)) for each in values]
        assert field == "years" or keys == sorted(keys)


def test_years_come_in_order_and_the_values_are_limited(index: PhotoIndex) -> None:
    years = [each.value for each in facets(index, Choices())["years"]]
    assert years == sorted(years, reverse=True)
    assert len(years) > 3
    assert [len(values) for values in facets(index, Choices(), limit=1).values()] == [1, 1, 1, 1]


def test_what_is_chosen_is_among_the_values_even_if_nothing_has_it(index: PhotoIndex) -> None:
    choices = Choices(cameras=("Leica M6",), years=(1999,))
    values = facets(index, choices)
    assert FacetValue("Leica M6", 0, True) in values["cameras"]
    assert FacetValue(1999, 0, True) in values["years"]
    assert values["lenses"] == ()


def test_a_choice_is_of_this_camera_and_no_longer_name(index: PhotoIndex) -> None:
    assert len(narrowed(index, Choices(cameras=("Canon",)))) == 0
    both = narrowed(index, Choices(cameras=("Pixel 8",), rest="-has:gps | has:lens"))
    assert set(both) == set(index.matching("camera:pixel -has:gps | camera:pixel has:lens"))


def test_narrowing_keeps_the_order_and_leaves_one_field_out(index: PhotoIndex, found: Rows) -> None:
    choices = Choices(years=(2020,), months=("2020-02", "2020-02"), types=("jpeg",))
    kept = narrowed(index, choices, found)
    place = {row: place for place, row in enumerate(found)}
    assert [place[row] for row in kept] == sorted(place[row] for row in kept)
    wider = narrowed(index, choices, found, without="months")
    assert set(kept) < set(wider)
    assert set(wider) == set(index.matching("date:2020 type:jpeg", found))


@pytest.mark.parametrize("parent", ["/", "/photos", "/photos/trips", "/b", "/photos/trips/Rome"])
def test_folders_are_counted_one_level_at_a_time(
    index: PhotoIndex, facts: pl.DataFrame, found: Rows, parent: str
) -> None:
    above: dict[str, set[str]] = {}
    for identifier, files in facts.select("id", "files").iter_rows():
        for file in files:
            for path in folders_above(file["path"]):
                above.setdefault(path, set()).add(identifier)
    among = set(index.ids(found))
    expected = {}
    for path, ids in above.items():
        if path != "/" and path.rpartition("/")[0] == parent.rstrip("/") and ids & among:
            expected[path] = len(ids & among)
    seen = subfolders(index, parent, found)
    assert {each.path: each.count for each in seen} == expected
    for each in seen:
        below = any(p.startswith(each.path + "/") and i & among for p, i in above.items())
        assert each.deeper == below
        assert folder(index, each.path, found) == each
        assert each.name == each.path.rsplit("/", 1)[1]
    assert folder(index, parent).count == len(above[parent])


def test_the_whole_disk_is_a_folder_too(index: PhotoIndex) -> None:
    root = folder(index, "/")
    assert (root.name, root.count, root.deeper) == ("/", PHOTOS, True)
    assert [each.path for each in subfolders(index, "/")] == ["/b", "/Photos", "/photos"]
    assert folder(index, "/phot").count == 0
