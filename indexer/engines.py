"""Open the vector engine (embedded or server) that a collection's settings name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from indexer.vectors import VectorError, VectorStore


def open_vectors(
    engine: Mapping[str, Any],
    folder: Path,
    *,
    heads: Sequence[str],
    dim: int,
    model_id: str,
    read_only: bool = True,
) -> VectorStore:
    """Open the vector store of a collection.

    `engine` is {"kind": "embedded"}, or {"kind": "server", "url": ..., "prefix": ...} plus the keys
    of `ServerLayout.to_settings`; the API key comes from QDRANT_API_KEY. `folder` is where the
    embedded engine lives. `heads` name the image vectors; all vectors have `dim` entries. Raises
    `VectorError` if the engine is unknown; an unreachable server and a store with another model's
    vectors raise it on first use.
    """
    kind = engine.get("kind")
    if kind == "embedded":
        from indexer.edge.store import EdgeStore

        return EdgeStore(folder, heads=heads, dim=dim, model_id=model_id, read_only=read_only)
    if kind == "server":
        from indexer.server.client import connect
        from indexer.server.layout import ServerLayout
        from indexer.server.store import ServerStore

        return ServerStore(
            connect(engine["url"]),
            engine["prefix"],
            heads=heads,
            dim=dim,
            model_id=model_id,
            read_only=read_only,
            layout=ServerLayout.from_settings(engine),
        )
    raise VectorError(f"unknown vector engine {kind!r}; use 'embedded' or 'server'")
