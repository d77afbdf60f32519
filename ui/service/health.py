"""Routes for monitoring: liveness, readiness and Prometheus metrics."""

from __future__ import annotations

from fastapi import APIRouter, Response

from ui.service.context import Given, Responses, documented
from ui.service.problems import RETRY_OPENING, Problem
from ui.service.responses import Health

router = APIRouter(tags=["probes"])
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
_METRICS: Responses = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz")
async def alive() -> Health:
    """The process is running. Needs no token."""
    return Health(status="alive")


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz")
async def ready(given: Given) -> Health:
    """Models and collections are loaded; otherwise 503. Needs no token."""
    if not given.engines.ready:
        raise Problem(
            503,
            "not-ready",
            "A model or a collection is not loaded yet; see /v1/collections.",
            headers={"Retry-After": str(RETRY_OPENING)},
        )
    return Health(status="ready")


@router.get("/metrics", response_class=Response, responses=_METRICS, dependencies=documented)
async def metrics(given: Given) -> Response:
    """Metrics for Prometheus."""
    return Response(given.metrics.text(), media_type=PROMETHEUS)
