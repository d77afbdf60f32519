"""Bounded work: so many threads, so many that may wait, and a refusal for everybody else."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from ui.service.metrics import Metrics
from ui.service.problems import Problem

T = TypeVar("T")
PATIENCE = 30.0
"""Seconds; who waited longer is refused rather than answered when nobody listens any more."""
RETRY_AFTER = 1  # seconds


class Lane:
    """A pool of `workers` threads with room for `queue` waiting pieces of work."""

    def __init__(self, name: str, workers: int, queue: int, metrics: Metrics) -> None:
        """No thread is started yet."""
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix=name)
        self._room = workers + queue
        self._metrics = metrics
        self._waiting, self._running = metrics.waiting.labels(name), metrics.running.labels(name)
        self._lock = threading.Lock()
        self._taken = 0

    async def run(self, work: Callable[[], T]) -> T:
        """The result of `work`, done by a worker; what it raises is raised here. Raises as `submit`
        does. Work of a caller that is cancelled while it waits is not begun.
        """
        return await asyncio.wrap_future(self.submit(work))

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Let a worker do `work` when it has time.

        Raises `Problem` 503 when nobody else may wait; so does the work itself when it waited for
        longer than `PATIENCE` seconds.
        """
        with self._lock:
            if self._taken >= self._room:
                raise self._overloaded()
            self._taken += 1
        self._waiting.inc()
        queued = time.perf_counter()

        def begin() -> T:
            waited = time.perf_counter() - queued
            self._waiting.dec()
            self._metrics.stages.labels("wait").observe(waited)
            if waited > PATIENCE:
                raise self._overloaded()
            with self._running.track_inprogress():
                return work()

        def ended(future: Future[T]) -> None:
            if future.cancelled():  # it was never begun
                self._waiting.dec()
            with self._lock:
                self._taken -= 1

        future = self._pool.submit(begin)
        future.add_done_callback(ended)
        return future

    def close(self) -> None:
        """Finish what runs and leave the rest."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _overloaded(self) -> Problem:
        self._metrics.refused.labels("overload").inc()
        return Problem(
            503,
            "overloaded",
            "The service is busy; try again in a moment.",
            headers={"Retry-After": str(RETRY_AFTER)},
        )
