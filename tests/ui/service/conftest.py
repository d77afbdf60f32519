"""A running service on the collection of painted pictures, over real sockets."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from search.searcher import Searcher
from ui.service.client import Client
from ui.service.context import Service
from ui.service.metrics import Metrics
from ui.service.open_collections import Engines
from ui.service.server import bind, make_server
from ui.service.settings import Settings

Running = Callable[..., Any]
WORDS = "a red circle"  # anything: what counts is that both sides answer the same


@contextmanager
def running(
    *folders: Path, change: Callable[[FastAPI], None] = lambda app: None, **settings: Any
) -> Iterator[tuple[httpx.Client, Service]]:
    """A service on collections, open, and a client of it. change: what a test does to the
    application before it starts.
    """
    metrics = Metrics()
    service = Service(
        Engines(folders, device="cpu", metrics=metrics),
        Settings(**{"rate": ""} | settings),
        metrics,
    )
    service.engines.refresh()
    server = make_server(service)
    change(server.config.app)  # type: ignore[arg-type]
    with bind("127.0.0.1", 0) as listening:
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            with httpx.Client(base_url=address, timeout=60) as http:
                yield http, service
        finally:
            server.should_exit = True
            thread.join()
            service.close()


@pytest.fixture(scope="session")
def calibrated(collection: Path) -> Path:
    """The collection with its calibration on the disk, where it is kept a little rounded: whoever
    opens it now has the same.
    """
    with Searcher.open(collection) as first:
        first.load()
    return collection


@pytest.fixture(scope="session")
def served(calibrated: Path) -> Iterator[tuple[httpx.Client, Service]]:
    """A service that all tests share; they only read."""
    with running(calibrated) as both:
        yield both


@pytest.fixture(scope="session")
def http(served: tuple[httpx.Client, Service]) -> httpx.Client:
    """Plain requests to the shared service."""
    return served[0]


@pytest.fixture(scope="session")
def service(served: tuple[httpx.Client, Service]) -> Service:
    """The shared service itself."""
    return served[1]


@pytest.fixture(scope="session")
def client(http: httpx.Client) -> Iterator[Client]:
    """The typed client of the shared service."""
    with Client(str(http.base_url)) as opened:
        yield opened


@pytest.fixture(scope="session")
def searcher(calibrated: Path) -> Iterator[Searcher]:
    """The same collection, asked without the service."""
    with Searcher.open(calibrated) as opened:
        yield opened


@pytest.fixture(scope="session")
def photo(searcher: Searcher) -> str:
    """The id of one of the photos."""
    return searcher.images(WORDS, all=True, limit=1).hits[0].id


def problem(response: httpx.Response, status: int, code: str, *fields: str) -> dict[str, Any]:
    """The problem that a response is, with this status, code, and these wrong fields."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = response.json()
    assert (found["status"], found["code"]) == (status, code), found
    assert [error["field"] for error in found["errors"]] == list(fields), found
    assert found["instance"] == f"urn:uuid:{response.headers['x-request-id']}"
    assert "Traceback" not in response.text
    return found
