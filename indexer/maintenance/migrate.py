"""Moving a collection's vectors to another engine: published there first, then looked for there.

A move that is cut off leaves the collection where it was, and what is uploaded for the next try.
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
    """The engine setting for a server; folder and id name the collections there.

    Raises `VectorError` for an address that cannot be used.
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

    Needs the collection's lock. With the engine that the collection has it is a rebuild. Searches
    go on in the old place. Raises `VectorError`; then nothing was changed.
    """
    store = collection.vectors(read_only=False, engine=engine)
    try:
        report = publish(collection.catalog(), store, rebuild=True, progress=progress)
    finally:
        store.close()
    collection.use_engine(engine)
    return report


def same_place(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Whether two engine settings mean the same vectors, however they are laid out."""
    return all(first.get(key) == second.get(key) for key in ("kind", "url", "prefix"))


def discard(collection: Collection, engine: Mapping[str, Any]) -> None:
    """Delete the vectors in a place that the collection has left; needs its lock."""
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
