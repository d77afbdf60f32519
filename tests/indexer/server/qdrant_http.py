"""qdrant-client's in-process collections behind Qdrant's REST interface, on a port of loopback.

It stands for the network, not for Qdrant: requests are counted, and answers can be made to fail.
Shards, replicas, codes and graphs are not there; what was asked of them is kept in `created`.
"""

from __future__ import annotations

import json
import re
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pydantic import BaseModel, TypeAdapter
from qdrant_client import QdrantClient, models

Answer = tuple[int, Any, dict[str, str]]
Fault = Callable[[str, str, int], Answer | None]
POINT = TypeAdapter(list[models.PointStruct])
CONFIG = {
    "hnsw_config": {"m": 16, "ef_construct": 100, "full_scan_threshold": 10_000},
    "optimizer_config": {
        "deleted_threshold": 0.2,
        "vacuum_min_vector_number": 1000,
        "default_segment_number": 0,
        "flush_interval_sec": 5,
    },
}


class FakeQdrant(ThreadingHTTPServer):
    """What the requests did.

    fault: called with verb, path and the number of such requests so far; an answer (status, body,
    headers) takes the place of the real one. counts: requests by "VERB path" with names left out.
    points: how many points came in upserts. created, updated: bodies by collection. version,
    nodes: what the server says of itself. status: of collections.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.client = QdrantClient(":memory:")
        self.lock = threading.Lock()
        self.fault: Fault | None = None
        self.counts: Counter[str] = Counter()
        self.headers: list[dict[str, str]] = []
        self.points = 0
        self.created: dict[str, dict[str, Any]] = {}
        self.updated: dict[str, list[dict[str, Any]]] = {}
        self.version = "1.19.1"
        self.nodes = 1
        self.status = "green"

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"

    def answer(self, verb: str, path: str, body: Any) -> Any:
        """The result of a request, by the in-process client."""
        parts = path.strip("/").split("/")
        match [verb, *parts]:
            case ["GET", ""]:
                return {"title": "qdrant", "version": self.version}
            case ["GET", "cluster"]:
                return self._cluster()
            case ["GET", "aliases"]:
                return self.client.get_aliases()
            case ["POST", "collections", "aliases"]:
                actions = models.ChangeAliasesOperation.model_validate(body).actions
                return self.client.update_collection_aliases(actions)
            case ["GET", "collections"]:
                return self.client.get_collections()
            case ["GET", "collections", name, "exists"]:
                return {"exists": self.client.collection_exists(name)}
            case [verb, "collections", name, *rest]:
                return self._collection(verb, name, rest, body)
        raise LookupError(path)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Quiet about a client that was killed; everything else is a defect of this file."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def _cluster(self) -> dict[str, Any]:
        if self.nodes == 1:
            return {"status": "disabled"}
        return {
            "status": "enabled",
            "peer_id": 1,
            "peers": {str(n): {"uri": f"http://node{n}:6335"} for n in range(self.nodes)},
            "raft_info": {
                "term": 1,
                "commit": 1,
                "pending_operations": 0,
                "role": "Leader",
                "leader": 1,
                "is_voter": True,
            },
            "consensus_thread_status": {
                "consensus_thread_status": "working",
                "last_update": "2026-01-01T00:00:00Z",
            },
            "message_send_failures": {},
        }

    def _collection(self, verb: str, name: str, rest: list[str], body: Any) -> Any:
        client = self.client
        match [verb, *rest]:
            case ["GET"]:
                info = client.get_collection(name).model_dump(mode="json")
                return {**info, "status": self.status, "config": {**info["config"], **CONFIG}}
            case ["PUT"]:
                self.created[name] = body
                made = models.CreateCollection.model_validate(body)
                return client.create_collection(
                    name, vectors_config=made.vectors, metadata=made.metadata
                )
            case ["PATCH"]:
                self.updated.setdefault(name, []).append(body)
                return client.update_collection(name, metadata=body.get("metadata"))
            case ["DELETE"]:
                return client.delete_collection(name)
            case ["PUT", "index"]:
                return {"operation_id": 0, "status": "completed"}
            case ["PUT", "points"]:
                points = _points(body)
                self.points += len(points)
                return client.upsert(name, points)
            case ["POST", "points"]:
                return client.retrieve(
                    name, body["ids"], body.get("with_payload"), body.get("with_vector") or False
                )
            case ["POST", "points", "delete"]:
                selector: Any = (
                    models.PointIdsList(points=body["points"])
                    if "points" in body
                    else models.FilterSelector(filter=models.Filter.model_validate(body["filter"]))
                )
                return client.delete(name, selector)
            case ["POST", "points", "count"]:
                return client.count(name, _filter(body))
            case ["POST", "points", "scroll"]:
                points, offset = client.scroll(
                    name, limit=body["limit"], offset=body.get("offset"), with_payload=False
                )
                return {"points": points, "next_page_offset": offset}
            case ["POST", "points", "query", "batch"]:
                requests = [models.QueryRequest.model_validate(s) for s in body["searches"]]
                return client.query_batch_points(name, requests)
            case ["POST", "points", "query"]:
                asked = models.QueryRequest.model_validate(body)
                return client.query_points(
                    name,
                    query=asked.query,
                    using=asked.using,
                    query_filter=asked.filter,
                    limit=asked.limit,
                )
        raise LookupError(f"{verb} {rest}")


class _Handler(BaseHTTPRequestHandler):
    server: FakeQdrant
    protocol_version = "HTTP/1.1"

    def handle_one(self) -> None:
        """Answer a request."""
        size = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(size)) if size else None
        path = self.path.split("?")[0]
        server, key = (
            self.server,
            f"{self.command} {re.sub(r'collections/(?!aliases$)[^/]+', 'C', path)}",
        )
        with server.lock:
            server.counts[key] += 1
            server.headers.append(dict(self.headers))
            fault = server.fault and server.fault(self.command, path, server.counts[key])
            if fault is None:
                fault = self._result(path, body)
        status, content, headers = fault
        self._send(status, content, headers)

    def _result(self, path: str, body: Any) -> Answer:
        try:
            result = _plain(self.server.answer(self.command, path, body))
        except ValueError as error:  # the in-process client's word for a collection it lacks
            return 404, {"status": {"error": f"Not found: {error}"}, "time": 0.0}, {}
        if path == "/":
            return 200, result, {}
        return 200, {"result": result, "status": "ok", "time": 0.0}, {}

    def _send(self, status: int, content: Any, headers: dict[str, str]) -> None:
        raw = json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = handle_one

    def log_message(self, *arguments: object) -> None:
        """Quiet."""


def error(status: int, text: str = "busy", **headers: str) -> Answer:
    """An answer as Qdrant gives it when something is wrong."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return status, {"status": {"error": text}, "time": 0.0}, named


@contextmanager
def fake_qdrant() -> Iterator[FakeQdrant]:
    """A server of its own for a test."""
    with FakeQdrant() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
            server.client.close()


def _points(body: dict[str, Any]) -> list[models.PointStruct]:
    if "points" in body:
        return POINT.validate_python(body["points"])
    batch = body["batch"]
    return [
        models.PointStruct(
            id=point_id,
            vector={name: rows[place] for name, rows in batch["vectors"].items()},
            payload=batch["payloads"][place],
        )
        for place, point_id in enumerate(batch["ids"])
    ]


def _filter(body: dict[str, Any]) -> models.Filter | None:
    return models.Filter.model_validate(body["filter"]) if body.get("filter") else None


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value
