"""A server over HTTP: what is tried again, what is uploaded twice, and every refusal a sentence."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import tenacity.nap

from indexer.server.client import (
    API_KEY,
    CA_CERT,
    READ_TRIES,
    TIMEOUT,
    WRITE_TRIES,
    call,
    check_url,
    connect,
    sends_key_in_clear,
)
from indexer.server.layout import ServerLayout
from indexer.server.store import ServerStore
from indexer.vectors import VectorError
from tests.indexer.server.qdrant_http import Answer, FakeQdrant, error, fake_qdrant
from tests.indexer.vector_cases import DIM, HEADS, images, regions

pytestmark = pytest.mark.filterwarnings("ignore:Local mode performs exact")


@pytest.fixture
def server() -> Iterator[FakeQdrant]:
    with fake_qdrant() as running:
        yield running


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between tries, in seconds; none is made."""
    made: list[float] = []
    monkeypatch.setattr(tenacity.nap.time, "sleep", made.append)
    return made


def open_store(url: str, **changes: Any) -> ServerStore:
    settings = {"heads": HEADS, "dim": DIM, "model_id": "m", "read_only": False}
    return ServerStore(connect(url), "p", **{**settings, **changes})


def publish(store: ServerStore, photos: range, *, rebuild: bool = False) -> None:
    """In batches of ten photos."""
    with store.writer(rebuild) as writer:
        for start in range(photos.start, photos.stop, 10):
            some = range(start, min(start + 10, photos.stop))
            writer.upsert("images", images(some))
            writer.upsert("regions", regions(some))
        writer.commit(1)


def test_a_busy_server_is_asked_again_with_growing_pauses(
    server: FakeQdrant, pauses: list[float]
) -> None:
    server.fault = lambda verb, path, n: error(503) if path == "/aliases" and n <= 3 else None
    assert open_store(server.url).count("images") == 0
    assert server.counts["GET /aliases"] == 4
    for pause, least in zip(pauses, (0.5, 1.0, 2.0), strict=True):
        assert least <= pause <= least + 0.5


