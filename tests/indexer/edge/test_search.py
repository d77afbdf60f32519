"""Several shards and segments answer as one scan of all points does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from indexer.edge import compaction
from indexer.edge import layout as edge_layout
from indexer.edge import search as edge_search
from indexer.edge.store import EdgeStore
from indexer.vectors import (
    Match,
    PointBatch,
    VectorError,
    VectorHits,
    image_key,
    image_point_array,
    image_point_id,
    point_array,
    point_keys,
    point_texts,
    region_numbers,
    region_point_id,
)
from tests.indexer.vector_cases import image_id, unit

DIM = 16
PHOTOS = 300
SHARDS = 6


def open_store(folder: Path) -> EdgeStore:
    return EdgeStore(folder, heads=["web"], dim=DIM, model_id="m", read_only=False)


def batch(numbers: range, vectors: np.ndarray) -> PointBatch:
    return PointBatch(
        [image_point_id(image_id(n)) for n in numbers],
        {"web": vectors[numbers.start : numbers.stop]},
        [{"image": image_id(n), "camera": f"camera-{n % 3}"} for n in numbers],
    )


@pytest.fixture(scope="module")
def alike_lie_together() -> np.ndarray:
    """(PHOTOS, D): what one query finds is all in one shard, as with photos of one day."""
    vectors = unit(1, PHOTOS, DIM)
    centres = np.repeat(unit(2, SHARDS, DIM), PHOTOS // SHARDS, axis=0)
    vectors = vectors + 2 * centres
    result: np.ndarray = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype("f4")
    return result


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, alike_lie_together: np.ndarray) -> EdgeStore:
    """Six shards; every seventh photo is dead in its shard and lives, turned round, in another."""
    opened = open_store(tmp_path_factory.mktemp("shards"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compaction, "FAN", 1000)
        patch.setattr(compaction, "MAX_DEAD_SHARE", 1.0)
        for shard in range(SHARDS):
            step = PHOTOS // SHARDS
            with opened.writer() as writer:
                writer.upsert(
                    "images", batch(range(shard * step, (shard + 1) * step), alike_lie_together)
                )
                writer.commit(shard + 1)
        with opened.writer() as writer:
            for n in range(0, PHOTOS, 7):
                writer.upsert("images", batch(range(n, n + 1), -alike_lie_together))
            writer.commit(SHARDS + 1)
    return opened


@pytest.fixture(scope="module")
def living(alike_lie_together: np.ndarray) -> np.ndarray:
    """(PHOTOS, D): what the store should hold."""
    vectors = alike_lie_together.copy()
    vectors[::7] *= -1
    return vectors


@pytest.mark.parametrize("limit", [1, 7, 60, PHOTOS - 1, PHOTOS, PHOTOS + 50])
@pytest.mark.parametrize("margin", [0, 32])
def test_asking_shards_for_shares_loses_nothing(
    store: EdgeStore, living: np.ndarray, limit: int, margin: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge_search, "_MORE", 1.0)
    monkeypatch.setattr(edge_search, "_MARGIN", margin)
    queries = np.concatenate([unit(2, SHARDS, DIM), unit(3, 4, DIM)])
    assert store.count("images") == PHOTOS
    for query, hits in zip(
        queries, store.search("images", queries, using="web", limit=limit), strict=True
    ):
        cosines = living @ query
        best = np.argsort(-cosines)[:limit]
        np.testing.assert_allclose(hits.scores, cosines[best], atol=1e-3)
        assert len(set(hits.ids)) == len(hits.ids) == min(limit, PHOTOS)
        numbers = {image_key(image_id(n)): n for n in range(PHOTOS)}
        found = [numbers[image_key(i)] for i in hits.ids]
        np.testing.assert_allclose(cosines[found], hits.scores, atol=1e-3)


def test_filtered_answers_are_as_complete(store: EdgeStore, living: np.ndarray) -> None:
    query, filter = unit(2, 1, DIM), Match("camera", ("camera-1",))
    (hits,) = store.search("images", query, using="web", filter=filter, limit=40)
    cosines = np.sort(living[1::3] @ query[0])[::-1]
    np.testing.assert_allclose(hits.scores, cosines[:40], atol=1e-3)
    assert store.count("images", filter) == PHOTOS // 3


def test_many_points_that_are_alike_are_not_all_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "FAN", 1000)
    store, same = open_store(tmp_path), np.repeat(unit(1, 1, DIM), 400, axis=0)
    for shard in range(2):
        with store.writer() as writer:
            writer.upsert("images", batch(range(shard * 200, shard * 200 + 200), same))
            writer.commit(shard + 1)
    asked, nearest = list[int](), edge_search.OpenShard.nearest

    def noted(self: edge_search.OpenShard, *arguments: Any) -> list[edge_search.Answer]:
        asked.append(arguments[-1])
        return nearest(self, *arguments)

    monkeypatch.setattr(edge_search.OpenShard, "nearest", noted)
    (hits,) = store.search("images", unit(1, 1, DIM), using="web", limit=100)
    assert len(set(hits.ids)) == 100
    assert max(asked) <= 200


def test_scores_and_payloads_of_named_points_come_from_where_they_live(
    store: EdgeStore, living: np.ndarray
) -> None:
    numbers = [7, 290, 8, 0, 100, 14]
    points = point_array([image_point_id(image_id(n)) for n in numbers])
    query = unit(5, 1, DIM)[0]
    scores = store.scores("images", points, query, using="web")
    np.testing.assert_allclose(scores, living[numbers] @ query, atol=1e-3)
    assert store.payloads("images", points, ["image"]) == [{"image": image_id(n)} for n in numbers]
    stranger = point_array([image_point_id(image_id(PHOTOS))])
    for ask in (
        lambda: store.scores("images", stranger, query, using="web"),
        lambda: store.payloads("images", stranger),
    ):
        with pytest.raises(VectorError, match=point_texts(stranger)[0]):
            ask()


def test_points_as_bytes_keep_what_their_ids_say() -> None:
    image = image_id(3)[:28] + "0000"  # zeros at the end must not be lost
    ids = [image_point_id(image), region_point_id(image, 0), region_point_id(image, 254)]
    points = point_array(ids)
    assert point_texts(points) == ids
    assert region_numbers(points).tolist() == [-1, 0, 254]
    keys = point_keys(points)
    assert len(np.unique(keys)) == 1
    assert point_texts(image_point_array(keys)) == [ids[0]] * 3
    assert point_texts(points[:0]) == []


def test_wide_vectors_take_fewer_bytes_and_are_found_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge_layout, "QUANTISE_FROM", 1000)
    wide = 512
    vectors = unit(1, 1500, wide) + 2 * unit(2, 30, wide).repeat(50, axis=0)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    store = EdgeStore(tmp_path, heads=["web"], dim=wide, model_id="m", read_only=False)
    with store.writer() as writer:
        writer.upsert("images", batch(range(1500), vectors))
        writer.commit(1)
    queries = unit(2, 20, wide) + unit(3, 20, wide)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    ids = np.array([image_point_id(image_id(n)) for n in range(1500)])
    for query, hits in zip(
        queries, store.search("images", queries, using="web", limit=20), strict=True
    ):
        cosines = vectors @ query
        best = ids[np.argsort(-cosines)[:20]]
        assert len(set(best) & set(hits.ids)) >= 19
        own = [int(np.flatnonzero(ids == i)[0]) for i in hits.ids]
        np.testing.assert_allclose(hits.scores, cosines[own], atol=4e-3)
    kept = store.vectors("images", ids[:9].tolist(), "web")
    assert (kept * vectors[:9]).sum(axis=1).min() > 0.999
    (codes,) = tmp_path.glob("shard-*/segments/*/vector_storage-web/quantized.data")
    assert codes.stat().st_size < 1500 * wide / 3


def segments(folder: Path) -> int:
    """Segments with codes in all shards."""
    return len(list(folder.glob("shard-*/segments/*/vector_storage-web/quantized.config.json")))


def test_large_shards_are_several_segments_and_answer_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge_layout, "SEGMENT_POINTS", 256)
    monkeypatch.setattr(edge_layout, "QUANTISE_FROM", 200)
    monkeypatch.setattr(compaction, "FAN", 2)
    vectors, store = unit(1, 1100, DIM), open_store(tmp_path)

    def check() -> None:
        query = unit(9, 3, DIM)
        for row, hits in zip(
            query, store.search("images", query, using="web", limit=30), strict=True
        ):
            best: VectorHits = hits
            exact = np.sort(vectors @ row)[::-1][:30]
            np.testing.assert_allclose(best.scores, exact, atol=2e-3)
        assert store.count("images") == 1100

    with store.writer() as writer:
        for start in range(0, 1100, 100):
            writer.upsert("images", batch(range(start, start + 100), vectors))
        vectors[:50] *= -1  # lie in a segment that is finished already
        writer.upsert("images", batch(range(50), vectors))
        writer.commit(1)
    assert segments(tmp_path) >= 4
    check()
    vectors[500:1050] *= -1
    with store.writer() as writer:
        writer.upsert("images", batch(range(500, 1050), vectors))
        writer.commit(2)
    check()
    assert segments(tmp_path) >= 4
    assert len(list(tmp_path.glob("shard-*"))) <= 2
