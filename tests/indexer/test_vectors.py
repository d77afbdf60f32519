"""What both engines must do alike: one suite for the embedded store and the server."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from indexer.edge.store import EdgeStore
from indexer.engines import open_vectors
from indexer.server.store import ServerStore
from indexer.vectors import (
    KINDS,
    Kind,
    Match,
    PointBatch,
    VectorError,
    VectorStore,
    image_point_id,
    region_point_id,
)
from tests.indexer.server.qdrant import CLIENTS, qdrant
from tests.indexer.vector_cases import (
    DIM,
    FILTERS,
    HEADS,
    Model,
    facts,
    image_id,
    images,
    regions,
    unit,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore:Payload indexes have no effect"),
    pytest.mark.filterwarnings("ignore:Local mode performs exact"),
]
Opener = Callable[..., VectorStore]
USING: dict[Kind, str] = {"images": "caption", "regions": "region"}


ENGINES = ["edge", *CLIENTS]


@contextmanager
def engine(name: str, folder: Path) -> Iterator[Opener]:
    """A function that opens the same store again and again."""
    settings = {"heads": HEADS, "dim": DIM, "model_id": "model-a", "read_only": False}
    if name == "edge":
        yield lambda **changes: EdgeStore(folder / "vectors", **{**settings, **changes})
        return
    with qdrant(name) as (client, prefix, parallel):
        settings["parallel"] = parallel
        yield lambda **changes: ServerStore(client, prefix, **{**settings, **changes})


def fill(store: VectorStore) -> Model:
    """Forty photos from three publishes, of which some were replaced and some removed."""
    model = Model()
    with store.writer() as writer:
        model.upsert(writer, "images", images(range(20)))
        model.upsert(writer, "regions", regions(range(20)))
        writer.commit(1)
    with store.writer() as writer:
        model.upsert(writer, "images", images(range(15, 30), version=1))
        model.upsert(writer, "regions", regions(range(15, 30), version=1, each=2))
        model.remove(writer, [image_id(2), image_id(16), image_id(999)])
        writer.commit(2)
    with store.writer() as writer:
        model.upsert(writer, "images", images(range(30, 40)))
        model.upsert(writer, "regions", regions(range(30, 40)))
        writer.commit(3)
    store.refresh()
    return model


@pytest.fixture(params=ENGINES)
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opener]:
    with engine(request.param, tmp_path) as open_store:
        yield open_store


@pytest.fixture
def store(opener: Opener) -> VectorStore:
    return opener()


@pytest.fixture
def filled(store: VectorStore) -> tuple[VectorStore, Model]:
    """For tests that write."""
    return store, fill(store)


@pytest.fixture(scope="module", params=ENGINES)
def published(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[VectorStore, Model]]:
    """The same as `filled`, shared by the tests that only read."""
    with warnings.catch_warnings(), engine(request.param, tmp_path_factory.mktemp("s")) as opener:
        warnings.filterwarnings("ignore", "Payload indexes have no effect")
        store = opener()
        yield store, fill(store)


def assert_same(store: VectorStore, model: Model, filter_name: str | None = None) -> None:
    filter = FILTERS[filter_name] if filter_name else None
    queries = unit(5, 3)
    for kind in KINDS:
        assert store.count(kind, filter) == len(model.matching(kind, filter))
        answers = store.search(kind, queries, using=USING[kind], filter=filter, limit=12)
        for query, hits in zip(queries, answers, strict=True):
            # float16 may swap neighbours: the scores are right, and each hit has the one it claims.
            expected = model.search(kind, query, USING[kind], filter, 12)
            np.testing.assert_allclose(hits.scores, [score for _, score in expected], atol=5e-4)
            found = [model.points[kind][i] for i in hits.ids]
            truth = [vectors[USING[kind]] @ query for vectors, _ in found]
            np.testing.assert_allclose(hits.scores, truth, atol=5e-4)
            assert store.payloads(kind, hits.points) == [payload for _, payload in found]
            again = store.scores(kind, hits.points[::-1], query, using=USING[kind])
            np.testing.assert_allclose(again[::-1], hits.scores, atol=1e-5)
            assert len(set(hits.ids)) == len(hits.ids)
            assert set(hits.ids) <= set(model.matching(kind, filter))


def test_a_store_that_was_never_published_is_empty(store: VectorStore) -> None:
    assert store.revision == 0
    assert [store.count(kind) for kind in KINDS] == [0, 0]
    (hits,) = store.search("images", unit(1, 1), using="web", limit=5)
    assert (hits.ids, hits.scores.shape) == ([], (0,))
    assert store.payloads("images", hits.points) == []
    assert store.scores("images", hits.points, unit(1, 1)[0], using="web").shape == (0,)
    assert store.facet("camera") == []
    assert list(store.scroll_ids("regions")) == []
    assert store.vectors("images", [], "web").shape == (0, DIM)


def test_search_count_and_payload_equal_brute_force(published: tuple[VectorStore, Model]) -> None:
    store, model = published
    assert store.revision == 3
    assert_same(store, model)


@pytest.mark.parametrize("name", FILTERS)
def test_every_filter_means_what_it_says(published: tuple[VectorStore, Model], name: str) -> None:
    assert_same(*published, name)


def test_the_filters_of_the_suite_are_not_all_trivial() -> None:
    model = Model()
    model.points["images"] = {str(n): ({}, facts(n)) for n in range(40)}
    kept = {name: len(model.matching("images", FILTERS[name])) for name in FILTERS}
    trivial = {name for name, count in kept.items() if count in (0, 40)}
    assert trivial == {"no value", "unknown value", "all of nothing", "any of nothing"}


def test_each_head_is_searched_with_its_own_vectors(published: tuple[VectorStore, Model]) -> None:
    store, model = published
    point_id, (vectors, _) = next(iter(model.points["images"].items()))
    for head in HEADS:
        (hits,) = store.search("images", vectors[head][None], using=head, limit=1)
        assert hits.ids == [point_id]
        assert hits.scores[0] == pytest.approx(1, abs=1e-3)


def test_vectors_come_back_in_the_order_asked(published: tuple[VectorStore, Model]) -> None:
    store, model = published
    ids = sorted(model.points["regions"])[::-1][:50]
    found = store.vectors("regions", [*ids, ids[0]], "region")
    expected = np.stack([model.points["regions"][i][0]["region"] for i in [*ids, ids[0]]])
    np.testing.assert_allclose(found, expected, atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)


def test_the_vector_of_a_removed_point_is_refused(published: tuple[VectorStore, Model]) -> None:
    gone = image_point_id(image_id(2))
    with pytest.raises(VectorError, match=gone):
        published[0].vectors("images", [gone], "web")


def test_all_ids_are_scrolled_once(published: tuple[VectorStore, Model]) -> None:
    store, model = published
    for kind in KINDS:
        ids = [i for page in store.scroll_ids(kind) for i in page]
        assert sorted(ids) == sorted(model.points[kind])


@pytest.mark.parametrize("name", [None, "has", "not a camera"])
@pytest.mark.parametrize("field", ["camera", "folders", "year", "type"])
def test_facets_count_images(
    published: tuple[VectorStore, Model], field: str, name: str | None
) -> None:
    store, model = published
    filter = FILTERS[name] if name else None
    counts: dict[str | int, int] = {}
    for point_id in model.matching("images", filter):
        value = model.points["images"][point_id][1].get(field, [])
        for entry in value if isinstance(value, list) else [value]:
            counts[entry] = counts.get(entry, 0) + 1
    facet = store.facet(field, filter)
    assert dict(facet) == counts
    assert [count for _, count in facet] == sorted(counts.values(), reverse=True)
    assert store.facet(field, filter, limit=1) == facet[:1]


def test_publishing_the_same_twice_changes_nothing(filled: tuple[VectorStore, Model]) -> None:
    store, model = filled
    for _ in range(2):
        with store.writer() as writer:
            model.upsert(writer, "images", images(range(30, 40)))
            model.upsert(writer, "regions", regions(range(30, 40)))
            writer.commit(4)
    store.refresh()
    assert_same(store, model)


def test_an_image_upserted_twice_in_one_publish_appears_once(store: VectorStore) -> None:
    model = Model()
    with store.writer() as writer:
        for version, each in ((0, 4), (1, 2)):
            model.upsert(writer, "images", images(range(3), version))
            model.upsert(writer, "regions", regions(range(3), version, each))
        model.remove(writer, [image_id(1)])
        writer.commit(1)
    store.refresh()
    assert_same(store, model)


def test_a_rebuild_replaces_everything(filled: tuple[VectorStore, Model], opener: Opener) -> None:
    store, _ = filled
    reader, model = opener(), Model()
    assert reader.revision == 3
    with store.writer(rebuild=True) as writer:
        model.upsert(writer, "images", images(range(5, 9), version=2))
        model.upsert(writer, "regions", regions(range(5, 9), version=2))
        assert reader.count("images") == 38  # nothing is to be seen before the commit
        writer.commit(9)
    assert reader.refresh()
    assert reader.revision == 9
    assert_same(reader, model)
    assert not reader.refresh()


def test_a_rebuild_that_is_given_up_changes_nothing(filled: tuple[VectorStore, Model]) -> None:
    store, model = filled
    with store.writer(rebuild=True) as writer:
        writer.upsert("images", images(range(3)))
    store.refresh()
    assert store.revision == 3
    assert_same(store, model)


def test_another_model_is_refused_and_both_are_named(
    filled: tuple[VectorStore, Model], opener: Opener
) -> None:
    other = opener(model_id="model-b")
    with pytest.raises(VectorError, match=r"model-a.*model-b.*tips rebuild"):
        other.count("images")
    with pytest.raises(VectorError, match="model-a"), other.writer():
        pass
    with other.writer(rebuild=True) as writer:
        writer.upsert("images", images([1]))
        writer.commit(1)
    assert other.count("images") == 1


def test_a_read_only_store_has_no_writer(opener: Opener) -> None:
    with pytest.raises(VectorError, match="read-only"):
        opener(read_only=True).writer()


def test_points_of_the_wrong_shape_are_refused(store: VectorStore) -> None:
    good = images([1])
    missing = PointBatch(good.ids, {"web": good.vectors["web"]}, good.payload)
    narrow = PointBatch(good.ids, {h: v[:, 1:] for h, v in good.vectors.items()}, good.payload)
    infinite = PointBatch(good.ids, {h: v * np.inf for h, v in good.vectors.items()}, good.payload)
    with store.writer() as writer:
        for bad in (missing, narrow, infinite):
            with pytest.raises(ValueError, match="vectors"):
                writer.upsert("images", bad)
    with pytest.raises(ValueError, match="one length"):
        PointBatch(good.ids, good.vectors, [])
    with pytest.raises(ValueError, match=r"\(Q, 24\)"):
        store.search("images", np.ones(DIM), using="web", limit=1)
    with pytest.raises(ValueError, match="finite"):
        store.search("images", np.full((1, DIM), np.nan), using="web", limit=1)


def test_folder_and_camera_names_are_only_text(store: VectorStore) -> None:
    names = ['/photos/a "quoted" *', "/photos/\n\u2028", "/photos/\U0001f600", "/photos/{key}"]
    batch = images(range(len(names)))
    payload = [{**p, "folders": [n]} for p, n in zip(batch.payload, names, strict=True)]
    with store.writer() as writer:
        writer.upsert("images", PointBatch(batch.ids, batch.vectors, payload))
        writer.commit(1)
    store.refresh()
    for name in names:
        assert store.count("images", Match("folders", (name,))) == 1
    assert {value for value, _ in store.facet("folders")} == set(names)


def test_point_ids_are_the_content_hash_with_a_numbered_last_byte() -> None:
    key = "00112233445566778899aabbccddeeff"
    assert image_point_id(key) == "00112233-4455-6677-8899-aabbccddee00"
    assert region_point_id(key, 0) == "00112233-4455-6677-8899-aabbccddee01"
    assert region_point_id(key, 254) == "00112233-4455-6677-8899-aabbccddeeff"
    with pytest.raises(ValueError, match="255"):
        region_point_id(key, 255)


def test_engines_are_opened_by_name(tmp_path: Path) -> None:
    settings = {"heads": HEADS, "dim": DIM, "model_id": "m"}
    embedded = open_vectors({"kind": "embedded"}, tmp_path, **settings)  # type: ignore[arg-type]
    assert embedded.count("images") == 0
    server = open_vectors(
        {"kind": "server", "url": "http://127.0.0.1:9", "prefix": "p"},
        tmp_path,
        **settings,  # type: ignore[arg-type]
    )
    assert isinstance(server, ServerStore)
    with pytest.raises(VectorError, match="'embedded' or 'server'"):
        open_vectors({"kind": "cloud"}, tmp_path, **settings)  # type: ignore[arg-type]


def test_the_embedded_engine_does_not_load_the_client() -> None:
    code = "import sys, indexer.edge.store; sys.exit('qdrant_client' in sys.modules)"
    root = Path(__file__).resolve().parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
