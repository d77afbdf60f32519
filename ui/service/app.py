"""The application: routes, middleware, errors, and the OpenAPI document.

app = make_app(Service(engines, settings, metrics))
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, Depends, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.security import HTTPBearer
from fastapi_offline import FastAPIOffline
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from ui.service import collections, index_jobs, photos, probes, problems, searches, uploads
from ui.service.access import Guard
from ui.service.given import Service
from ui.service.journal import Journal
from ui.service.openapi import DESCRIPTION, TAGS, with_problems
from ui.service.settings import MOST_JSON

FORM_FIELDS = 64
MULTIPART = 64 << 10  # bytes that a form has beside its picture
bearer = HTTPBearer(
    auto_error=False, description="A token of the service; none is needed where none was set."
)


def make_app(service: Service) -> FastAPI:
    """The application around a service."""
    settings = service.settings
    app = FastAPIOffline(
        redoc_url=None,
        title="tips-search",
        version=version("tips-search"),
        description=DESCRIPTION,
        openapi_tags=TAGS,
        max_body_size=MOST_JSON,
        form_limits={"max_fields": FORM_FIELDS, "max_files": 1, "max_part_size": MOST_JSON},
        redirect_slashes=False,
        middleware=[
            Middleware(Journal, metrics=service.metrics, queries=settings.log_queries),
            Middleware(
                CORSMiddleware,
                allow_origins=list(settings.origins),
                allow_methods=["GET", "POST", "DELETE"],
                allow_headers=["Authorization", "Content-Type", "If-None-Match"],
                expose_headers=["ETag", "Location", "Retry-After", "X-Request-Id"],
            ),
            Middleware(Guard, settings=settings, metrics=service.metrics),
        ],
    )
    app.state.service = service
    problems.install(app)
    guarded = [Depends(bearer)]
    versioned = APIRouter(prefix="/v1", dependencies=guarded)
    for module in (searches, photos, collections, index_jobs):
        versioned.include_router(module.router)
    large = APIRouter(max_body_size=settings.upload_bytes + MULTIPART)
    large.include_router(uploads.router)
    versioned.include_router(large)
    app.include_router(versioned)
    app.include_router(probes.router)
    document(app, service)
    return app


def document(app: FastAPI, service: Service) -> None:
    """Let the application describe itself with its problems and limits, made once."""

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
