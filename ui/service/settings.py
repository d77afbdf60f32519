"""What the service is started with, and its limits, which its OpenAPI document states."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

MOST_TEXT = 500
"""Characters of a query."""
MOST_FILTER = 2_000
"""Characters of a filter."""
MOST_HITS = 200
"""Hits of a page."""
MOST_REFINED = 20
"""Hits of a page whose places are computed again: some passes of the model each."""
MOST_OFFSET = 10_000
MOST_PHOTOS = 16
"""Photos, examples, or things of a layout that a question names."""
MOST_FOLDERS = 16
"""Folders of an index job."""
MOST_VALUES = 1_000
"""Values of a facet."""
MOST_PIXELS = 100_000_000
"""Of an uploaded picture; more are refused before any is decoded."""
MOST_SECONDS = 10.0
"""For decoding an uploaded picture."""
MOST_MEMORY = 1_500_000_000
"""Bytes of the process that decodes it."""
MOST_JSON = 64 << 10
"""Bytes of a request that is not an upload."""
MOST_STREAMS = 32
"""Clients that may follow jobs at a time."""
FORM_BYTES = 64 << 10
"""What a form has beside its picture."""
SHORTEST_TOKEN = 16
"""Characters; a shorter one could be guessed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """How the service behaves.

    tokens: one of them has to be shown; none means that everybody is let in. hosts: names by which
    it may be called, ("*",) for any. origins: of web pages that may ask (CORS). rate: requests a
    client, in the notation of `limits` ("50/second;1200/minute"), "" for any number. index_roots:
    folders below which index jobs may read. workers: searches at a time. queue: searches that may
    wait. upload_bytes: of a picture. log_queries: write what was asked into the log.
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
        """Bytes of a request with a picture."""
        return self.upload_bytes + FORM_BYTES
