import numpy as np
import pytest

from search.confidence.calibration import NEGATIVE, Calibration, Sample, Side, TermVector, both
from search.confidence.cutoff import OWN, PRIOR, Scale
from search.word_lists import word_list
from tests.search.colours import TEXT_OFFSET, ColourEmbedder, noise, unit


def make_sample(photos: int, each: int = 3) -> Sample:
    """Random unit vectors, none of them like all texts; photo i's regions lie around it."""
    rows = np.stack([noise(f"photo {i}") for i in range(photos)])
    regions = np.stack([noise(f"region {i}") for i in range(photos * each)])
    rows[:, TEXT_OFFSET] = regions[:, TEXT_OFFSET] = 0
    rows = unit(rows)
    regions = unit(regions + rows.repeat(each, axis=0))
    return Sample(rows, regions, np.arange(photos) * each, photos)


@pytest.fixture(scope="module")
def texts() -> np.ndarray:
    return ColourEmbedder().embed_texts(word_list("unrelated"))


def term(vector: np.ndarray, weight: float = 1.0, picture: bool = False) -> TermVector:
    return TermVector(vector, weight, picture)


def test_a_sample_knows_whose_each_region_is() -> None:
    sample = Sample(np.eye(3, 4), np.zeros((6, 4)), np.array([0, 1, 4]), 9)  # type: ignore[arg-type]
    np.testing.assert_array_equal(sample.owners(), [0, 1, 1, 1, 2, 2])


def test_a_single_text_searches_by_its_cosines(texts: np.ndarray) -> None:
    sample = make_sample(50)
    side = Side(sample.photos, None, texts, sample.photos)
    query = noise("query")
    direction = side.direction([term(query)])
    np.testing.assert_allclose(direction.vector, query, atol=1e-6)


def test_terms_weigh_by_how_far_they_spread_the_collection(texts: np.ndarray) -> None:
    sample = make_sample(50)
    side = Side(sample.photos, None, texts, sample.photos)
    word, picture = noise("word"), noise("picture")
    direction = side.direction([term(word, 2.0), term(picture, -1.0, picture=True)])
    a, b = word, picture - sample.photos.mean(axis=0)
    summed = 2 * a / (sample.photos @ a).std() - NEGATIVE * b / (sample.photos @ b).std()
    np.testing.assert_allclose(direction.vector, summed / np.linalg.norm(summed), atol=1e-5)
    assert direction.picture


def test_standard_scores_of_a_direction_follow_the_definition(texts: np.ndarray) -> None:
    sample = make_sample(60)
    side = Side(sample.regions, sample.starts, texts, sample.regions[:20])
    direction = side.direction([term(noise("query"))])
    best = np.array([max(sample.regions[3 * i : 3 * i + 3] @ direction.vector) for i in range(60)])
    low, median = np.quantile(best, [0.15865525, 0.5])
    nulls = texts @ sample.regions.T
    prior = Scale.pooled(nulls.reshape(-1, 60, 3).max(axis=2))
    weight = OWN * 60 / (60 + PRIOR)
    location = weight * median + (1 - weight) * prior.location
    spread = np.sqrt(weight * (median - low) ** 2 + (1 - weight) * prior.spread**2)
    np.testing.assert_allclose(direction.standard(best), (best - location) / spread, atol=1e-4)


@pytest.mark.parametrize("photos", [1, 2, 5, 40, 300])
def test_texts_that_mean_nothing_find_nothing(photos: int, texts: np.ndarray) -> None:
    sample = make_sample(photos)
    calibration = Calibration(sample, texts, texts)
    queries = ColourEmbedder().embed_texts([f"nonsense {i}" for i in range(200)])
    alarms = sum(greatest(calibration, sample, query) >= 1 for query in queries)
    assert alarms <= 10


@pytest.mark.parametrize("photos", [2, 40, 300])
def test_a_photo_made_like_a_text_is_found(photos: int, texts: np.ndarray) -> None:
    sample = make_sample(photos)
    (query,) = ColourEmbedder().embed_texts(["the thing"])
    meant = unit(query - texts.mean(axis=0))
    sample.photos[0] = unit(sample.photos[0] + 2 * meant)
    sample.regions[1] = unit(sample.regions[1] + 2 * meant)
    assert greatest(Calibration(sample, texts, texts), sample, query) >= 1


def greatest(calibration: Calibration, sample: Sample, query: np.ndarray) -> float:
    """The best photo's score, straight from the definition."""
    photo = calibration.sides["images"].direction([term(query)])
    region = calibration.sides["regions"].direction([term(query)])
    photo_z = photo.standard(sample.photos @ photo.vector)
    region_z = region.standard((sample.regions @ region.vector).reshape(-1, 3).max(axis=1))
    return float(calibration.score({"both": both(photo_z, region_z)}, picture=False).max())


def test_the_same_sample_gives_the_same_scores(texts: np.ndarray) -> None:
    sample = make_sample(30)
    z = {"region": np.linspace(-1, 6, 9, dtype=np.float32)}
    first, second = (Calibration(sample, texts, texts) for _ in range(2))
    np.testing.assert_array_equal(
        first.score(z, picture=True),  # type: ignore[arg-type]
        second.score(z, picture=True),  # type: ignore[arg-type]
    )
