"""Thumbnails and screen-sized pictures of a collection's photos for the browser, cached."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from cachetools import LRUCache
from PIL import Image

from tips_model.errors import TipsError
from ui.background import Background

if TYPE_CHECKING:
    from indexer.catalog.table import Catalog

LARGE = 1400  # approximate side of the large picture in pixels
LARGE_QUALITY = 86
THUMBNAIL_BYTES = 48 << 20
LARGE_BYTES = 32 << 20
A_YEAR = 365 * 24 * 3600  # seconds
SAFE = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'"}
"""Headers of everything that is served beside a page."""
FOREVER = {**SAFE, "Cache-Control": f"private, max-age={A_YEAR}, immutable"}
"""Headers of pictures: the content of an id never changes."""


class Pictures:
    """Thumbnails and large pictures of one collection, for any number of threads.

    catalog: returns the catalog, called on first use. ahead: the worker that prefetches pictures
    that may be requested next.
    """

    def __init__(self, catalog: Callable[[], Catalog], ahead: Background) -> None:
        self._catalog, self._ahead = catalog, ahead
        self._thumbnails: LRUCache[str, bytes] = LRUCache(THUMBNAIL_BYTES, getsizeof=len)
        self._large: LRUCache[str, bytes] = LRUCache(LARGE_BYTES, getsizeof=len)
        self._lock = threading.Lock()

    def prepare(self, identifiers: Sequence[str]) -> None:
        """Load the thumbnails of a page with one read of the catalog."""
        with self._lock:
            missing = [each for each in identifiers if each not in self._thumbnails]
        if missing:
            found = self._catalog().thumbnails(missing)
            with self._lock:
                for identifier, data in found.items():
                    _keep(self._thumbnails, identifier, data)

    def thumbnail(self, identifier: str) -> bytes | None:
        """The photo's thumbnail from the catalog, a WebP."""
        self.prepare([identifier])
        with self._lock:
            return self._thumbnails.get(identifier)

    def large(self, identifier: str) -> bytes:
        """The upright photo from its file, reduced, as JPEG; raises `TipsError` when it cannot be
        read now.
        """
        with self._lock:
            known = self._large.get(identifier)
        if known is not None:
            return known
        buffer = io.BytesIO()
        photo = self.photo(identifier)
        photo.thumbnail((LARGE, LARGE))
        photo.convert("RGB").save(buffer, "JPEG", quality=LARGE_QUALITY)
        data = buffer.getvalue()
        with self._lock:
            _keep(self._large, identifier, data)
        return data

    def look_ahead(self, identifiers: Sequence[str]) -> None:
        """Prefetch large pictures that are likely to be opened next."""

        def load(identifier: str) -> None:
            try:
                self.large(identifier)
            except TipsError:
                return  # reported when it is opened

        for identifier in identifiers:
            self._ahead.submit(partial(load, identifier))

    def photo(self, identifier: str) -> Image.Image:
        """The upright pixels; raises `TipsError` when the file cannot be read now."""
        from search.stored_photos import open_photo

        return open_photo(self._catalog(), identifier, side=LARGE)


def _keep(cache: LRUCache[str, bytes], key: str, data: bytes) -> None:
    if len(data) <= cache.maxsize:
        cache[key] = data
