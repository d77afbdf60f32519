from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from indexer.catalog.table import Catalog
from indexer.collection import Collection
from indexer.vectors import VectorStore, image_point_id, region_point_id
from search.confidence import sample as module
from search.confidence.calibration import asked
from search.confidence.sample import FILE, EmptySampleError, ask_all, calibrate, draw_sample
from search.query_encoder import QueryEncoder
from search.word_lists import word_list
from tests.search.colours import ColourEmbedder


@pytest.fixture(scope="module")
def catalog(collection_folder: Path) -> Catalog:
    return Collection.open(collection_folder).catalog()


@pytest.fixture(scope="module")
def store(collection_folder: Path) -> Iterator[VectorStore]:
    opened = Collection.open(collection_folder).vectors(read_only=True)
    yield opened
    opened.close()


def test_the_sample_is_the_photos_with_the_smallest_ids(
    catalog: Catalog, store: VectorStore
) -> None:
    sample = draw_sample(catalog, "web", population=40, photos=7)
    ids = sorted(catalog.ids())[:7]
    points = [image_point_id(key) for key in ids]
    np.testing.assert_allclose(sample.photos, store.vectors("images", points, "web"), atol=2e-3)
    assert sample.photos.shape == (7, 32)
    first = [region_point_id(key, 0) for key in ids]
    stored = store.vectors("regions", first, "region")
    np.testing.assert_allclose(sample.regions[sample.starts], stored, atol=2e-3)
    assert sample.population == 40


def test_an_empty_catalog_has_no_sample(tmp_path: Path) -> None:
    collection = Collection.create(tmp_path / "c", ColourEmbedder().info)
    with pytest.raises(EmptySampleError):
        draw_sample(collection.catalog(), "web", population=0)


def test_a_kept_calibration_needs_neither_the_model_nor_the_catalog(
    tmp_path: Path, catalog: Catalog, store: VectorStore
) -> None:
    model = ColourEmbedder()
    first = calibrate(tmp_path, catalog, store, QueryEncoder(model))
    assert len(model.texts_seen) == 2 * len(word_list("unrelated"))
    again = calibrate(tmp_path, None, store, QueryEncoder(model))  # type: ignore[arg-type]
    assert len(model.texts_seen) == 2 * len(word_list("unrelated"))
    z = {"region": np.linspace(-1, 6, 9, dtype=np.float32)}
    np.testing.assert_allclose(
        first.score(z, picture=True),  # type: ignore[arg-type]
        again.score(z, picture=True),  # type: ignore[arg-type]
        atol=0.05,
    )


def test_another_model_or_a_damaged_file_is_calibrated_anew(
    tmp_path: Path, catalog: Catalog, store: VectorStore
) -> None:
    calibrate(tmp_path, catalog, store, QueryEncoder(ColourEmbedder()))
    other = ColourEmbedder(seed=1)
    calibrate(tmp_path, catalog, store, QueryEncoder(other))
    assert other.texts_seen
    (tmp_path / FILE).write_bytes((tmp_path / FILE).read_bytes()[:5000])
    again = ColourEmbedder(seed=1)
    calibrate(tmp_path, catalog, store, QueryEncoder(again))
    assert again.texts_seen
    assert [entry.name for entry in tmp_path.iterdir()] == [FILE]


WRONG = {
    "photos": np.zeros((3, 5), np.float32),
    "regions": np.full((2, 32), np.nan, np.float16),
    "photo_texts": np.zeros((7, 32), np.float32),
    "region_texts": np.array("x"),
    "starts": np.array([0, 5, 3]),
    "population": np.array([1.5, 2.5]),
    "tops_images": np.zeros(3, np.float32),
    "tops_regions": np.array(["a"]),
}


@pytest.mark.parametrize("name", WRONG)
def test_arrays_that_fit_nothing_are_made_anew(
    name: str, tmp_path: Path, catalog: Catalog, store: VectorStore
) -> None:
    calibrate(tmp_path, catalog, store, QueryEncoder(ColourEmbedder()))
    with np.load(tmp_path / FILE) as file:
        made = dict(file)
    np.savez(tmp_path / FILE, **{**made, name: WRONG[name]})
    again = ColourEmbedder()
    calibrate(tmp_path, catalog, store, QueryEncoder(again))
    assert again.texts_seen
    with np.load(tmp_path / FILE) as file:
        assert file.keys() == made.keys()
        np.testing.assert_array_equal(file["photos"], made["photos"])


def test_a_folder_that_cannot_be_written_is_searched_all_the_same(
    tmp_path: Path, catalog: Catalog, store: VectorStore
) -> None:
    missing = tmp_path / "not there"
    calibration = calibrate(missing, catalog, store, QueryEncoder(ColourEmbedder()))
    assert len(calibration.sides["images"].scores(calibration.sides["images"].texts)[0]) == 40
    assert not missing.exists()


def test_the_whole_collection_is_asked_for_its_best(catalog: Catalog, store: VectorStore) -> None:
    texts = ColourEmbedder().embed_texts([f"word {i}" for i in range(60)])
    tops = ask_all(store, "web", texts, texts)
    every = draw_sample(catalog, "web", population=40, photos=40)
    rows = asked(60)
    assert len(rows) == 48
    np.testing.assert_allclose(tops["images"], (every.photos @ texts[rows].T).max(0), atol=2e-3)
    np.testing.assert_allclose(tops["regions"], (every.regions @ texts[rows].T).max(0), atol=2e-3)


def test_a_collection_larger_than_its_sample_raises_the_line(
    tmp_path: Path, catalog: Catalog, store: VectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = QueryEncoder(ColourEmbedder())
    small = draw_sample(catalog, "web", population=10, photos=10)
    monkeypatch.setattr(module.draw_sample, "__defaults__", (10,))
    grown = calibrate(tmp_path, catalog, store, encoder)
    alone = module.Calibration(small, *module.unrelated_texts(encoder))
    z = {"region": np.linspace(0, 6, 9, dtype=np.float32)}
    z["both"] = z["region"]
    assert (grown.score(z, picture=False) < alone.score(z, picture=False)).all()  # type: ignore[arg-type]
    # Kept beside the collection, and read again.
    again = calibrate(tmp_path, None, store, encoder)  # type: ignore[arg-type]
    np.testing.assert_allclose(
        again.score(z, picture=False),  # type: ignore[arg-type]
        grown.score(z, picture=False),  # type: ignore[arg-type]
        atol=0.05,
    )
