"""The ranking of photos and places against one that looks at every vector, photo by photo."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from indexer.edge.store import EdgeStore
from indexer.vectors import Match, PointBatch, image_point_id, region_point_id
from search import ranking
from search.confidence.calibration import Calibration, Direction, Sample, TermVector
from search.ranking import By, Ranker
from tests.indexer.vector_cases import image_id, unit

DIM, PHOTOS, REGIONS = 24, 90, 5
VECTORS = unit(1, PHOTOS, DIM)
PLACES = unit(2, PHOTOS * REGIONS, DIM).reshape(PHOTOS, REGIONS, DIM)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> EdgeStore:
    folder: Path = tmp_path_factory.mktemp("ranking")
    opened = EdgeStore(folder, heads=["web"], dim=DIM, model_id="m", read_only=False)
    facts = [{"image": image_id(n), "camera": f"camera-{n % 3}"} for n in range(PHOTOS)]
    ids = [image_point_id(image_id(n)) for n in range(PHOTOS)]
    places = [region_point_id(image_id(n), k) for n in range(PHOTOS) for k in range(REGIONS)]
    with opened.writer() as writer:
        writer.upsert("images", PointBatch(ids, {"web": VECTORS}, facts))
        rows = PLACES.reshape(-1, DIM)
        repeated = [fact for fact in facts for _ in range(REGIONS)]
        writer.upsert("regions", PointBatch(places, {"region": rows}, repeated))
        writer.commit(1)
    return opened


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    starts = np.arange(PHOTOS) * REGIONS
    sample = Sample(VECTORS, PLACES.reshape(-1, DIM), starts, PHOTOS)
    return Calibration(sample, unit(3, 60, DIM), unit(4, 60, DIM))


@pytest.fixture(scope="module")
def directions(calibration: Calibration) -> tuple[Direction, Direction]:
    """Of one query, among photos and among regions."""
    photo, region = (
        calibration.sides[kind].direction([TermVector(unit(seed, 1, DIM)[0], 1.0, False)])
        for kind, seed in (("images", 5), ("regions", 6))
    )
    return photo, region


def slowly(
    calibration: Calibration, photo: Direction, region: Direction, by: By, only: range
) -> dict[str, tuple[float, list[int]]]:
    """Photo -> its score, and its regions best first; formulas of `search/confidence/cutoff.py`."""
    answer = {}
    for n in only:
        z_photo = (float(VECTORS[n] @ photo.vector) - photo.location) / photo.spread
        cosines = [float(place @ region.vector) for place in PLACES[n]]
        z_places = [(cosine - region.location) / region.spread for cosine in cosines]

        def score(**z: float) -> float:
            arrays = {kind: np.array([value], np.float32) for kind, value in z.items()}
            return float(calibration.score(arrays, picture=False)[0])  # type: ignore[arg-type]

        of_places = [
            score(region=z_place, both=(z_photo + z_place) / math.sqrt(2)) for z_place in z_places
        ]
        best = max(z_places)
        whole = score(both=(z_photo + best) / math.sqrt(2))
        order = sorted(range(REGIONS), key=lambda k: -of_places[k])
        answer[image_id(n)] = (max(of_places) if by == "place" else whole, order)
    return answer


@pytest.mark.parametrize("by", ["photo", "place"])
@pytest.mark.parametrize("filtered", [False, True])
def test_a_ranking_of_all_equals_one_photo_by_photo(
    store: EdgeStore,
    calibration: Calibration,
    directions: tuple[Direction, Direction],
    by: By,
    filtered: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ranking, "PHOTOS", 4)  # it goes deeper until it has seen all
    monkeypatch.setattr(ranking, "REGIONS_PER_PHOTO", REGIONS + 1)
    filter = Match("camera", ("camera-1",)) if filtered else None
    only = range(1, PHOTOS, 3) if filtered else range(PHOTOS)
    ranker = Ranker(store, calibration, "web")
    ranked = ranker.rank(by, *directions, filter, wanted=PHOTOS + 1)
    truth = slowly(calibration, *directions, by, only)
    ids = ranked.image_ids(slice(None))
    assert ranked.complete
    assert sorted(ids) == sorted(truth)
    np.testing.assert_allclose(ranked.photo_scores, [truth[i][0] for i in ids], atol=5e-3)
    assert (np.diff(ranked.photo_scores) <= 0).all()
    assert (np.diff(ranked.region_scores) <= 0).all()
    for rank, photo_id in enumerate(ids):
        own = ranked.owners == rank
        found, expected = ranked.regions[own].tolist(), truth[photo_id][1]
        assert sorted(found) == sorted(expected)
        assert found[0] == expected[0]


@pytest.mark.parametrize("wanted", [0, 1, 10])
@pytest.mark.parametrize("number", [3, 40])
def test_wanted_and_confident_photos_are_ranked_as_by_all_vectors_although_few_were_looked_at(
    store: EdgeStore,
    calibration: Calibration,
    wanted: int,
    number: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ranking, "PHOTOS", 20)
    # A photo that is found for sure, and two of its places.
    vectors = (VECTORS[number], PLACES[number, :2].sum(axis=0) / 2**0.5)
    photo, region = (
        calibration.sides[kind].direction([TermVector(vector, 1.0, False)])
        for kind, vector in zip(("images", "regions"), vectors, strict=True)
    )
    truth = slowly(calibration, photo, region, "photo", range(PHOTOS))
    best = sorted(truth, key=lambda i: -truth[i][0])
    confident = sum(score >= 1 for score, _ in truth.values())
    ranked = Ranker(store, calibration, "web").rank("photo", photo, region, None, wanted)
    assert not ranked.complete
    assert ranked.confident() == confident >= 1
    assert ranked.image_ids(slice(0, max(1, confident))) == best[: max(1, confident)]
    expected = [truth[i][0] for i in ranked.image_ids(slice(0, confident))]
    np.testing.assert_allclose(ranked.photo_scores[:confident], expected, atol=5e-3)


def test_no_confident_photo_is_missed_when_its_places_are_not_among_the_first(
    store: EdgeStore, calibration: Calibration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranking, "PHOTOS", 4)
    ranker = Ranker(store, calibration, "web")
    chance = np.random.default_rng(0)
    found = 0
    for _ in range(60):
        a, b, *others = chance.permutation(PHOTOS)[:6]
        # Near two photos, one of whose places lie behind those of many others.
        places = 0.8 * PLACES[a, 0] + 0.4 * PLACES[b, 0] + PLACES[others, 1].sum(axis=0)
        vectors = VECTORS[a] + 0.8 * VECTORS[b], places
        photo, region = (
            calibration.sides[kind].direction([TermVector(v / np.linalg.norm(v), 1.0, False)])
            for kind, v in zip(("images", "regions"), vectors, strict=True)
        )
        truth = slowly(calibration, photo, region, "photo", range(PHOTOS))
        confident = {i for i, (score, _) in truth.items() if score >= 1}
        ranked = ranker.rank("photo", photo, region, None, 0)
        assert set(ranked.image_ids(slice(0, ranked.confident()))) == confident
        found += len(confident)
    assert found >= 50


def test_ids_are_those_of_the_ranks_asked(
    store: EdgeStore, calibration: Calibration, directions: tuple[Direction, Direction]
) -> None:
    ranker = Ranker(store, calibration, "web")
    few = ranker.rank("photo", *directions, None, wanted=3)
    assert few.image_ids(slice(2, 2)) == []
    assert few.image_ids(slice(0, 3)) == few.image_ids(slice(None))[:3]
