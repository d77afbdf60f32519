"""Move a collection's vectors to another engine: publish them there, then switch the settings.

An interrupted move leaves the collection unchanged, and the uploaded points for the next try.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from indexer.publish import PublishReport, publish
from indexer.server.layout import ServerLayout

if TYPE_CHECKING:
    from indexer.collection import Collection


def server_engine(
    folder: Path, collection_id: str, url: str, layout: ServerLayout | None = None
) -> dict[str, Any]:
    """The engine settings for a server; folder and id name the collections there.

    Raises `VectorError` for an unusable address.
    """
    from indexer.server.client import check_url

    check_url(url)
    name = "".join(char if char.isascii() and char.isalnum() else "-" for char in folder.name)
    prefix = f"tips-{name}-{collection_id[:8]}"
    settings = (layout or ServerLayout()).to_settings()
    return {"kind": "server", "url": url.rstrip("/"), "prefix": prefix, **settings}


def move(
    collection: Collection,
    engine: Mapping[str, Any],
    *,
    progress: Callable[[int], None] | None = None,
) -> PublishReport:
    """Fill a new store of `engine` from the catalog, then make it the collection's.

    Requires the collection's lock. With the collection's current engine this is a rebuild. Searches
    continue in the old store. Raises `VectorError`; then nothing was changed.
    """
    store = collection.vectors(read_only=False, engine=engine)
    try:
        report = publish(collection.catalog(), store, rebuild=True, progress=progress)
    finally:
        store.close()
    collection.use_engine(engine)
    return report


def same_place(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Whether two engine settings refer to the same vectors, whatever their layouts."""
    return all(first.get(key) == second.get(key) for key in ("kind", "url", "prefix"))


def discard(collection: Collection, engine: Mapping[str, Any]) -> None:
    """Delete the vectors of an engine that the collection has left; requires its lock."""
    if same_place(engine, collection.engine):
        raise ValueError("these are the collection's vectors")
    if engine["kind"] == "embedded":
        shutil.rmtree(collection.vectors_folder, ignore_errors=False)
        return
    from indexer.server.store import ServerStore

    store = collection.vectors(read_only=False, engine=engine)
    assert isinstance(store, ServerStore)
    try:
        store.drop()
    finally:
        store.close()