def test_a_name_with_several_addresses_outlives_a_node(
    server: FakeQdrant, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve = socket.getaddrinfo

    def nodes(host: str | None, port: int, *arguments: Any, **named: Any) -> Any:
        """Of two nodes, the first of which has gone away."""
        if host != "qdrant-cluster":
            return resolve(host, port, *arguments, **named)
        there = resolve("127.0.0.1", port, *arguments, **named)
        return resolve("127.0.0.2", port, *arguments, **named) + there

    monkeypatch.setattr(socket, "getaddrinfo", nodes)
    store = open_store(server.url.replace("127.0.0.1", "qdrant-cluster"))
    publish(store, range(3))
    assert store.count("images") == 3


def test_many_who_wait_do_not_come_back_together(server: FakeQdrant, pauses: list[float]) -> None:
    server.fault = lambda verb, path, n: error(503)
    for _ in range(5):
        with pytest.raises(VectorError, match=r"reports: busy \(503\)"):
            open_store(server.url).count("images")
    assert len({pauses[n] for n in range(0, len(pauses), READ_TRIES - 1)}) == 5


def test_a_pause_that_the_server_names_is_made(server: FakeQdrant, pauses: list[float]) -> None:
    server.fault = lambda verb, path, n: error(429, Retry_After="7") if n == 1 else None
    assert open_store(server.url).count("images") == 0
    assert pauses == [7.0]


@pytest.mark.parametrize(
    ("answer", "tries", "sentence"),
    [
        (error(400, "wrong\n input"), 1, r"reports: wrong input \(400\)"),
        (error(401), 1, "QDRANT_API_KEY"),
        (error(403), 1, "QDRANT_API_KEY"),
        (error(500, "panicked"), READ_TRIES, r"reports: panicked \(500\)"),
        (
            error(500, "Service internal error: No space left on device: WAL buffer size"),
            1,
            "disk of the Qdrant server is full",
        ),
        (error(429, Retry_After="1"), READ_TRIES, "overloaded"),
        ((200, ["something else"], {}), 1, "is not a Qdrant server"),
        ((502, "<html>", {}), READ_TRIES, r"reports: Bad Gateway \(502\)"),
    ],
)
def test_what_stays_wrong_becomes_one_sentence(
    server: FakeQdrant, pauses: list[float], answer: Answer, tries: int, sentence: str
) -> None:
    server.fault = lambda verb, path, n: answer
    with pytest.raises(VectorError, match=sentence) as caught:
        open_store(server.url).count("images")
    assert "\n" not in str(caught.value)
    assert (server.counts["GET /aliases"], len(pauses)) == (tries, tries - 1)


def test_an_address_where_nothing_listens_is_named(pauses: list[float]) -> None:
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        url = f"http://127.0.0.1:{server.server_port}"
    with pytest.raises(VectorError, match=rf"at {url} does not answer .* is it running"):
        open_store(url).count("images")
    assert len(pauses) == READ_TRIES - 1


def test_every_upload_is_tried_again_and_nothing_is_there_twice(
    server: FakeQdrant, pauses: list[float]
) -> None:
    server.fault = lambda verb, path, n: error(503) if verb == "PUT" and n % 3 == 1 else None
    store = open_store(server.url)
    publish(store, range(50))
    assert (store.count("images"), store.count("regions")) == (50, 150)
    assert pauses
    assert server.points == 200


def test_a_collection_whose_making_was_not_answered_is_not_made_twice(
    server: FakeQdrant, pauses: list[float]
) -> None:
    def lose(verb: str, path: str, n: int) -> Answer | None:
        if verb == "PUT" and path.endswith("-images-1") and n == 1:
            server.answer(
                "PUT", path, {"vectors": {h: {"size": DIM, "distance": "Cosine"} for h in HEADS}}
            )
            return error(504)
        return None

    server.fault = lose
    store = open_store(server.url)
    with store.writer(rebuild=True) as writer:
        writer.upsert("images", images(range(2)))
        writer.commit(1)
    assert store.count("images") == 2


def test_an_upload_that_was_cut_off_goes_on_where_it_stood(
    server: FakeQdrant, pauses: list[float]
) -> None:
    """Twenty batches; the server goes away in the fifteenth and comes back for the next run."""
    allowed = 14
    server.fault = lambda verb, path, n: (
        error(503) if path.endswith("/points") and verb == "PUT" and n > allowed else None
    )
    store = open_store(server.url)
    with pytest.raises(VectorError, match="503"):
        publish(store, range(100), rebuild=True)
    assert len(pauses) == WRITE_TRIES - 1
    before, server.fault = server.points, None
    assert before == 7 * 10 * (1 + 3)
    publish(open_store(server.url), range(100), rebuild=True)
    assert server.points - before == 3 * 10 * (1 + 3)
    assert (store.count("images"), store.count("regions")) == (100, 300)


def test_batches_go_out_side_by_side(server: FakeQdrant) -> None:
    """Two uploads meet at a barrier, which one alone could not pass."""
    meeting = threading.Barrier(2, timeout=20)
    together: list[int] = []
    handle = server.RequestHandlerClass.handle_one  # type: ignore[attr-defined]

    def meet(self: Any) -> None:
        if self.command == "PUT" and "/points" in self.path and len(together) < 2:
            together.append(1)
            meeting.wait()
        handle(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server.RequestHandlerClass, "do_PUT", meet)
        with open_store(server.url).writer() as writer:
            writer.upsert("regions", regions(range(180)))  # 540 points are three requests
    assert len(together) == 2


def test_the_graph_is_built_after_the_points_and_the_indexes_before(server: FakeQdrant) -> None:
    order: list[str] = []

    def note(verb: str, path: str, n: int) -> None:
        if verb in ("PUT", "PATCH", "POST") and "images-1" in path:
            order.append(f"{verb} {path.rpartition('/')[2]}")
        elif path == "/collections/aliases":
            order.append("aliases")

    server.fault = note
    publish(open_store(server.url), range(3))
    assert server.created["p-images-1"]["optimizers_config"] == {"indexing_threshold": 0}
    later = [
        u["optimizers_config"] for u in server.updated["p-images-1"] if "optimizers_config" in u
    ]
    assert later == [{"indexing_threshold": 20_000}]
    assert order[0] == "PUT p-images-1"
    steps = [order.index("PUT index"), order.index("PUT points"), order.index("PATCH p-images-1")]
    assert steps == sorted(steps)
    assert "PUT index" not in order[steps[1] :]
    assert steps[2] < order.index("aliases")


def test_the_aliases_wait_for_the_graph(
    server: FakeQdrant, monkeypatch: pytest.MonkeyPatch
) -> None:
    from indexer.server import collections as server_collections

    monkeypatch.setattr(server_collections, "INDEX_FROM_KB", 0)
    seen: list[str] = []

    def look(seconds: float) -> None:
        seen.append(f"{server.status} {server.counts['POST /collections/aliases']}")
        server.status = "yellow" if len(seen) < 4 else "green"

    monkeypatch.setattr(server_collections.time, "sleep", look)
    publish(open_store(server.url), range(3))
    assert seen[:4] == ["green 0", "yellow 0", "yellow 0", "yellow 0"]
    assert server.counts["POST /collections/aliases"] == 1
    server.status = "red"
    with pytest.raises(VectorError, match="failed on collection p-images-2"):
        publish(open_store(server.url), range(3), rebuild=True)


def test_shards_and_replicas_are_asked_for_where_there_are_nodes(server: FakeQdrant) -> None:
    layout = ServerLayout(shards=6, replicas=3, write_consistency=2, quantization="turbo4")
    with pytest.raises(VectorError, match=r"3 replicas need as many nodes, .* has 1"):
        publish(open_store(server.url, layout=layout), range(3))
    assert server.created == {}
    server.nodes = 3
    publish(open_store(server.url, layout=layout), range(3))
    for name in ("p-images-1", "p-regions-1"):
        made = server.created[name]
        asked = ("shard_number", "replication_factor", "write_consistency_factor")
        assert [made[key] for key in asked] == [6, 3, 2]
        assert made["quantization_config"] == {"turbo": {"always_ram": True, "bits": "bits4"}}
    assert set(server.created["p-images-1"]["vectors"]) == set(HEADS)


@pytest.mark.parametrize(
    ("version", "layout", "sentence"),
    [
        ("1.15.5", ServerLayout(), r"version 1\.15\.5, .* needs 1\.16"),
        ("1.17.0", ServerLayout(quantization="turbo8"), r"turbo8 needs 1\.18"),
    ],
)
def test_an_old_server_is_refused(
    server: FakeQdrant, version: str, layout: ServerLayout, sentence: str
) -> None:
    server.version = version
    with pytest.raises(VectorError, match=sentence):
        publish(open_store(server.url, layout=layout), range(3))
    assert server.created == {}


def test_the_key_comes_from_the_environment_and_goes_into_the_header(
    server: FakeQdrant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(API_KEY, "secret")
    assert open_store(server.url).count("images") == 0
    assert {headers["api-key"] for headers in server.headers} == {"secret"}
    assert not sends_key_in_clear(server.url)
    assert sends_key_in_clear("http://qdrant.example.org:6333")
    assert not sends_key_in_clear("https://qdrant.example.org:6333")


@pytest.mark.parametrize(
    "url", ["localhost:6333", "ftp://localhost", "http://", "http://[::1", "", "http://h:port"]
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(VectorError, match="is not the address of a Qdrant server"):
        check_url(url)


@pytest.mark.parametrize("url", ["http://me:key@host", "http://host?api_key=k", "http://key@host"])
def test_a_key_in_an_address_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(VectorError, match="remove names and keys") as caught:
        connect(url)
    assert "host" not in str(caught.value)


def test_a_timeout_is_a_whole_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TIMEOUT, "soon")
    with pytest.raises(VectorError, match=r"QDRANT_TIMEOUT .* not 'soon'"):
        connect("http://localhost:6333")


def test_a_server_that_is_slow_is_given_up(
    server: FakeQdrant, monkeypatch: pytest.MonkeyPatch, pauses: list[float]
) -> None:
    monkeypatch.setenv(TIMEOUT, "1")
    client = connect(server.url)
    with server.lock, pytest.raises(VectorError, match="took too long"):
        call(client.get_aliases, tries=1)


def test_a_certificate_is_believed_when_its_authority_is_named(
    tmp_path: Path, server: FakeQdrant, monkeypatch: pytest.MonkeyPatch, pauses: list[float]
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    names = "subjectAltName=IP:127.0.0.1"
    command = f"openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=test -addext {names}"
    subprocess.run(
        [*command.split(), "-keyout", key, "-out", certificate], check=True, capture_output=True
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    url = server.url.replace("http:", "https:")
    with pytest.raises(VectorError, match=r"certificate .* is not trusted .*QDRANT_CA_CERT"):
        open_store(url).count("images")
    assert not pauses
    monkeypatch.setenv(CA_CERT, str(certificate))
    assert open_store(url).count("images") == 0
    monkeypatch.setenv(CA_CERT, str(tmp_path / "missing.pem"))
    with pytest.raises(VectorError, match=r"missing\.pem, which \$QDRANT_CA_CERT names"):
        open_store(url)
