"""Many machines, played by two processes of a local Ray: the results are those of one process."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from PIL import Image

from indexer.collection import Collection
from indexer.errors import RayError
from indexer.options import IndexOptions
from indexer.photos.limits import Limits
from indexer.pipeline import index
from indexer.progress import IndexReport, Progress
from tests.indexer.cluster import ray_cases
from tests.indexer.colours import ColourEmbedder
from tests.indexer.folders.object_storage import s3_server
from tests.indexer.test_pipeline import write_xmp
from tests.photos import make
from tips_model.errors import TipsError

if find_spec("ray") is None:
    pytest.skip("Ray is not installed (the extra `ray`): not tested", allow_module_level=True)

from indexer.catalog.rows import FileRef, PhotoRow, file_refs
from indexer.catalog.table import LINK_SCHEMA, Catalog
from indexer.cluster.blocks import FOUND, found_tables, light_readings, read_block
from indexer.cluster.engine import RayWorkers, staff
from indexer.cluster.session import check_reachable, ray_session
from indexer.cluster.stream import Staff
from indexer.cluster.tasks import write_rows
from indexer.cluster.workers import Assignment, PhotoEmbedder, PhotoReader, PhotoWorker
from indexer.folders.changes import compare
from indexer.folders.scan import scan
from indexer.photo_reader import Reading

SMALL = IndexOptions(window=4, commit_photos=16, threads=1)
COUNTS = ("new", "modified", "moved", "copied", "removed", "unchanged", "failed", "embedded")

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*:DeprecationWarning", "ignore:.*:ResourceWarning", "ignore:lance is not fork-safe"
)


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    with s3_server() as url:
        yield url


@pytest.fixture(scope="module")
def ray(s3: str) -> Iterator[Any]:
    """Ray with two processors on this machine, once for all tests; it knows the storage."""
    with ray_session("local", num_cpus=2, object_store_memory=100 * 2**20) as module:
        yield module


class Pair:
    """A folder of photos, and two collections of it: made in this process, and by Ray."""

    def __init__(self, ray: Any, folder: Path) -> None:
        self.ray, self.folder = ray, folder
        self.photos = folder / "photos"
        self.photos.mkdir()
        info = ColourEmbedder().info
        self.here = Collection.create(folder / "here", info)
        self.there = Collection.create(folder / "there", info)

    def put(self, name: str, seed: int) -> Path:
        """A small picture whose content is its seed."""
        path = self.photos / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 256, (16, 24, 3), np.uint8)
        path.write_bytes(make.encode(Image.fromarray(pixels), "PNG"))
        return path

    def workers(
        self, model: Callable[[str], ColourEmbedder] = ray_cases.colours, actors: int = 2
    ) -> RayWorkers:
        return RayWorkers(lambda: self.ray, self.there, model, actors=actors)

    def index_there(self, **more: Any) -> IndexReport:
        workers = more.pop("workers", None) or self.workers()
        return index(self.there, [self.photos], _no_model, options=SMALL, workers=workers, **more)


@pytest.fixture
def pair(ray: Any, tmp_path: Path) -> Pair:
    return Pair(ray, tmp_path)


def _no_model() -> ColourEmbedder:
    raise AssertionError("the driver needs no model")


def rows(collection: Collection) -> list[dict[str, Any]]:
    """All rows of the catalog by id; the order of files and the revision are free."""
    catalog = collection.catalog()
    ids = sorted(catalog.ids())
    table: pa.Table = catalog.rows(ids)
    assert len(table) == len(ids), "an id is there twice"
    assert max(table["revision"].to_pylist(), default=0) <= catalog.revision
    listed: list[dict[str, Any]] = table.drop_columns(["revision"]).to_pylist()
    for row in listed:
        row["files"] = sorted(file_refs(row))
        del row["stamps"]
    return listed


def check_published(collection: Collection) -> None:
    """The vectors are those of the catalog."""
    store = collection.vectors()
    try:
        ok = [row for row in rows(collection) if row["status"] == "ok"]
        assert store.count("images") == len(ok)
        assert store.count("regions") == sum(len(row["region_vectors"]) for row in ok)
    finally:
        store.close()


class Killed(BaseException):
    """In place of a signal: nothing of ours catches it."""


def die(progress: Progress) -> None:
    """The driver's end, when a few photos are in its hands."""
    if progress.stage == "index" and progress.done > 20:
        raise Killed


