"""The connection to a Qdrant server: settings, retries, and errors as one sentence.

Key, certificate and timeout come from the environment and are never stored with a collection.
"""

from __future__ import annotations

import json
import os
import ssl
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
from qdrant_client import QdrantClient
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt
from tenacity.wait import wait_exponential, wait_random

from indexer.errors import is_disk_full
from indexer.vectors import VectorError

API_KEY = "QDRANT_API_KEY"
CA_CERT = "QDRANT_CA_CERT"
TIMEOUT = "QDRANT_TIMEOUT"
READ_TRIES = 5  # about 8 seconds: a user waits for the answer
WRITE_TRIES = 9  # about a minute and a half: as long as a server may take to restart
_SECONDS = 60  # per request, unless QDRANT_TIMEOUT says otherwise
_LONGEST_PAUSE = 30.0  # seconds
_BUSY = frozenset({408, 429, 500, 502, 503, 504})
PAGE = 1024  # points per request when reading
T = TypeVar("T")


def connect(url: str) -> QdrantClient:
    """A client for the server at `url`; sends no request yet.

    The environment may hold QDRANT_API_KEY, QDRANT_CA_CERT (a file with the CA certificates for the
    server's, instead of the system's) and QDRANT_TIMEOUT (seconds per request). Raises
    `VectorError` for an unusable address or setting.
    """
    check_url(url)
    options: dict[str, Any] = {}
    authority = os.environ.get(CA_CERT)
    if authority:
        try:
            options["verify"] = ssl.create_default_context(cafile=authority)
        except OSError as error:
            raise VectorError(
                f"{authority}, which ${CA_CERT} names, is not a file of certificates "
                f"({error.strerror or error})"
            ) from error
    with warnings.catch_warnings():
        # Sending the key in the clear is reported where the address is chosen.
        warnings.filterwarnings("ignore", "Api key is used with an insecure connection")
        # The version check would contact the server before any caller can handle a failure.
        return QdrantClient(
            url=url,
            api_key=os.environ.get(API_KEY) or None,
            timeout=_timeout(),
            check_compatibility=False,
            **options,
        )


def check_url(url: str) -> None:
    """Raise `VectorError` unless `url` is a plain http(s) address of a server.

    A key in it would end up in the collection's settings.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        parts, host = urlsplit(""), None
    if parts.username or parts.password or parts.query or parts.fragment:
        raise VectorError(
            f"remove names and keys from the address of the Qdrant server; set ${API_KEY} instead"
        )
    if parts.scheme not in ("http", "https") or not host:
        raise VectorError(
            f"{url!r} is not the address of a Qdrant server; it looks like http://localhost:6333"
        )


def sends_key_in_clear(url: str) -> bool:
    """Whether there is a key that `url` would send unencrypted to another machine."""
    parts = urlsplit(url)
    local = parts.hostname in ("localhost", "127.0.0.1", "::1")
    return bool(os.environ.get(API_KEY)) and parts.scheme == "http" and not local


def call(request: Callable[[], T], tries: int = READ_TRIES) -> T:
    """The answer to a request, tried up to `tries` times while the server is away or busy.

    Exponential backoff from half a second, with jitter so that many clients do not return together;
    a pause that the server requests is used instead. Only transient errors are retried.
    Raises `VectorError` when retries run out, or when the server refuses.
    """
    try:
        return retrying(tries)(request)
    except (ResponseHandlingException, UnexpectedResponse, ResourceExhaustedResponse) as error:
        raise VectorError(_sentence(error)) from error


def retrying(tries: int) -> Retrying:
    """The retry policy of a request."""
    return Retrying(
        stop=stop_after_attempt(tries),
        wait=_pause,
        retry=retry_if_exception(_may_pass),
        reraise=True,
    )


def scroll_ids(client: QdrantClient, name: str) -> Iterator[list[str]]:
    """The ids of all points of a collection, in pages."""
    offset = None
    while True:
        records, offset = call(
            partial(
                client.scroll,
                name,
                limit=PAGE,
                offset=offset,
                with_payload=False,
                with_vectors=False,
            )
        )
        if records:
            yield [str(record.id) for record in records]
        if offset is None:
            return


_growing = wait_exponential(multiplier=0.5, max=_LONGEST_PAUSE) + wait_random(0, 0.5)


def _pause(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, ResourceExhaustedResponse):
        return min(float(error.retry_after_s), 2 * _LONGEST_PAUSE)
    return _growing(state)


def _may_pass(error: BaseException) -> bool:
    match error:
        case ResourceExhaustedResponse():
            return True
        case UnexpectedResponse():
            return error.status_code in _BUSY and not _full(error)
        case ResponseHandlingException():
            source = error.source
            return isinstance(source, httpx.TransportError) and not _untrusted(source)
        case _:
            return False


def _sentence(error: Exception) -> str:
    if isinstance(error, ResponseHandlingException):
        return _no_answer(error.source)
    if isinstance(error, UnexpectedResponse):
        if error.status_code in (401, 403):
            return f"the Qdrant server refused the key; set ${API_KEY} to a valid one"
        if _full(error):
            return (
                "the disk of the Qdrant server is full; free some space there, then rerun to "
                "resume the upload"
            )
        return f"the Qdrant server reports: {_reason(error)} ({error.status_code})"
    return f"the Qdrant server is overloaded ({error}); try again later"


def _no_answer(source: Exception) -> str:
    if not isinstance(source, httpx.TransportError):
        return "the server at this address is not a Qdrant server"
    where = _address(source)
    if _untrusted(source):
        return (
            f"the certificate of the Qdrant server{where} is not trusted ({source}); set "
            f"${CA_CERT} to the file of the authority that signed it"
        )
    if isinstance(source, httpx.TimeoutException):
        return (
            f"the Qdrant server{where} took too long; try again, or set ${TIMEOUT} to more seconds"
        )
    return f"the Qdrant server{where} does not answer ({source}); is it running at this address?"


def _address(source: httpx.TransportError) -> str:
    try:
        url = source.request.url
    except RuntimeError:  # httpx: the error has no request
        return ""
    return f" at {url.scheme}://{url.netloc.decode()}"


def _reason(error: UnexpectedResponse) -> str:
    """Qdrant's message in the body, else the status line's reason."""
    try:
        said = json.loads(error.content)["status"]["error"]
    except (ValueError, KeyError, TypeError):
        return error.reason_phrase or "an error"
    return " ".join(str(said).split())


def _full(error: UnexpectedResponse) -> bool:
    return is_disk_full(OSError(error.content.decode("utf-8", "replace")))


def _untrusted(source: Exception) -> bool:
    return any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(source))


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def _timeout() -> int:
    text = os.environ.get(TIMEOUT) or str(_SECONDS)
    try:
        seconds = int(text)
    except ValueError:
        seconds = 0
    if seconds < 1:
        raise VectorError(f"${TIMEOUT} is a whole number of seconds, not {text!r}")
    return seconds
