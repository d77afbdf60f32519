"""The service process: listening socket, uvicorn server and graceful shutdown."""

from __future__ import annotations

import os
import socket

import uvicorn

from tips_model.errors import ModelNameError, TipsError, WeightsError
from ui.service.app import make_app
from ui.service.context import Service

GRACE = 20  # seconds for running requests to finish at shutdown
KEEP_ALIVE = 20  # seconds
BACKLOG = 1024


class ListenError(TipsError):
    """The service cannot listen on its address."""


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 picks a free one. Raises `ListenError`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        # Python appends the address to the system's error messages.
        number = error.errno or 0
        reason = os.strerror(number) if number > 0 else str(error.strerror).partition(" (")[0]
        raise ListenError(
            f"{host}:{port} cannot be used ({reason}); choose another --port or --host."
        ) from error
    # Connections inherit it. asyncio sets it only on sockets that name their protocol; without it
    # a response waits 40 ms for a delayed acknowledgement.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def make_server(service: Service, *, proxy: str | None = None) -> uvicorn.Server:
    """The server of a service; streaming responses end when it shuts down.

    proxy: the address whose X-Forwarded-For is trusted.
    """
    config = uvicorn.Config(
        make_app(service),
        log_config=None,
        access_log=False,
        ws="none",
        lifespan="off",
        server_header=False,
        proxy_headers=proxy is not None,
        forwarded_allow_ips=proxy,
        timeout_graceful_shutdown=GRACE,
        timeout_keep_alive=KEEP_ALIVE,
    )
    server = uvicorn.Server(config)
    service.ending = lambda: server.should_exit
    return server


def serve(listening: socket.socket, service: Service, *, proxy: str | None = None) -> None:
    """Open the collections and serve until the process is asked to end; then let running requests
    finish, for at most `GRACE` seconds, and close the service.

    Raises `TipsError` when a model cannot be loaded; waits for collections or vector servers that
    are not available yet.
    """
    server = make_server(service, proxy=proxy)
    fatal: list[TipsError] = []

    def failed(error: TipsError) -> None:
        if isinstance(error, WeightsError | ModelNameError):
            fatal.append(error)
            server.should_exit = True

    service.engines.start(failed)
    try:
        server.run(sockets=[listening])
    finally:
        service.close()
    if fatal:
        raise fatal[0]
