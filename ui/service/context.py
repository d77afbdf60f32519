"""What every route gets: collections, worker pools, limits and metrics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Query, Request
from fastapi.security import HTTPBearer

from ui.live_collection import State
from ui.service.metrics import Metrics
from ui.service.open_collections import Engines
from ui.service.problems import FieldProblem, Problem
from ui.service.settings import Settings
from ui.service.worker_pool import Lane

T = TypeVar("T")
Responses = dict[int | str, dict[str, Any]]
"""OpenAPI descriptions of responses by status."""
V1 = "/v1"
"""Path prefix of this API version's routes."""
FORM_TYPE = "multipart/form-data"
"""The media type of a form with files."""
READERS, READERS_QUEUE = 4, 256
"""Workers for short tasks (thumbnails, facts), and the size of their queue: pages of a grid."""


@dataclass(slots=True)
class Service:
    """The parts of a running service. `ending` says whether it is shutting down."""

    engines: Engines
    settings: Settings
    metrics: Metrics
    ending: Callable[[], bool] = lambda: False
    streams: int = 0
    searches: Lane = field(init=False)
    readers: Lane = field(init=False)

    def __post_init__(self) -> None:
        workers, queue = self.settings.workers, self.settings.queue
        self.searches = Lane("search", workers, queue, self.metrics)
        self.readers = Lane("read", READERS, READERS_QUEUE, self.metrics)

    async def search(
        self, name: str | None, work: Callable[[State], T], stage: str = "search"
    ) -> T:
        """Run `work` on a collection's current state in a search worker, timed as this stage.
        Raises `Problem` for an unknown collection, one that is not open, and when the queue is
        full.
        """
        return await self.searches.run(self._on_state(name, work, stage))

    async def read(self, name: str | None, work: Callable[[State], T], stage: str = "facts") -> T:
        """The same in a worker for short tasks."""
        return await self.readers.run(self._on_state(name, work, stage))

    def _on_state(
        self, name: str | None, work: Callable[[State], T], stage: str
    ) -> Callable[[], T]:
        engine = self.engines.get(name)

        def inside() -> T:
            with engine.state() as state, self.metrics.stage(stage):
                return work(state)

        return inside

    def close(self) -> None:
        """Finish running tasks, and close the collections."""
        self.searches.close()
        self.readers.close()
        self.engines.close()


def service_of(request: Request) -> Service:
    """The service that handles a request."""
    service: Service = request.app.state.service
    return service


def json_only(request: Request) -> None:
    """Raise `Problem` 415 for a body whose type is not JSON."""
    _check_type(request, "application/json")


def form_only(request: Request) -> None:
    """Raise `Problem` 415 for a body whose type is not a form with files."""
    _check_type(request, FORM_TYPE)


async def known_parameters(request: Request) -> None:
    """Raise `Problem` 422 for a query parameter that the route does not have: it would be silently
    ignored.
    """
    operations = request.app.openapi()["paths"][request.scope["route"].path]
    stated = operations[request.method.lower()].get("parameters", ())
    known = {each["name"] for each in stated if each["in"] == "query"}
    wrong = [
        FieldProblem(field=name, detail="There is no such parameter.")
        for name in dict.fromkeys(request.query_params)
        if name not in known
    ]
    if wrong:
        raise Problem(422, "invalid", f"{wrong[0].field}: {wrong[0].detail}", errors=wrong)


def _check_type(request: Request, wanted: str) -> None:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != wanted:
        raise Problem(
            415,
            "media-type",
            f"Send {wanted}, not {kind or 'a body without a type'}.",
            field="Content-Type",
        )


bearer = HTTPBearer(
    auto_error=False, description="A token of the service; not needed if the service has none."
)
documented = [Depends(bearer)]
"""Documents in OpenAPI that a route needs a token; `Guard` enforces it."""
Given = Annotated[Service, Depends(service_of)]
InCollection = Annotated[
    str | None,
    Query(
        max_length=100,
        description="The name of a collection, as listed by /v1/collections; by default the "
        "first one.",
    ),
]
