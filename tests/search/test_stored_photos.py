from pathlib import Path

import numpy as np
import pytest

from indexer.catalog.table import Catalog
from search.errors import QueryError
from search.stored_photos import Regions, box_cells, photo_id, pool, pool_patches
from tests.indexer.catalog.catalog_cases import photo, table
from tests.indexer.vector_cases import DIM, HEADS, image_id


def make_regions() -> Regions:
    masks = np.zeros((3, 4, 4), bool)
    masks[0, :2, :2] = True  # the top left quarter
    masks[1, 2:, 2:] = True  # the bottom right one
    masks[2] = True  # all of it
    return Regions(np.eye(3, 5, dtype=np.float32), masks)


def test_cells_are_covered_by_the_part_that_the_box_covers() -> None:
    cells = box_cells((0.25, 0.0, 0.625, 0.5), (2, 4))
    np.testing.assert_allclose(cells, [[0, 1, 0.5, 0], [0, 0, 0, 0]])


def test_a_box_around_a_thing_gives_its_region() -> None:
    np.testing.assert_allclose(pool(make_regions(), (0, 0, 0.5, 0.5)), [1, 0, 0, 0, 0])
    np.testing.assert_allclose(pool(make_regions(), (0.5, 0.45, 1, 1)), [0, 1, 0, 0, 0])


def test_regions_count_with_the_square_of_their_overlap() -> None:
    # A box of the upper half: IoU 4/8 with the quarter, 8/16 with the whole.
    half = pool(make_regions(), (0, 0, 1, 0.5))
    np.testing.assert_allclose(half, np.array([1, 0, 1, 0, 0]) / np.sqrt(2), atol=1e-6)


def test_patches_are_pooled_by_the_covered_part() -> None:
    patches = np.eye(4, 6, dtype=np.float32).reshape(2, 2, 6)
    found = pool_patches(patches, (0, 0, 0.75, 0.5))
    np.testing.assert_allclose(found, np.array([1, 0.5, 0, 0, 0, 0]) / np.sqrt(1.25), atol=1e-6)
    np.testing.assert_allclose(pool_patches(patches, None)[:4], 0.5)


def test_a_box_smaller_than_a_cell_still_has_features() -> None:
    patches = np.eye(4, 6, dtype=np.float32).reshape(2, 2, 6)
    assert pool_patches(patches, (0.6, 0.1, 0.61, 0.11))[1] == pytest.approx(1)


def test_a_photo_on_object_storage_is_named_by_its_url(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "catalog", HEADS, DIM)
    catalog.commit(table([photo(4, folder="s3://bucket/cafe\u0301")]))
    for folder in ("cafe\u0301", "caf\u00e9"):
        assert photo_id(catalog, f"s3://bucket/{folder}/4.jpg") == image_id(4)
    with pytest.raises(QueryError, match="no photo with the id or the path"):
        photo_id(catalog, "s3://bucket/cafe/4.jpg")
