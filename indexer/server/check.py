"""Check that a server can hold a store: its version, and enough nodes for the replicas."""

from __future__ import annotations

import re

from qdrant_client import QdrantClient, models

from indexer.server.client import call
from indexer.server.layout import TURBO, ServerLayout
from indexer.vectors import VectorError

_OLDEST = (1, 16)  # metadata of collections
_OLDEST_TURBO = (1, 18)


def check_server(client: QdrantClient, layout: ServerLayout) -> None:
    """Raise `VectorError` unless the server supports the layout and has enough nodes.

    Qdrant itself accepts more replicas than there are nodes, and silently creates fewer.
    """
    text = call(client.info).version
    version = tuple(int(number) for number in re.findall(r"\d+", text)[:2])
    oldest = _OLDEST_TURBO if layout.quantization in TURBO else _OLDEST
    if version < oldest:
        what = (
            f"{layout.quantization} needs" if layout.quantization in TURBO else "this program needs"
        )
        raise VectorError(
            f"the Qdrant server has version {text}, and {what} {oldest[0]}.{oldest[1]} or newer; "
            "upgrade it one minor version at a time"
        )
    if layout.replicas > 1:
        nodes = _nodes(client)
        if nodes < layout.replicas:
            raise VectorError(
                f"{layout.replicas} replicas need as many nodes, and the Qdrant server has "
                f"{nodes}; add nodes to the cluster, or use fewer replicas"
            )


def _nodes(client: QdrantClient) -> int:
    status = call(client.cluster_status)
    return len(status.peers) if isinstance(status, models.ClusterStatusOneOf1) else 1
