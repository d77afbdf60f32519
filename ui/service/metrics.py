"""Prometheus metrics of the service: counters and timings."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
# Do not create a second, unused series for each metric.
disable_created_metrics()  # type: ignore[no-untyped-call]
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """The metrics of one service, in a registry of their own.

    stages: "wait" for a worker, "encode" a batch of texts, "read" an upload, "search" (includes
    both), "heatmap", "picture", and "facts" about photos and collections.
    """

    def __init__(self) -> None:
        """All values start at 0."""
        registry = self.registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        self.requests = Counter(
            "tips_requests", "Answered requests.", ["route", "method", "status"], registry=registry
        )
        self.seconds = Histogram(
            "tips_request_seconds",
            "Seconds until a request was answered.",
            ["route"],
            buckets=SECONDS,
            registry=registry,
        )
        self.stages = Histogram(
            "tips_stage_seconds",
            "Seconds that a stage of a request took.",
            ["stage"],
            buckets=SECONDS,
            registry=registry,
        )
        self.waiting = Gauge(
            "tips_queue_waiting", "Requests that wait for a worker.", ["lane"], registry=registry
        )
        self.running = Gauge(
            "tips_workers_busy", "Workers that answer a request.", ["lane"], registry=registry
        )
        self.refused = Counter(
            "tips_refused",
            "Requests refused before any work, by reason.",
            ["reason"],
            registry=registry,
        )
        self.batches = Histogram(
            "tips_text_batch_requests",
            "Requests whose texts were encoded in one call.",
            buckets=BATCHES,
            registry=registry,
        )
        self.points = Gauge(
            "tips_collection_points",
            "What can be found: photos, and places in them.",
            ["collection", "kind"],
            registry=registry,
        )
        self.revision = Gauge(
            "tips_collection_revision",
            "The catalog's revision that searches see.",
            ["collection"],
            registry=registry,
        )

    def encoding(self, together: int) -> AbstractContextManager[None]:
        """Count and time a call that encodes the texts of this many questions."""
        self.batches.observe(together)
        return self.stage("encode")

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a block as a stage, even if it fails."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.stages.labels(name).observe(time.perf_counter() - start)

    def text(self) -> bytes:
        """All metrics in the Prometheus text format."""
        return generate_latest(self.registry)
