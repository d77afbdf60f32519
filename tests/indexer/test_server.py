"""The server engine: collections and aliases, keys, and a server that is away."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest
from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from indexer import server_client
from indexer.server import ServerStore
from indexer.server_client import API_KEY, call, connect
from indexer.vectors import VectorError
from tests.indexer.vector_cases import DIM, HEADS, images, regions

pytestmark = [
    pytest.mark.filterwarnings("ignore:Payload indexes have no effect"),
    pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection"),
]


@pytest.fixture
def client() -> Iterator[QdrantClient]:
    client = QdrantClient(":memory:")
    yield client
    client.close()


def open_store(client: QdrantClient, prefix: str = "mine") -> ServerStore:
    return ServerStore(client, prefix, heads=HEADS, dim=DIM, model_id="m", read_only=False)


def names(client: QdrantClient) -> set[str]:
    return {collection.name for collection in client.get_collections().collections}


def publish(store: ServerStore, revision: int, *, rebuild: bool = False) -> None:
    with store.writer(rebuild) as writer:
        writer.upsert("images", images(range(3)))
        writer.upsert("regions", regions(range(3)))
        writer.commit(revision)


def test_readers_use_aliases_and_a_rebuild_moves_them(client: QdrantClient) -> None:
    client.create_collection("mine-notes", vectors_config={})
    store = open_store(client)
    publish(store, 1)
    assert names(client) == {"mine-notes", "mine-images-1", "mine-regions-1"}
    publish(store, 2)
    assert names(client) == {"mine-notes", "mine-images-1", "mine-regions-1"}
    publish(store, 3, rebuild=True)
    assert names(client) == {"mine-notes", "mine-images-2", "mine-regions-2"}
    behind = {a.alias_name: a.collection_name for a in client.get_aliases().aliases}
    assert behind == {"mine-images": "mine-images-2", "mine-regions": "mine-regions-2"}
    assert store.revision == 3


def test_a_rebuild_clears_what_a_killed_one_left(client: QdrantClient) -> None:
    store = open_store(client)
    publish(store, 1)
    store.writer(rebuild=True).__enter__()  # killed: never left
    assert "mine-images-2" in names(client)
    publish(store, 2, rebuild=True)
    assert names(client) == {"mine-images-3", "mine-regions-3"}


def test_a_publish_that_was_cut_off_keeps_the_old_revision(client: QdrantClient) -> None:
    store = open_store(client)
    publish(store, 1)
    with store.writer() as writer:
        writer.upsert("images", images(range(3, 5)))
    assert store.revision == 1
    publish(store, 2)
    assert (store.revision, store.count("images")) == (2, 5)


def test_prefixes_do_not_see_each_other(client: QdrantClient) -> None:
    mine, other = open_store(client), open_store(client, "mine-images")
    publish(mine, 1)
    assert (other.revision, other.count("images")) == (0, 0)
    publish(other, 7)
    publish(mine, 2, rebuild=True)
    assert (other.revision, other.count("images")) == (7, 3)


def test_a_foreign_collection_is_not_touched(client: QdrantClient) -> None:
    store = open_store(client)
    publish(store, 1)
    client.delete_collection("mine-images-1")
    client.create_collection("mine-images-1", vectors_config={})
    client.update_collection_aliases([alias("mine-images", "mine-images-1")])
    with pytest.raises(VectorError, match=r"mine-images-1 .* another prefix"):
        open_store(client).count("images")


def alias(name: str, collection: str) -> models.CreateAliasOperation:
    create = models.CreateAlias(collection_name=collection, alias_name=name)
    return models.CreateAliasOperation(create_alias=create)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were asked for; none is made."""
    made: list[float] = []
    monkeypatch.setattr(server_client.time, "sleep", made.append)
    return made


def response(status: int) -> UnexpectedResponse:
    return UnexpectedResponse(status, "reason", b"content", httpx.Headers())


def test_a_busy_server_is_asked_again(pauses: list[float]) -> None:
    answers: list[Exception | int] = [response(503), ResponseHandlingException(OSError("x")), 5]

    def request() -> int:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert call(request) == 5
    assert pauses == [0.5, 2.0]


@pytest.mark.parametrize(
    ("error", "tries", "message"),
    [
        (ResponseHandlingException(OSError("refused")), 4, r"does not answer \(refused\)"),
        (response(500), 4, "reports: Unexpected Response: 500"),
        (response(400), 1, "reports: Unexpected Response: 400"),
        (response(401), 1, "QDRANT_API_KEY"),
        (response(403), 1, "QDRANT_API_KEY"),
    ],
)
def test_what_stays_wrong_becomes_one_sentence(
    pauses: list[float], error: Exception, tries: int, message: str
) -> None:
    asked: list[int] = []

    def request() -> None:
        asked.append(1)
        raise error

    with pytest.raises(VectorError, match=message):
        call(request)
    assert (len(asked), len(pauses)) == (tries, tries - 1)


def test_the_key_comes_from_the_environment_and_goes_into_the_header(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keys: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            keys.append(self.headers.get("api-key"))
            body = json.dumps({"result": {"aliases": []}, "status": "ok", "time": 0.0}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            """Quiet."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv(API_KEY, "secret")
        store = ServerStore(connect(url), "p", heads=HEADS, dim=DIM, model_id="m")
        assert store.count("images") == 0
        store.close()
        server.shutdown()
        thread.join()
    assert set(keys) == {"secret"}
