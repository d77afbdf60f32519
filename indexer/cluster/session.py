"""Connect to a Ray cluster, and check that it is reachable."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from indexer.errors import RayError

_CONNECT_SECONDS = 5.0


@contextmanager
def ray_session(address: str, **init: Any) -> Iterator[Any]:
    """Connect to Ray and yield the module `ray`; disconnects at the end unless it was already
    connected.

    address: "local" starts Ray here and stops it, "auto" finds one running here, HOST:PORT and
    ray://HOST:PORT name one. init: extra arguments of `ray.init`. Raises `RayError` when Ray is not
    installed or nothing answers.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    check_ray(address)
    import ray
    import ray.data

    if ray.is_initialized():
        yield ray
        return
    if address == "local":
        init = {"include_dashboard": False, **init}
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **init)
    except (ConnectionError, RuntimeError, ValueError, AssertionError) as error:
        raise RayError(
            f"No Ray cluster answers at {address} ({first_line(error)}); start one with "
            "`ray start --head`, set RAY_AUTH_MODE=token where it asks for a token, or use "
            "`--ray local`."
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def check_ray(address: str) -> None:
    """Raise `RayError` unless Ray is installed and something listens at the address."""
    if find_spec("ray") is None:
        raise RayError(
            "Ray is not installed here; `pip install 'tips-search[ray]'`, here and on the cluster."
        )
    check_reachable(address)


def check_reachable(address: str) -> None:
    """Raise `RayError` unless something listens at HOST:PORT or ray://HOST:PORT; "auto" and "local"
    are not checked. Ray's own attempt takes a minute."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if address in ("auto", "local"):
        return
    if not (colon and host and port.isdigit() and 0 < int(port) < 65536):
        raise RayError(
            f"{address} is not the address of a Ray cluster; use auto, local, HOST:PORT or "
            "ray://HOST:PORT."
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_SECONDS).close()
    except OSError as error:
        raise RayError(
            f"No Ray cluster answers at {address} ({error.strerror or error}); start one with "
            "`ray start --head`, or use `--ray local`."
        ) from error


def first_line(error: BaseException) -> str:
    """The first line of a Ray error, without the details."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else type(error).__name__
