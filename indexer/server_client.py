"""Talking to a Qdrant server: the connection, what is tried again, and errors as one sentence."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TypeVar

from qdrant_client import QdrantClient
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from indexer.vectors import VectorError

API_KEY = "QDRANT_API_KEY"
_TIMEOUT = 60  # seconds per request
_PAUSES = (0.5, 2.0, 8.0)  # seconds before the second, third and fourth try
_BUSY = frozenset({408, 429, 500, 502, 503, 504})
T = TypeVar("T")


def connect(url: str) -> QdrantClient:
    """A client for the server at `url`, with the key in QDRANT_API_KEY if that is set."""
    # The version check would talk to the server before there is anyone to hear of a failure.
    key = os.environ.get(API_KEY) or None
    return QdrantClient(url=url, api_key=key, timeout=_TIMEOUT, check_compatibility=False)


def call(request: Callable[[], T]) -> T:
    """The answer to a request, tried up to four times while the server is away or busy.

    Raises `VectorError` when it stays so, or when the server refuses.
    """
    for pause in (*_PAUSES, None):
        try:
            return request()
        except ResponseHandlingException as error:
            if pause is None:
                raise VectorError(
                    f"the Qdrant server does not answer ({error}); is it running at this address?"
                ) from error
        except UnexpectedResponse as error:
            if error.status_code in (401, 403):
                raise VectorError(
                    f"the Qdrant server refused the key; set {API_KEY} to a valid one"
                ) from error
            if pause is None or error.status_code not in _BUSY:
                raise VectorError(f"the Qdrant server reports: {error}") from error
        time.sleep(pause)
    raise AssertionError("the last try returns or raises")
