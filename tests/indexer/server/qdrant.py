"""Qdrant for tests: in process, and a real server where QDRANT_URL names one."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from qdrant_client import QdrantClient

from indexer.server.client import connect

URL = "QDRANT_URL"
SERVER = pytest.param("server", marks=pytest.mark.integration)
CLIENTS = ["memory", SERVER]
NOT_CHECKED = f"NOT CHECKED: {URL} names no Qdrant server; only the in-process client was tested"


@contextmanager
def qdrant(name: str) -> Iterator[tuple[QdrantClient, str, int]]:
    """A client, a prefix of its own whose collections are dropped afterwards, and how many
    uploads may run at a time. `name` is "memory" or "server"; without a server the test skips.
    """
    if name == "server" and URL not in os.environ:
        pytest.skip(NOT_CHECKED)
    client = connect(os.environ[URL]) if name == "server" else QdrantClient(":memory:")
    prefix = f"test-{uuid.uuid4().hex[:8]}"
    try:
        yield client, prefix, 4 if name == "server" else 1
    finally:
        for collection in client.get_collections().collections:
            if collection.name.startswith(prefix):
                client.delete_collection(collection.name)
        client.close()
