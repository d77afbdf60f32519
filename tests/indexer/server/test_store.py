"""The server engine: collections, aliases, layouts, and publishing that was cut off."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
from qdrant_client import QdrantClient, models

from indexer.server.collections import Collections
from indexer.server.layout import QUANTIZATIONS, ServerLayout
from indexer.server.models import quantization_config, search_params
from indexer.server.store import ServerStore
from indexer.vectors import PointBatch, VectorError
from tests.indexer.server.qdrant import CLIENTS, qdrant
from tests.indexer.vector_cases import DIM, HEADS, images, regions

pytestmark = [
    pytest.mark.filterwarnings("ignore:Payload indexes have no effect"),
    pytest.mark.filterwarnings("ignore:Local mode performs exact"),
]


@pytest.fixture(params=CLIENTS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with qdrant(request.param) as (client, prefix, parallel):
        yield Server(client, prefix, parallel)


class Server(NamedTuple):
    """A client, and what a test's own collections there begin with."""

    client: QdrantClient
    prefix: str
    parallel: int

    def open(self, suffix: str = "", **changes: Any) -> ServerStore:
        """A store that may be written."""
        settings = {"heads": HEADS, "dim": DIM, "model_id": "m", "read_only": False}
        settings |= {"parallel": self.parallel, **changes}
        return ServerStore(self.client, self.prefix + suffix, **settings)

    def names(self) -> set[str]:
        """The collections, without the prefix."""
        found = [c.name for c in self.client.get_collections().collections]
        return {n.removeprefix(self.prefix) for n in found if n.startswith(self.prefix)}


def publish(
    store: ServerStore, revision: int, *, rebuild: bool = False, photos: Sequence[int] = range(3)
) -> None:
    with store.writer(rebuild) as writer:
        writer.upsert("images", images(photos))
        writer.upsert("regions", regions(photos))
        writer.commit(revision)


class Killed(Exception):
    """Stands for the end of a process in the middle of a publish."""


def cut_off(store: ServerStore, photos: Sequence[int], *, rebuild: bool = False) -> None:
    """Upload photos and end without a commit."""
    with pytest.raises(Killed):
        upload_and_die(store, images(photos), regions(photos), rebuild=rebuild)


def upload_and_die(
    store: ServerStore, images: PointBatch, regions: PointBatch, *, rebuild: bool
) -> None:
    with store.writer(rebuild) as writer:
        writer.upsert("images", images)
        writer.upsert("regions", regions)
        raise Killed


def test_readers_use_aliases_and_a_rebuild_moves_them(server: Server) -> None:
    server.client.create_collection(f"{server.prefix}-notes", vectors_config={})
    store = server.open()
    publish(store, 1)
    assert server.names() == {"-notes", "-images-1", "-regions-1"}
    publish(store, 2)
    assert server.names() == {"-notes", "-images-1", "-regions-1"}
    publish(store, 3, rebuild=True)
    assert server.names() == {"-notes", "-images-2", "-regions-2"}
    behind = Collections(server.client, server.prefix).current()
    assert behind == {k: f"{server.prefix}-{k}-2" for k in ("images", "regions")}
    assert store.revision == 3


def test_the_old_collections_answer_until_the_new_ones_do(server: Server) -> None:
    store, reader = server.open(), server.open()
    publish(store, 1, photos=range(5))
    with store.writer(rebuild=True) as writer:
        writer.upsert("images", images(range(2)))
        assert (reader.revision, reader.count("images")) == (1, 5)
        writer.commit(2)
    assert reader.refresh()
    assert (reader.revision, reader.count("images")) == (2, 2)


def test_a_rebuild_that_was_cut_off_is_gone_on_with(server: Server) -> None:
    store = server.open()
    publish(store, 1)
    cut_off(store, range(5), rebuild=True)
    assert "-images-2" in server.names()
    assert (store.revision, store.count("images")) == (1, 3)
    publish(store, 2, rebuild=True, photos=range(8))
    assert server.names() == {"-images-2", "-regions-2"}
    assert (store.revision, store.count("images"), store.count("regions")) == (2, 8, 24)


def test_photos_that_left_after_they_were_uploaded_are_not_published(server: Server) -> None:
    store = server.open()
    cut_off(store, range(6), rebuild=True)
    publish(store, 2, rebuild=True, photos=[0, 2, 3, 7])
    kept = {page for ids in store.scroll_ids("images") for page in ids}
    assert kept == set(images([0, 2, 3, 7]).ids)
    assert store.count("regions") == 12


def test_what_a_cut_off_upload_left_is_compared_not_believed(server: Server) -> None:
    store = server.open()
    old = images(range(3))
    old.payload[1] = {**old.payload[1], "folders": ["/elsewhere"]}
    with pytest.raises(Killed):
        upload_and_die(store, old, regions(range(3)), rebuild=True)
    publish(store, 2, rebuild=True)
    new = images(range(3))
    (hits,) = store.search("images", new.vectors["web"][1][None], using="web", limit=1)
    assert store.payloads("images", hits.points) == [new.payload[1]]


