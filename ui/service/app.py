"""The FastAPI application: routes, middleware, error handlers and the OpenAPI document.

app = make_app(Service(engines, settings, metrics))
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi_offline import FastAPIOffline
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from ui.service import collections, health, index_jobs, photos, problems, searches, uploads
from ui.service.access import Guard
from ui.service.access_log import Journal
from ui.service.context import Service, documented, known_parameters
from ui.service.head import Head
from ui.service.openapi import DESCRIPTION, TAGS, with_problems
from ui.service.settings import MOST_JSON

FORM_FIELDS = 64


def make_app(service: Service) -> FastAPI:
    """Create the application for a service."""
    settings = service.settings
    app = FastAPIOffline(
        redoc_url=None,
        title="tips-search",
        version=version("tips-search"),
        description=DESCRIPTION,
        openapi_tags=TAGS,
        form_limits={"max_fields": FORM_FIELDS, "max_files": 1, "max_part_size": MOST_JSON},
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
        middleware=[
            Middleware(Journal, metrics=service.metrics, queries=settings.log_queries),
            Middleware(Head),
            *([_cors(settings.origins)] if settings.origins else []),
            Middleware(Guard, settings=settings, metrics=service.metrics),
        ],
    )
    app.state.service = service
    problems.install(app)
    for module in (searches, uploads, photos, collections, index_jobs):
        app.include_router(module.router, dependencies=[*documented, Depends(known_parameters)])
    app.include_router(health.router)
    document(app, service)
    return app


def _cors(origins: Sequence[str]) -> Middleware:
    return Middleware(
        CORSMiddleware,
        allow_origins=list(origins),
        allow_methods=["GET", "HEAD", "POST", "DELETE"],
        allow_headers=["Authorization", "Content-Type", "If-None-Match"],
        expose_headers=["ETag", "Location", "Retry-After", "X-Request-Id"],
    )


def document(app: FastAPI, service: Service) -> None:
    """Set the application's OpenAPI document, with problems and limits, built once."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            plain = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                routes=app.routes,
                tags=app.openapi_tags,
            )
            app.openapi_schema = with_problems(plain, service.settings)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
