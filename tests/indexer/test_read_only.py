"""A store and a collection that may be read and not written: searched as usual, never changed."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from indexer.collection import Collection
from indexer.edge import files as edge_files
from indexer.edge import layout as edge_layout
from indexer.edge import shards as edge_shards
from indexer.edge.store import EdgeStore
from indexer.errors import CollectionError
from indexer.pipeline import index
from indexer.vectors import VectorError
from tests.indexer.colours import ColourEmbedder
from tests.indexer.vector_cases import DIM, HEADS, images, regions, unit
from tests.unprivileged import read_only_copy, run_unprivileged

ASK = """
import json, sys, tempfile
from pathlib import Path
from indexer.edge.store import EdgeStore
from tests.indexer.vector_cases import DIM, HEADS, unit

store = EdgeStore(Path(sys.argv[1]), heads=HEADS, dim=DIM, model_id="model-a")
hits = store.search("regions", unit(3, 2), using="region", limit=50)
assert store.refresh() is False
answer = [store.count("images"), store.facet("camera"), [row.ids for row in hits]]
left = [path.name for path in Path(tempfile.gettempdir()).glob("tips-*")]
store.close()
print(json.dumps([answer, left]))
"""


def store_in(folder: Path, *, read_only: bool = True) -> EdgeStore:
    return EdgeStore(folder, heads=HEADS, dim=DIM, model_id="model-a", read_only=read_only)


@pytest.fixture(scope="module", params=["small", "indexed and quantised"])
def vectors(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store") / "vectors"
    with pytest.MonkeyPatch.context() as patch:
        if request.param != "small":
            patch.setattr(edge_shards, "INDEX_FROM", 8)
            patch.setattr(edge_layout, "QUANTISE_FROM", 8)
        with store_in(folder, read_only=False).writer() as writer:
            writer.upsert("images", images(range(40)))
            writer.upsert("regions", regions(range(40)))
            writer.commit(1)
    return folder


def test_a_store_that_may_only_be_read_answers_as_before(vectors: Path) -> None:
    store = store_in(vectors)
    hits = store.search("regions", unit(3, 2), using="region", limit=50)
    expected = [store.count("images"), store.facet("camera"), [row.ids for row in hits]]
    store.close()
    with read_only_copy(vectors) as copy:
        room = copy.parent / "room"
        room.mkdir()
        room.chmod(0o777)
        run = run_unprivileged(ASK, copy, TMPDIR=str(room))
        assert run.returncode == 0, run.stderr
        answer, left = json.loads(run.stdout)
        assert answer == json.loads(json.dumps(expected))
        assert left == []


def test_without_room_for_a_copy_the_sentence_says_so(
    vectors: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unwritable(path: Path) -> None:
        raise edge_files.ShardError("no such rights")

    monkeypatch.setattr(edge_files, "_load", unwritable)
    monkeypatch.setattr(edge_files, "_allowed", lambda path, mode: mode == os.R_OK)

    def copy(source: str, target: str) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(edge_files, "copy_sparse", copy)
    with pytest.raises(VectorError, match=r"cannot be written, and a copy .* failed \(No space"):
        store_in(vectors).count("images")


def test_a_store_that_may_not_be_read_is_not_called_damaged(vectors: Path) -> None:
    with read_only_copy(vectors) as copy:
        for file in next(copy.glob("shard-images-*")).rglob("*"):
            file.chmod(0o555 if file.is_dir() else 0)
        run = run_unprivileged(ASK, copy)
        assert "may not be read by this user; change its permissions" in run.stderr
        (copy / "manifest.json").chmod(0)
        run = run_unprivileged(ASK, copy)
        assert "cannot be read (Permission denied)" in run.stderr
        assert "rebuild" not in run.stderr


def test_damage_is_still_damage_where_nothing_may_be_written(vectors: Path) -> None:
    with read_only_copy(vectors) as copy:
        for file in next(copy.glob("shard-images-*")).rglob("segment.json"):
            file.chmod(0o644)
            file.write_text("{")
            file.chmod(0o444)
        run = run_unprivileged(ASK, copy)
    assert "is damaged or gone (" in run.stderr


def test_a_collection_that_cannot_be_written_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedder = ColourEmbedder()
    collection = Collection.create(tmp_path / "c", embedder.info)
    (tmp_path / "photos").mkdir()
    really_open = os.open

    def no_lock(path: object, flags: int, *rest: object, **options: object) -> int:
        if str(path).endswith("/lock"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return really_open(path, flags, *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", no_lock)
    with pytest.raises(CollectionError, match=r"c cannot be written \(Permission denied\); change"):
        index(collection, [tmp_path / "photos"], embedder)


def test_the_catalog_of_a_read_only_collection_is_read(tmp_path: Path) -> None:
    embedder = ColourEmbedder()
    (tmp_path / "photos").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (16, 24, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photos" / "a.png")
    index(Collection.create(tmp_path / "c", embedder.info), [tmp_path / "photos"], embedder)
    code = (
        "import sys; from indexer.collection import Collection\n"
        "from indexer.maintenance.verify import verify\n"
        "print(verify(Collection.open(sys.argv[1])).vectors_agree)"
    )
    with read_only_copy(tmp_path / "c") as copy:
        run = run_unprivileged(code, copy)
    assert run.stdout.strip() == "True", run.stderr
