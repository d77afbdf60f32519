"""A collection that grows while it is searched."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from indexer.collection import Collection
from tests.ui.conftest import paint, tips
from tests.ui.service.conftest import WORDS, problem, running
from tips_model.errors import TipsError
from ui.live_collection import NotOpenError
from ui.service.context import Service
from ui.service.metrics import Metrics
from ui.service.open_collections import Engines


@pytest.fixture
def growing(tmp_path: Path) -> Path:
    """A collection of three photos that this test may change."""
    for seed in range(3):
        paint(tmp_path / "photos" / f"{seed}.jpg", seed)
    folder = tmp_path / "growing"
    result = tips("index", tmp_path / "photos", "--model", "nano", "-c", folder)
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def both(growing: Path, calibrated: Path) -> Iterator[tuple[httpx.Client, Service]]:
    with running(growing, calibrated) as pair:
        yield pair


def ids(http: httpx.Client, **body: object) -> set[str]:
    answer = http.post("/v1/search", json={"q": WORDS, "all": True, **body})
    assert answer.status_code == 200, answer.text
    return {hit["id"] for hit in answer.json()["hits"]}


def test_new_photos_show_up_and_gone_ones_vanish(
    both: tuple[httpx.Client, Service], growing: Path
) -> None:
    http, service = both
    before = ids(http)
    revision = http.get("/v1/status").json()["revision"]
    photos = growing.parent / "photos"
    paint(photos / "new.jpg", 7)
    (photos / "0.jpg").unlink()
    assert tips("index", "-c", growing).exit_code == 0
    assert ids(http) < before  # what is gone at once, what is new after a look
    service.engines.refresh()
    after = ids(http)
    assert len(after - before) == len(before - after) == 1
    status = http.get("/v1/status").json()
    assert status["revision"] > revision
    assert http.get("/v1/facets").json()["photos"] == 3
    (new,) = after - before
    assert http.get(f"/v1/photos/{new}/thumbnail").status_code == 200
    gauge = service.metrics.registry.get_sample_value
    name = service.engines.all[0].name
    assert gauge("tips_collection_revision", {"collection": name}) == status["revision"]
    assert gauge("tips_collection_points", {"collection": name, "kind": "images"}) == 3


def test_who_searches_keeps_the_state_that_he_began_with(
    both: tuple[httpx.Client, Service], growing: Path
) -> None:
    _, service = both
    engine = service.engines.all[0]
    with engine.state() as old:
        count = old.searcher.count("images")
        paint(growing.parent / "photos" / "new.jpg", 7)
        assert tips("index", "-c", growing).exit_code == 0
        service.engines.refresh()
        with engine.state() as new:
            assert new is not old
            assert new.searcher.count("images") == count + 1
        assert old.searcher.count("images") == count
        assert len(old.searcher.images(WORDS, all=True).hits) == count
    assert old.users == 0


def test_a_look_without_anything_new_changes_nothing(service: Service) -> None:
    engine = service.engines.all[0]
    with engine.state() as before:
        assert engine.refresh() is False
        with engine.state() as after:
            assert after is before


def test_collections_of_one_model_share_it(
    both: tuple[httpx.Client, Service], growing: Path
) -> None:
    http, service = both
    first, second = service.engines.all
    with first.state() as one, second.state() as two:
        assert one.searcher._encoder.embedder is two.searcher._encoder.embedder
    assert len(ids(http)) == 3
    assert len(ids(http, collection=second.name, limit=100)) == 30
    assert http.get("/readyz").status_code == 200
    assert [each["default"] for each in http.get("/v1/collections").json()] == [True, False]


def test_a_collection_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    engines = Engines([tmp_path / "coming"], device="cpu", metrics=Metrics())
    with pytest.raises(TipsError, match="There is no collection"):
        engines.refresh()
    (engine,) = engines.all
    with pytest.raises(NotOpenError, match="There is no collection"), engine.state():
        pass
    assert not engines.ready
    paint(tmp_path / "photos" / "0.jpg", 0)
    assert tips("index", tmp_path / "photos", "--model", "nano", "-c", engine.folder).exit_code == 0
    engines.refresh()
    assert engines.ready
    engines.close()


def test_a_service_that_is_not_ready_says_so(tmp_path: Path) -> None:
    from tips_model.embedder import open_embedder

    Collection.create(tmp_path / "empty", open_embedder("nano").info)
    metrics = Metrics()
    engines = Engines([tmp_path / "empty"], device="cpu", metrics=metrics)
    with pytest.raises(TipsError, match="has no photos yet"):
        engines.refresh()
    assert not (tmp_path / "empty" / "catalog").exists()  # looking writes nothing
    engines.close()


def test_not_ready_is_a_problem_with_a_time_to_come_again(
    calibrated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Engines, "refresh", lambda self: None)
    with running(calibrated) as (http, _):
        response = http.get("/readyz")
        problem(response, 503, "not-ready")
        assert response.headers["retry-after"]
        assert http.get("/healthz").json() == {"status": "alive"}
        problem(http.post("/v1/search", json={"q": "red"}), 503, "not-ready")
        assert http.get("/v1/collections").json()[0]["ready"] is False