def test_a_killed_driver_and_a_killed_worker_change_nothing(pair: Pair, tmp_path: Path) -> None:
    make.write(pair.photos)
    for n in range(30):
        pair.put(f"many/{n:02}.png", n)
    for n in range(5):  # copies that different workers read
        pair.put(f"a copy/{n}.png", 7)
        pair.put(f"z copy/{n}.png", 7)
    (pair.photos / "nowhere.jpg").symlink_to("nothing")
    for name in ("many/01", "many/29", "a copy/2", "z copy/3"):
        write_xmp(pair.photos / f"{name}.xmp", f"keyword {name}")
    # As on machines that do not see the catalog's folder: rows come here and are written here.
    alone = RayWorkers(
        lambda: pair.ray, pair.there, ray_cases.colours, actors=1, driver_writes=True
    )
    with pytest.raises(Killed):
        pair.index_there(progress=die, workers=alone)
    kept = pair.there.catalog().counts()
    assert kept["ok"] + kept["failed"] == alone.written_here > 10
    grave = tmp_path / "grave"
    workers = pair.workers(ray_cases.MortalColours(grave))
    report = pair.index_there(workers=workers)
    assert int(grave.read_text()) != os.getpid(), "a worker was to be killed"
    assert workers.written_here == 0
    assert report.embedded == report.new
    mine = index(pair.here, [pair.photos], ColourEmbedder(), options=SMALL)
    assert (mine.copied, mine.failed) == (10, 6)
    assert kept["ok"] + report.embedded == mine.embedded
    assert rows(pair.there) == rows(pair.here)
    assert sum(row["keywords"] is not None for row in rows(pair.here)) == 3
    check_published(pair.there)


def test_photos_and_catalog_on_object_storage(pair: Pair, s3: str, tmp_path: Path) -> None:
    """All kinds of changes at once; the workers write to the storage themselves."""
    info = ColourEmbedder().info
    pair.there = Collection.create(tmp_path / "remote", info, catalog_url=f"{s3}/catalog")
    storage = fsspec.filesystem("s3")
    root = f"{s3}/photos"

    def upload(name: str, seed: int | None) -> None:
        content = pair.put("upload.png", seed).read_bytes() if seed else make.truncated_jpeg()
        storage.pipe_file(f"{root}/{name}", content)

    for n in range(1, 9):
        upload(f"{n}.png", n)
    for collection in (pair.here, pair.there):
        index(collection, [root], ColourEmbedder(), options=SMALL)
    storage.mv(f"{root}/1.png", f"{root}/moved.png")
    storage.copy(f"{root}/2.png", f"{root}/copied.png")
    upload("3.png", 1000)
    upload("new.png", 1001)
    upload("new copy.png", 1001)
    upload("broken.jpg", None)
    storage.rm(f"{root}/4.png")
    mine = index(pair.here, [root], ColourEmbedder(), options=SMALL)
    theirs = index(pair.there, [root], _no_model, options=SMALL, workers=pair.workers(actors=1))
    assert {name: getattr(mine, name) for name in COUNTS} == {
        "new": 1, "modified": 1, "moved": 1, "copied": 2, "removed": 1, "unchanged": 5,
        "failed": 1, "embedded": 2,
    }  # fmt: skip
    assert [getattr(theirs, name) for name in COUNTS] == [getattr(mine, name) for name in COUNTS]
    assert rows(pair.there) == rows(pair.here)
    check_published(pair.there)


def test_rows_are_sent_where_a_worker_does_not_see_the_folder(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path, ("mean", "centre"), 4)
    file = FileRef("/a.jpg", "/", 1, 2, 3, stamp=9)
    copy = file._replace(path="/b.jpg")
    broken = [
        Reading(each, (), key, PhotoRow(key, [], "broken"))
        for each, key in ((file, "a" * 32), (copy, "a" * 32), (file, "b" * 32))
    ]
    block = read_block(broken, ("mean", "centre"), 4).drop_columns(
        ["pixels", "pixel_height", "pixel_width"]
    )
    files = {"a" * 32: [file, copy]}
    for token in (None, str(tmp_path / "not there")):
        sent = write_rows(block, files, 7, catalog.uri, token)
        assert isinstance(sent, pa.Table)
        assert sent.select(["id", "status", "reason", "revision"]).to_pylist() == [
            {"id": "a" * 32, "status": "failed", "reason": "broken", "revision": 7}
        ]
        assert file_refs(sent.to_pylist()[0]) == [file, copy]
    fragments = write_rows(block, files, catalog.revision + 1, catalog.uri, str(tmp_path))
    assert isinstance(fragments, list)
    assert catalog.ids() == {}, "nobody sees what was not committed"
    catalog.commit_fragments(lambda revision: fragments, ["a" * 32], [])
    assert catalog.ids() == {"a" * 32: False}