def test_collections_of_another_model_or_layout_are_not_gone_on_with(server: Server) -> None:
    cut_off(server.open(), range(3), rebuild=True)
    publish(server.open(model_id="other"), 1, rebuild=True)
    assert server.names() == {"-images-2", "-regions-2"}
    cut_off(server.open(), range(3), rebuild=True)
    publish(server.open(layout=ServerLayout(quantization="none")), 2, rebuild=True)
    assert server.names() == {"-images-4", "-regions-4"}


def test_half_made_collections_are_completed(server: Server) -> None:
    store = server.open()
    store.writer(rebuild=True).__enter__()  # killed: never left
    server.client.delete_collection(f"{server.prefix}-regions-1")  # before it made the second
    publish(store, 1, rebuild=True)
    assert server.names() == {"-images-1", "-regions-1"}
    assert store.count("regions") == 9


def test_what_a_killed_rebuild_left_is_dropped_after_a_day(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = server.open()
    publish(store, 1)
    cut_off(store, range(3), rebuild=True)
    publish(store, 2)
    assert "-images-2" in server.names()
    foreign = {"-images-7", "-regions-7"}
    for name in (*foreign, "-regions-9"):
        server.client.create_collection(f"{server.prefix}{name}", vectors_config={})
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 25 * 3600)
    publish(store, 3)
    assert server.names() == {"-images-1", "-regions-1", *foreign}


def test_a_publish_that_was_cut_off_keeps_the_old_revision(server: Server) -> None:
    store = server.open()
    publish(store, 1)
    cut_off(store, range(3, 5))
    assert store.revision == 1
    publish(store, 2, photos=range(5))
    assert (store.revision, store.count("images")) == (2, 5)
    assert not store.refresh()


def test_a_dropped_store_is_empty_and_touches_no_other(server: Server) -> None:
    store, other = server.open(), server.open("-images")
    publish(store, 1)
    publish(other, 1)
    cut_off(store, range(3), rebuild=True)
    store.drop()
    assert (store.revision, store.count("images")) == (0, 0)
    assert (other.revision, other.count("images")) == (1, 3)
    with pytest.raises(VectorError, match="read-only"):
        server.open(read_only=True).drop()


def test_prefixes_do_not_see_each_other(server: Server) -> None:
    mine, other = server.open(), server.open("-images")
    publish(mine, 1)
    assert (other.revision, other.count("images")) == (0, 0)
    publish(other, 7)
    publish(mine, 2, rebuild=True)
    assert (other.revision, other.count("images")) == (7, 3)


def test_a_foreign_collection_is_not_touched(server: Server) -> None:
    store, name = server.open(), f"{server.prefix}-images"
    publish(store, 1)
    server.client.delete_collection(f"{name}-1")
    server.client.create_collection(f"{name}-1", vectors_config={})
    create = models.CreateAlias(collection_name=f"{name}-1", alias_name=name)
    server.client.update_collection_aliases([models.CreateAliasOperation(create_alias=create)])
    with pytest.raises(VectorError, match=r"images-1 .* another prefix"):
        server.open().count("images")


@pytest.mark.parametrize("quantization", QUANTIZATIONS)
def test_every_quantization_finds_the_nearest(server: Server, quantization: Any) -> None:
    store = server.open(layout=ServerLayout(quantization=quantization))
    publish(store, 1, photos=range(20))
    wanted = images([7])
    (hits,) = store.search("images", wanted.vectors["web"], using="web", limit=1)
    assert hits.ids == wanted.ids


def test_a_layout_is_kept_in_few_words() -> None:
    layout = ServerLayout(shards=6, replicas=3, write_consistency=2, quantization="turbo4")
    assert ServerLayout.from_settings({"kind": "server", **layout.to_settings()}) == layout
    assert ServerLayout().to_settings() == {}
    assert layout.words() == "6 shards, 3 replicas, turbo4"
    assert (
        ServerLayout(quantization="none").words() == "one shard a node, 1 replica, no quantization"
    )
    with pytest.raises(VectorError, match="3 copies where there are 2"):
        replace(layout, replicas=2, write_consistency=3)
    with pytest.raises(VectorError, match="shards must be 1 or more, not 0"):
        ServerLayout(shards=0)
    with pytest.raises(VectorError, match="unknown quantization 'int2'"):
        ServerLayout.from_settings({"quantization": "int2"})


def test_codes_lie_in_memory_and_are_rescored() -> None:
    for name in QUANTIZATIONS:
        made = quantization_config(name)
        params = search_params(ServerLayout(quantization=name).oversampling)
        if made is None or params is None:
            assert (name, made, params) == ("none", None, None)
            continue
        (settings,) = made.model_dump(exclude_none=True).values()
        assert settings["always_ram"] is True
        assert params.quantization is not None
        assert params.quantization.rescore is True
        assert (params.quantization.oversampling or 0) >= 2
