"""Bounded worker pools: a fixed number of threads, a queue, and 503 for everything beyond."""

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
"""Longest wait in seconds; later, the request is refused because the client has
probably given up.
"""
RETRY_AFTER = 1  # seconds


class Lane:
    """A pool of `workers` threads with a queue of `queue` tasks."""

    def __init__(self, name: str, workers: int, queue: int, metrics: Metrics) -> None:
        """Starts no thread yet."""
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix=name)
        self._room = workers + queue
        self._metrics = metrics
        self._waiting, self._running = metrics.waiting.labels(name), metrics.running.labels(name)
        self._lock = threading.Lock()
        self._taken = 0

    async def run(self, work: Callable[[], T]) -> T:
        """The result of `work`, run by a worker; its exceptions are raised here. Raises as `submit`
        does. If the caller is cancelled while waiting, the work is not started.
        """
        return await asyncio.wrap_future(self.submit(work))

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Queue `work` for a worker.

        Raises `Problem` 503 when the queue is full; the future raises it too if the work waited for
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
            if future.cancelled():  # it was never started
                self._waiting.dec()
            with self._lock:
                self._taken -= 1

        future = self._pool.submit(begin)
        future.add_done_callback(ended)
        return future

    def close(self) -> None:
        """Finish running tasks and drop the queue."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _overloaded(self) -> Problem:
        self._metrics.refused.labels("overload").inc()
        return Problem(
            503,
            "overloaded",
            "The service is busy; try again in a moment.",
            headers={"Retry-After": str(RETRY_AFTER)},
        )
