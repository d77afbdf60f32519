"""The service as a process: a socket, its application, and an orderly end."""

from __future__ import annotations

import os
import socket

import uvicorn

from tips_model.errors import ModelNameError, TipsError, WeightsError
from ui.service.app import make_app
from ui.service.context import Service

GRACE = 20  # seconds that requests under way have when the service ends
KEEP_ALIVE = 20  # seconds
BACKLOG = 1024


class ListenError(TipsError):
    """The service cannot have the address that it was given."""


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes one that is free. Raises `ListenError`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        # Python adds the address to the text of the system's own errors.
        number = error.errno or 0
        reason = os.strerror(number) if number > 0 else str(error.strerror).partition(" (")[0]
        raise ListenError(
            f"{host}:{port} cannot be used ({reason}); choose another --port or --host."
        ) from error
    # Connections inherit it. asyncio sets it only on sockets that name their protocol; without it
    # an answer waits 40 ms for an acknowledgement that the other side delays.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def make_server(service: Service, *, proxy: str | None = None) -> uvicorn.Server:
    """The server of a service; what streams ends when it is told to exit.

    proxy: the address whose X-Forwarded-For is believed.
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
    """Open the collections and answer until the process is asked to end; then finish what is under
    way, for `GRACE` seconds at most, and close the service.

    Raises `TipsError` when a model cannot be loaded; what may still come, a collection or the
    server of its vectors, is waited for.
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
