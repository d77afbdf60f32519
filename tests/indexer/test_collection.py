"""The collection folder: its file, its lock, its model."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from indexer.collection import SETTINGS, Collection
from indexer.errors import CollectionBusyError, CollectionError, ModelMismatchError
from tests.indexer.colours import ColourEmbedder

INFO = ColourEmbedder().info


def test_what_was_created_is_what_opens(tmp_path: Path) -> None:
    engine = {"kind": "server", "url": "http://host:6333", "prefix": "p", "shards": 3}
    made = Collection.create(tmp_path / "new/c", INFO, weights="/w", engine=engine, max_regions=9)
    made.add_roots(["/photos", "/photos/2024", "/more"])
    opened = Collection.open(tmp_path / "new/c")
    assert opened.model == made.model
    assert (opened.model.name, opened.model.weights) == ("colours", "/w")
    assert (opened.model.heads, opened.model.dim) == (("mean", "centre"), 4)
    assert opened.roots == ("/more", "/photos")
    assert opened.engine == engine
    assert opened.max_regions == 9
    opened.use_engine({"kind": "embedded"})
    assert Collection.open(opened.folder).engine == {"kind": "embedded"}


def test_a_collection_of_the_first_version_opens(tmp_path: Path) -> None:
    (tmp_path / SETTINGS).write_text(
        '{"schema": 1, "model": {"name": "nano", "weights": null, "model_id": "nano:0", "dim": 4, '
        '"heads": ["web"], "retrieval_head": "web", "patch": 14, "image_size": 168}, '
        '"regions": {"max_regions": 9}, "roots": ["/photos"], "engine": {"kind": "embedded"}}'
    )
    opened = Collection.open(tmp_path)
    assert (opened.id, opened.tiles, opened.max_regions, opened.model.note) == (None, 1, 9, "")
    assert (opened.roots, opened.model.heads, opened.data) == (("/photos",), ("web",), "")


def test_the_settings_hold_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QDRANT_API_KEY", "secret-key")
    Collection.create(tmp_path / "c", INFO)
    assert "secret-key" not in (tmp_path / "c" / SETTINGS).read_text()


def test_no_collection_says_how_to_make_one(tmp_path: Path) -> None:
    assert not Collection.exists(tmp_path)
    with pytest.raises(CollectionError, match="create one with `tips index PHOTOS -c"):
        Collection.open(tmp_path / "nothing")


def test_a_folder_with_other_things_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"x")
    with pytest.raises(CollectionError, match=r"not empty \(it contains holiday.jpg\)"):
        Collection.create(tmp_path, INFO)
    with pytest.raises(CollectionError, match="cannot hold a collection"):
        Collection.create(tmp_path / "holiday.jpg", INFO)
    with pytest.raises(CollectionError, match="cannot hold a collection"):
        Collection.create(tmp_path / "holiday.jpg" / "c", INFO)
    with pytest.raises(
        CollectionError, match=r"cannot hold a collection \(.+\); choose a writable folder"
    ):
        Collection.create("/proc/tips-search", INFO)  # no folder can be made there, even by root
    Collection.create(tmp_path / "c", INFO)
    with pytest.raises(CollectionError, match="already contains a collection"):
        Collection.create(tmp_path / "c", INFO)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": 1}', '{"schema": 1, "model": {}}'])
def test_damaged_settings_are_named(tmp_path: Path, text: str) -> None:
    (tmp_path / SETTINGS).write_text(text)
    with pytest.raises(CollectionError, match=r"collection\.json cannot be read"):
        Collection.open(tmp_path)


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    Collection.create(tmp_path / "c", INFO)
    path = tmp_path / "c" / SETTINGS
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema": 99}))
    with pytest.raises(CollectionError, match="has format 99, this version reads 2"):
        Collection.open(tmp_path / "c")


def test_another_model_is_refused_naming_both(tmp_path: Path) -> None:
    collection = Collection.create(tmp_path / "c", INFO)
    collection.check_model(INFO)
    with pytest.raises(ModelMismatchError, match=r"made with colours .*not with shades \(shades:2"):
        collection.check_model(ColourEmbedder("shades:2").info)


def test_the_lock_names_its_holder_and_dies_with_it(tmp_path: Path) -> None:
    collection = Collection.create(tmp_path / "c", INFO)
    code = (
        "import sys; from indexer.collection import Collection\n"
        "with Collection.open(sys.argv[1]).lock():\n"
        "    print('locked', flush=True); sys.stdin.read()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(collection.folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"locked\n"
        with (
            pytest.raises(CollectionBusyError, match=f"process {holder.pid} on "),
            collection.lock(),
        ):
            pass
        holder.kill()
    with collection.lock():
        assert f"process {os.getpid()} " in (collection.folder / "lock").read_text()
    with collection.lock():
        pass
