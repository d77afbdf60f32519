"""Host, origin, rate limit and token checks, before a request's body is read."""

from __future__ import annotations

import hashlib
import hmac
import math
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

from limits import RateLimitItem, parse_many
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui.service.metrics import Metrics
from ui.service.problems import Problem, instance_of, too_large
from ui.service.settings import MOST_JSON, Settings

PROBES = ("/healthz", "/readyz")
"""Paths without token and rate limit: they reveal nothing about the photos."""
DOCUMENTS = ("/openapi.json", "/docs", "/static-offline-docs/")
"""Paths without token: the same in every installation."""


class Guard:
    """Middleware before all routes: checks Host, Origin, rate limit, token and body size."""

    def __init__(self, app: ASGIApp, *, settings: Settings, metrics: Metrics) -> None:
        """See the class."""
        self._app, self._metrics = app, metrics
        self._hosts = {host.lower() for host in settings.hosts}
        self._origins = set(settings.origins)
        self._tokens = [_digest(token.encode()) for token in settings.tokens]
        self._upload = settings.largest_upload
        self._limits: Sequence[RateLimitItem] = parse_many(settings.rate) if settings.rate else ()
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it with a problem."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            self._check(scope)
        except Problem as problem:
            self._metrics.refused.labels(problem.code).inc()
            response = problem.response(instance_of(Request(scope)))
            await response(scope, receive, send)
            return
        await self._app(scope, self._counted(scope["path"], receive), send)

    def _check(self, scope: Scope) -> None:
        headers, path = Headers(scope=scope), scope["path"]
        host = headers.get("host", "")
        self._check_host(host)
        self._check_origin(headers.get("origin"), host)
        if path in PROBES:
            return
        client = scope.get("client")
        self._check_rate(client[0] if client else "")
        if not path.startswith(DOCUMENTS):
            self._check_token(headers.get("authorization", ""))
        self._check_length(headers.get("content-length", ""), path)

    def _check_host(self, host: str) -> None:
        """Prevents DNS rebinding: a malicious page points its own name here, and sends
        it as Host.
        """
        if "*" not in self._hosts and _name(host) not in self._hosts:
            raise Problem(
                400,
                "host",
                "This host name is not allowed; start the service with --allow-host NAME.",
                field="Host",
            )

    def _check_origin(self, origin: str | None, host: str) -> None:
        """Browsers send the page's origin; other origins are rejected unless allowed."""
        if origin is None or {"*", origin} & self._origins:
            return
        if urlsplit(origin).netloc.lower() != host.lower():
            raise Problem(
                403,
                "origin",
                "This origin is not allowed; start the service with --cors ORIGIN.",
                field="Origin",
            )

    def _check_rate(self, client: str) -> None:
        for limit in self._limits:
            if not self._limiter.hit(limit, client):
                reset = self._limiter.get_window_stats(limit, client).reset_time
                wait = max(1, math.ceil(reset - time.time()))
                raise Problem(
                    429,
                    "rate",
                    f"More than {limit} came from this address; wait {wait} s.",
                    headers={"Retry-After": str(wait)},
                )

    def _check_token(self, authorization: str) -> None:
        if not self._tokens:
            return
        scheme, _, shown = authorization.partition(" ")
        # Headers are bytes decoded as Latin-1.
        digest = _digest(shown.strip().encode("latin-1"))
        # Compare with all of them, so that the timing does not reveal which one matched.
        right = [hmac.compare_digest(digest, token) for token in self._tokens]
        if scheme.lower() != "bearer" or not any(right):
            raise Problem(
                401,
                "token",
                "A bearer token is required: Authorization: Bearer TOKEN.",
                field="Authorization",
                headers={"WWW-Authenticate": 'Bearer realm="tips"'},
            )

    def _check_length(self, length: str, path: str) -> None:
        if length.isdecimal() and int(length) > self._most(path):
            raise too_large()

    def _counted(self, path: str, receive: Receive) -> Receive:
        """The same limit for a body without Content-Length. Exceptions raised while a body is read
        reach the error handlers only if they are the framework's own.
        """
        left = self._most(path)

        async def counted() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise HTTPException(413)
            return message

        return counted

    def _most(self, path: str) -> int:
        """Largest body size in bytes."""
        return self._upload if path.endswith("/upload") else MOST_JSON


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()


def _name(host: str) -> str:
    """The host of a Host header without its port, lower case; "" if invalid."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
