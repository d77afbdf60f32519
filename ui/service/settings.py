"""Settings of the service, and its limits, which its OpenAPI document lists."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

MOST_TEXT = 500
"""Characters in a query."""
MOST_FILTER = 2_000
"""Characters in a filter."""
MOST_HITS = 200
"""Hits per page."""
MOST_REFINED = 20
"""Hits per page with refined places: each needs several passes of the model."""
MOST_OFFSET = 10_000
MOST_CURSOR = 200
"""Characters of a cursor."""
MOST_PHOTOS = 16
"""Photos, examples, or things of a layout in a question."""
MOST_FOLDERS = 16
"""Folders in an index job."""
MOST_VALUES = 1_000
"""Values of a facet."""
MOST_PIXELS = 100_000_000
"""Pixels of an uploaded picture; larger ones are rejected before decoding."""
MOST_SECONDS = 10.0
"""Time limit for decoding an uploaded picture, in seconds."""
MOST_MEMORY = 1_500_000_000
"""Memory limit of the process that decodes it, in bytes."""
MOST_JSON = 64 << 10
"""Bytes of a request that is not an upload."""
MOST_STREAMS = 32
"""Clients that may follow jobs at a time."""
FORM_BYTES = 64 << 10
"""Bytes of a form besides its picture."""
SHORTEST_TOKEN = 16
"""Characters; a shorter one could be guessed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The configuration of the service.

    tokens: a request must carry one of them; empty means no authentication. hosts: accepted host
    names, ("*",) for any. origins: of web pages that may send requests (CORS). rate: requests per
    client, in the notation of `limits` ("50/second;1200/minute"), "" for unlimited. index_roots:
    folders below which index jobs may read. workers: concurrent searches. queue: searches that may
    wait. upload_bytes: of a picture. log_queries: write queries to the log.
    """

    tokens: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ("localhost", "127.0.0.1", "::1")
    origins: tuple[str, ...] = ()
    rate: str = "50/second;1200/minute"
    index_roots: tuple[Path, ...] = ()
    workers: int = 4
    queue: int = 64
    upload_bytes: int = 32 << 20
    log_queries: bool = False

    @property
    def largest_upload(self) -> int:
        """Largest size in bytes of a request with a picture."""
        return self.upload_bytes + FORM_BYTES