def test_a_worker_without_weights_ends_the_run_with_its_sentence(pair: Pair) -> None:
    pair.put("a.png", 1)
    with pytest.raises(TipsError, match=r"^On .*, a machine of the Ray cluster: There are no we"):
        pair.index_there(workers=pair.workers(ray_cases.nothing, actors=1))
    assert pair.there.catalog().ids() == {}


def assign(pair: Pair, model: Callable[[str], ColourEmbedder]) -> Assignment:
    """What the workers of `Pair.there` are told."""
    return Assignment(
        open_embedder=model, model_id="colours:1", heads=("mean", "centre"), dim=4, tiles=1,
        max_regions=8, limits=Limits(), threads=1, known=[pair.ray.put(frozenset())],
    )  # fmt: skip


def test_a_worker_with_other_weights_refuses(pair: Pair) -> None:
    worker = PhotoWorker(assign(pair, ray_cases.shades))
    with pytest.raises(TipsError, match="the model is shades:2, but the collection was made with"):
        light_readings(worker(FOUND.empty_table()))


def test_a_run_without_work_asks_for_no_cluster(tmp_path: Path) -> None:
    collection = Collection.create(tmp_path / "collection", ColourEmbedder().info)
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in "ab":
        (photos / f"{name}.png").write_bytes(make.encode(make.scene(ord(name)), "PNG"))
    index(collection, [photos], ColourEmbedder())

    def connect() -> Any:
        raise AssertionError("nothing is to be read")

    workers = RayWorkers(connect, collection, ray_cases.colours)
    assert index(collection, [], _no_model, workers=workers).unchanged == 2
    (photos / "a.png").unlink()
    assert index(collection, [], _no_model, workers=workers).removed == 1


def test_the_staff_follows_from_the_cluster() -> None:
    processors = {"CPU": 64.0, "memory": 1e11}
    assert staff(processors) == Staff(actors=16, readers=0, cpus=4)
    assert staff(processors, actors=128) == Staff(128, 0, 0.5)
    assert staff({"CPU": 2.0}) == Staff(1, 0, 2)
    gpus = {**processors, "GPU": 8.0}
    assert staff(gpus) == Staff(actors=8, readers=16, cpus=4)
    assert staff(gpus, actors=2, gpus=True) == Staff(2, 16, 4)
    assert staff(gpus, gpus=False) == staff(processors)
    with pytest.raises(RayError, match=r"has no GPU; leave --ray-gpus out"):
        staff(processors, gpus=True)


def test_reading_and_embedding_apart_give_what_they_give_together(pair: Pair) -> None:
    """As with GPUs: pixels travel from readers to embedders."""
    make.write(pair.photos)
    found = scan((str(pair.photos),)).files
    changes = compare(found, pl.DataFrame(schema=LINK_SCHEMA), [str(pair.photos)])
    (table,) = found_tables(changes.candidates, 1000)
    assignment = assign(pair, ray_cases.colours)
    apart = PhotoEmbedder(assignment)(PhotoReader(assignment)(table))
    assert apart.equals(PhotoWorker(assignment)(table))
    assert (
        apart["region_vectors"].null_count == apart["reason"].length() - apart["reason"].null_count
    )


@pytest.mark.parametrize("address", ["nowhere", "nowhere:0", "ray://nowhere", ":6379"])
def test_what_is_no_address_is_told(address: str) -> None:
    with pytest.raises(
        RayError, match="is not the address of a Ray cluster; use auto, local, HOST:PORT"
    ):
        check_reachable(address)


def test_a_cluster_that_does_not_answer_is_told() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, but nobody listens
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(
            RayError, match=f"^No Ray cluster answers at {address} \\(Connection re"
        ):
            check_reachable(address)
