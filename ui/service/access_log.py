"""Access log: a JSON line, metrics and an id for each request, and a response to
unhandled errors.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import traceback
import uuid
from datetime import UTC, datetime
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui.service.metrics import Metrics
from ui.service.problems import defect

SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
"""Default headers of every response."""
DOCS_POLICY = (
    "default-src 'none'; connect-src 'self'; img-src 'self' data:; frame-ancestors 'none'; "
    "style-src 'self' 'unsafe-inline'; script-src 'self' 'unsafe-inline'"
)
"""The API documentation is a script with a few lines around it, all served here."""
NO_ROUTE = "none"
_access = logging.getLogger("tips.access")


class Journal:
    """The outermost middleware: request ids, metrics, access log and unhandled errors.

    queries: also log the query, which handlers store in the request's state.
    """

    def __init__(self, app: ASGIApp, *, metrics: Metrics, queries: bool) -> None:
        """See the class."""
        self._app, self._metrics, self._queries = app, metrics, queries

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        name = state["request_id"] = str(uuid.uuid4())
        start = time.perf_counter()
        status, sent = 0, 0

        async def counted(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = name
                if scope["path"] == "/docs":
                    headers.setdefault("Content-Security-Policy", DOCS_POLICY)
                for key, value in SAFE.items():
                    headers.setdefault(key, value)
            elif message["type"] == "http.response.body":
                sent += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, counted)
        except Exception as error:
            response = defect(f"urn:uuid:{name}", error)
            if not status:  # else the client sees a truncated response
                await response(scope, receive, counted)
        finally:
            seconds = time.perf_counter() - start
            route = getattr(scope.get("route"), "path", NO_ROUTE)
            self._metrics.requests.labels(route, _method(scope), status).inc()
            self._metrics.seconds.labels(route).observe(seconds)
            line = {
                "request": name,
                "client": (scope.get("client") or [""])[0],
                "method": scope["method"],
                "path": scope["path"],
                "status": status,
                "ms": round(seconds * 1000, 1),
                "bytes": sent,
            }
            if self._queries and state.get("asked"):
                line["asked"] = state["asked"]
            _access.info("request", extra={"line": line})


def _method(scope: Scope) -> str:
    """The method if it is a known one: clients must not be able to create new metric series."""
    known = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
    return scope["method"] if scope["method"] in known else "other"


class JsonLines(logging.Formatter):
    """Formats log records as lines of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, whatever the message contains."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
        }
        line |= getattr(record, "line", {"message": record.getMessage()})
        if record.exc_info:
            line["trace"] = "".join(traceback.format_exception(*record.exc_info))
        return json.dumps(line, ensure_ascii=False)


def log_to_stderr() -> None:
    """Write the logs of the service and of its server to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name, level in (("tips", logging.INFO), ("uvicorn", logging.WARNING), ("ui", logging.INFO)):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)
