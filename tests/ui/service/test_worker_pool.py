"""Bounded work, and texts that are encoded together."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.ui.service.conftest import problem, running
from tips_model.embedder import open_embedder
from tips_model.features import Embedder
from ui.service import worker_pool
from ui.service.metrics import Metrics
from ui.service.problems import Problem
from ui.service.worker_pool import Lane
from ui.warm_models import MOST_TEXTS, BatchingEmbedder

SECONDS = 60


@pytest.fixture(scope="module")
def nano() -> Embedder:
    return open_embedder("nano")


class Held:
    """A model whose calls wait until they are let go."""

    def __init__(self, plain: Embedder) -> None:
        self.plain, self.info = plain, plain.info
        self.begun, self.go = threading.Semaphore(0), threading.Event()
        self.calls: list[list[str]] = []

    def embed_texts(self, texts: list[str]) -> np.ndarray:
        self.calls.append(list(texts))
        self.begun.release()
        assert self.go.wait(SECONDS)
        return self.plain.embed_texts(texts)


def value(metrics: Metrics, name: str, **labels: str) -> float:
    found = metrics.registry.get_sample_value(name, labels)
    assert found is not None
    return found


def test_texts_that_come_together_are_encoded_in_one_call(nano: Embedder) -> None:
    held, metrics = Held(nano), Metrics()
    together = BatchingEmbedder(held, metrics.encoding)  # type: ignore[arg-type]
    questions = [[f"a red circle {n}", "a square"] for n in range(12)]
    with ThreadPoolExecutor(len(questions)) as threads:
        first = threads.submit(together.embed_texts, questions[0])
        assert held.begun.acquire(timeout=SECONDS)  # the model is busy: what comes now waits
        rest = [threads.submit(together.embed_texts, each) for each in questions[1:]]
        while together.waiting() < len(rest):
            threading.Event().wait(0.001)
        held.go.set()
        answers = [future.result(SECONDS) for future in (first, *rest)]
    assert len(held.calls) == 2
    assert held.calls[1].count("a square") == 1  # asked by all of them, encoded once
    for question, answer in zip(questions, answers, strict=True):
        np.testing.assert_allclose(answer, nano.embed_texts(question), atol=1e-6)
    assert value(metrics, "tips_text_batch_requests_sum") == len(questions)
    assert value(metrics, "tips_text_batch_requests_count") == 2


def test_a_text_that_fails_fails_alone(nano: Embedder) -> None:
    held = Held(nano)
    together = BatchingEmbedder(held)  # type: ignore[arg-type]
    with ThreadPoolExecutor(3) as threads:
        first = threads.submit(together.embed_texts, ["red"])
        assert held.begun.acquire(timeout=SECONDS)
        good, bad = (threads.submit(together.embed_texts, [text]) for text in ("blue", ""))
        while together.waiting() < 2:
            threading.Event().wait(0.001)
        held.go.set()
        assert first.result(SECONDS).shape == (1, nano.info.dim)
        np.testing.assert_allclose(good.result(SECONDS), nano.embed_texts(["blue"]), atol=1e-6)
        with pytest.raises(Exception, match="empty"):
            bad.result(SECONDS)


def test_many_texts_at_once_are_encoded_as_they_come(nano: Embedder) -> None:
    together = BatchingEmbedder(nano)
    many = [f"text {n}" for n in range(MOST_TEXTS)]
    np.testing.assert_array_equal(together.embed_texts(many), nano.embed_texts(many))
    np.testing.assert_array_equal(together.embed_texts(["one"]), nano.embed_texts(["one"]))


def test_who_finds_no_room_is_refused_and_the_others_are_answered() -> None:
    metrics = Metrics()
    lane, go = Lane("test", 1, 2, metrics), threading.Event()

    async def scene() -> list[str]:
        begun = [
            asyncio.create_task(lane.run(lambda n=n: go.wait(SECONDS) and str(n))) for n in "abc"
        ]
        await asyncio.sleep(0)
        assert value(metrics, "tips_queue_waiting", lane="test") >= 2
        with pytest.raises(Problem) as refused:
            await lane.run(lambda: "d")
        assert (refused.value.status, refused.value.headers["Retry-After"]) == (503, "1")
        go.set()
        answers = [await task for task in begun]
        return [*answers, await lane.run(lambda: "e")]

    assert asyncio.run(scene()) == ["a", "b", "c", "e"]
    lane.close()
    assert value(metrics, "tips_queue_waiting", lane="test") == 0
    assert value(metrics, "tips_workers_busy", lane="test") == 0
    assert value(metrics, "tips_refused_total", reason="overload") == 1


def test_work_that_nobody_waits_for_any_more_is_not_begun() -> None:
    metrics = Metrics()
    lane, go = Lane("test", 1, 2, metrics), threading.Event()
    begun: list[str] = []

    async def scene() -> None:
        first = asyncio.create_task(lane.run(lambda: go.wait(SECONDS)))
        second = asyncio.create_task(lane.run(lambda: begun.append("second")))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        go.set()
        assert await first
        assert await lane.run(lambda: "room again") == "room again"

    asyncio.run(scene())
    lane.close()
    assert begun == []
    assert value(metrics, "tips_queue_waiting", lane="test") == 0


def test_who_waited_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_pool, "PATIENCE", -1.0)
    lane = Lane("test", 1, 0, Metrics())
    with pytest.raises(Problem, match="try again"):
        asyncio.run(lane.run(lambda: "late"))
    lane.close()


def test_an_overloaded_service_says_503_and_stays_up(calibrated: Path) -> None:
    with running(calibrated, workers=1, queue=1) as (http, service):
        go, busy = threading.Event(), threading.Event()

        def hold() -> None:
            busy.set()
            go.wait(SECONDS)

        held = service.searches.submit(hold)
        assert busy.wait(SECONDS)
        body = {"q": "red", "all": True}
        with ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(http.post, "/v1/search", json=body)
            while value(service.metrics, "tips_queue_waiting", lane="search") < 1:
                threading.Event().wait(0.001)
            refused = http.post("/v1/search", json=body)
            problem(refused, 503, "overloaded")
            assert refused.headers["retry-after"] == "1"
            assert http.get("/healthz").status_code == 200
            assert http.get("/v1/status").status_code == 200  # read by other workers
            go.set()
            assert waiting.result(SECONDS).status_code == 200
        held.result(SECONDS)
        assert http.post("/v1/search", json=body).status_code == 200


def test_searches_at_once_are_answered_as_one_by_one(http: httpx.Client) -> None:
    bodies = [{"q": f"a {word}", "all": True} for word in ("dog", "house", "star", "tree") * 4]
    alone = [http.post("/v1/search", json=body).json() for body in bodies[:4]]
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda body: http.post("/v1/search", json=body).json(), bodies))
    for number, answer in enumerate(answers):
        expected = alone[number % 4]
        assert [hit["id"] for hit in answer["hits"]] == [hit["id"] for hit in expected["hits"]]
