"""HTTP routes for thumbnails, pictures and downloads, beside the Streamlit page.

    thumb/TOKEN/ID      the thumbnail from the catalog, WebP
    photo/TOKEN/ID      the photo reduced for the screen, JPEG
    export/TICKET/NAME  an export that a user requested, as a stream

A token identifies one open collection and a ticket one export of one session; both are random and
known to admitted sessions only. An id names a photo by its content: no path ever comes from the
browser.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote
from weakref import WeakValueDictionary

from cachetools import TTLCache
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from tips_model.errors import TipsError
from ui.app.state import is_identifier
from ui.pictures import FOREVER, SAFE

if TYPE_CHECKING:
    from ui.app.library import Library

TICKET_SECONDS = 3600
MOST_TICKETS = 256

_libraries: WeakValueDictionary[str, Library] = WeakValueDictionary()
_tickets: TTLCache[str, Download] = TTLCache(MOST_TICKETS, TICKET_SECONDS)
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Download:
    """An export to download: its name, its type, and what produces its bytes."""

    name: str
    type: str
    content: Callable[[], Iterator[bytes]]


def serve(library: Library) -> None:
    """Serve the pictures of a collection while it is open."""
    _libraries[library.token] = library


def thumbnail_address(library: Library, identifier: str) -> str:
    """The URL of a photo's thumbnail."""
    return f"thumb/{library.token}/{identifier}"


def photo_address(library: Library, identifier: str) -> str:
    """The URL of the photo reduced for the screen."""
    return f"photo/{library.token}/{identifier}"


def offer(download: Download) -> str:
    """The URL of a download, valid for an hour."""
    ticket = secrets.token_urlsafe(24)
    with _lock:
        _tickets[ticket] = download
    return f"export/{ticket}/{quote(download.name)}"


async def thumbnail(request: Request) -> Response:
    """The thumbnail of a photo."""
    library, identifier = _asked(request)
    if library is None:
        return _missing()
    data = await run_in_threadpool(library.pictures.thumbnail, identifier)
    return _missing() if data is None else Response(data, media_type="image/webp", headers=FOREVER)


async def photo(request: Request) -> Response:
    """The photo reduced for the screen."""
    library, identifier = _asked(request)
    if library is None:
        return _missing()
    try:
        data = await run_in_threadpool(library.pictures.large, identifier)
    except TipsError:
        return _missing()
    return Response(data, media_type="image/jpeg", headers=FOREVER)


async def export(request: Request) -> Response:
    """The download of a ticket."""
    with _lock:
        download = _tickets.get(request.path_params["ticket"])
    if download is None:
        return _missing("This export has expired; export again on the page.")
    name = quote(download.name)
    headers = {**SAFE, "Content-Disposition": f"attachment; filename*=UTF-8''{name}"}
    headers["Cache-Control"] = "no-store"
    return StreamingResponse(download.content(), media_type=download.type, headers=headers)


def routes() -> list[Route]:
    """The routes of this module."""
    return [
        Route("/thumb/{token}/{identifier}", thumbnail),
        Route("/photo/{token}/{identifier}", photo),
        Route("/export/{ticket}/{name}", export),
    ]


def _asked(request: Request) -> tuple[Library | None, str]:
    identifier = request.path_params["identifier"]
    known = is_identifier(identifier)
    return (_libraries.get(request.path_params["token"]) if known else None), identifier


def _missing(sentence: str = "There is no such picture.") -> Response:
    return PlainTextResponse(sentence, 404, headers=SAFE)
