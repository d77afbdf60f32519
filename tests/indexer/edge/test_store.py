"""The embedded store: several processes, killed writers, damage, and merging shards."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from indexer.edge import compaction
from indexer.edge import files as edge_files
from indexer.edge import layout as edge_layout
from indexer.edge import shards as edge_shards
from indexer.edge.compaction import FAN, MAX_POINTS, next_merge
from indexer.edge.files import copy_sparse
from indexer.edge.manifest import MANIFEST, Manifest, ShardEntry, read_manifest
from indexer.edge.store import EdgeStore
from indexer.vectors import PointBatch, VectorError, VectorHits, image_point_id
from tests.indexer.vector_cases import DIM, FILTERS, HEADS, Model, image_id, images, regions, unit

ACTOR = Path(__file__).with_name("edge_actor.py")


def open_store(folder: Path) -> EdgeStore:
    return EdgeStore(folder, heads=HEADS, dim=DIM, model_id="model-a", read_only=False)


def publish(store: EdgeStore, revision: int, numbers: range, version: int = 0) -> None:
    with store.writer() as writer:
        writer.upsert("images", images(numbers, version))
        writer.upsert("regions", regions(numbers, version))
        writer.commit(revision)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with photos 0..19 at revision 1, to be copied."""
    folder = tmp_path_factory.mktemp("base") / "vectors"
    publish(open_store(folder), 1, range(20))
    return folder


@pytest.fixture
def folder(base: Path, tmp_path: Path) -> Path:
    target = tmp_path / "vectors"
    shutil.copytree(base, target, copy_function=copy_sparse)
    return target


@contextmanager
def actor(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, str(ACTOR), *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.stdin.close()  # type: ignore[union-attr]


def ask(process: subprocess.Popen[str]) -> list[int]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    return [int(word) for word in process.stdout.readline().split()]


def shard_folders(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.is_dir()}


def hits_of(store: EdgeStore) -> list[VectorHits]:
    return store.search("regions", unit(3, 2), using="region", limit=50)


@pytest.mark.durability
@pytest.mark.parametrize(
    ("stop", "revision"),
    [
        ("indexer.edge.shards._seal", 1),  # points written, not finished
        ("indexer.edge.shards.sync_tree:2", 1),  # one shard complete, one not synced
        ("indexer.edge.writer.write_manifest", 1),  # both complete
        ("os.replace", 1),  # the new manifest is written beside the old
        ("indexer.edge.writer.sweep:2", 2),  # published, nothing swept
    ],
)
def test_a_killed_writer_leaves_the_state_before_or_after(
    folder: Path, stop: str, revision: int
) -> None:
    before = hits_of(open_store(folder))
    with actor("write", str(folder), stop) as process:
        process.wait()
    assert process.returncode == -signal.SIGKILL
    store = open_store(folder)
    assert store.revision == revision
    assert store.count("images") == (20 if revision == 1 else 39)
    if revision == 1:
        for old, new in zip(before, hits_of(store), strict=True):
            assert old.ids == new.ids
    publish(store, 3, range(40), version=2)  # the next writer sweeps up
    manifest = read_manifest(folder)
    assert manifest is not None
    assert shard_folders(folder) == {shard.name for shard in manifest.shards}
    assert (store.count("images"), store.count("regions")) == (40, 120)


def test_a_reader_in_another_process_sees_each_state_whole(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "FAN", 3)
    store = open_store(folder)
    with actor("read", str(folder)) as reader:
        assert ask(reader) == [1, 20, 60]
        for revision in range(2, 5):  # the third shard makes a merge
            numbers = range(20 * revision, 20 * revision + 4)
            publish(store, revision, numbers)
            assert ask(reader) == [revision, 20 + 4 * (revision - 1), 60 + 12 * (revision - 1)]


def test_an_open_state_outlives_the_shards_it_was_made_of(folder: Path) -> None:
    reader, before = open_store(folder), None
    before = hits_of(reader)
    names = shard_folders(folder)
    with open_store(folder).writer(rebuild=True) as writer:
        writer.upsert("images", images(range(3), version=1))
        writer.commit(2)
    assert not names & shard_folders(folder)
    for old, new in zip(before, hits_of(reader), strict=True):
        assert old.ids == new.ids
        assert all(p["camera"] for p in reader.payloads("regions", new.points) if "camera" in p)
    assert reader.refresh()
    assert (reader.count("images"), reader.count("regions")) == (3, 0)


def test_threads_may_search_while_another_refreshes(folder: Path) -> None:
    store, errors = open_store(folder), list[BaseException]()
    expected, stop = hits_of(store)[0].ids[:5], threading.Event()

    def search() -> None:
        try:
            while not stop.is_set():
                (hits,) = store.search("regions", unit(3, 1), using="region", limit=5)
                assert set(hits.ids) == set(expected)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=search) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        other = open_store(folder)
        for revision in range(2, 4):
            publish(other, revision, range(20))
            store.refresh()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert errors == []


def test_a_second_writer_is_told_to_wait(folder: Path) -> None:
    with actor("hold", str(folder)) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(VectorError, match="another process is publishing"):
            publish(open_store(folder), 2, range(1))
        assert open_store(folder).count("images") == 20
    publish(open_store(folder), 2, range(1))


def test_damage_is_named_with_the_way_out(folder: Path) -> None:
    manifest = read_manifest(folder)
    assert manifest is not None
    shutil.rmtree(folder / manifest.shards[0].name / "segments")
    with pytest.raises(VectorError, match=rf"{manifest.shards[0].name}.*tips rebuild"):
        open_store(folder).count("images")
    (folder / MANIFEST).write_text("{")
    with pytest.raises(VectorError, match=r"damaged.*tips rebuild"):
        open_store(folder).count("images")
    store = open_store(folder)
    with store.writer(rebuild=True) as writer:
        writer.upsert("images", images(range(2)))
        writer.commit(5)
    assert (store.revision, store.count("images")) == (5, 2)


def test_a_store_of_another_engine_version_is_not_read(folder: Path) -> None:
    text = (folder / MANIFEST).read_text()
    (folder / MANIFEST).write_text(text.replace("qdrant-edge-py 0.9.0", "qdrant-edge-py 0.8.0"))
    with pytest.raises(VectorError, match=r"0\.8\.0.*0\.9\.0.*tips rebuild"):
        open_store(folder).count("images")


def test_the_manifest_is_written_as_ever_and_old_ones_are_read() -> None:
    shard = ShardEntry(
        name="shard-1", kind="images", points=3, images=2, dead=frozenset({"b", "a"})
    )
    manifest = Manifest(revision=3, model_id="m", heads=("a",), dim=3, shards=(shard,))
    assert manifest.to_json() == (
        '{"format": 2, "engine": "qdrant-edge-py 0.9.0", "revision": 3, "model_id": "m", '
        '"heads": ["a"], "dim": 3, "shards": [{"name": "shard-1", "kind": "images", "points": 3, '
        '"images": 2, "dead": ["a", "b"], "checksum": ""}], '
        '"checksum": "2e57ad53b17d8b6fb0585ebf33e8aa9b"}'
    )
    old = json.loads(manifest.to_json())
    del old["checksum"], old["shards"][0]["checksum"]
    assert Manifest.from_json(json.dumps(old)) == manifest


def test_opening_and_searching_writes_nothing_new(folder: Path) -> None:
    def contents() -> dict[str, object]:  # the engine writes JSON with its keys in any order
        return {
            str(path): json.loads(path.read_text()) if path.suffix == ".json" else path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }

    before = contents()
    store = open_store(folder)
    hits_of(store)
    store.close()
    assert contents() == before


def test_a_small_publish_leaves_the_old_shards_alone(folder: Path) -> None:
    before = shard_folders(folder)
    publish(open_store(folder), 2, range(20, 22))
    assert before < shard_folders(folder)
    assert len(shard_folders(folder)) == len(before) + 2


def test_many_small_publishes_are_merged_and_answer_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "FAN", 3)
    monkeypatch.setattr(edge_shards, "INDEX_FROM", 12)  # of shards with and without indexes
    store, model = open_store(tmp_path / "vectors"), Model()
    for revision in range(1, 7):
        with store.writer() as writer:
            numbers = range(revision * 3, revision * 3 + 5)  # each publish replaces two of the last
            model.upsert(writer, "images", images(numbers, version=revision))
            if revision % 3 == 0:
                model.remove(writer, [image_id(revision * 3)])
            writer.commit(revision)
        assert len(shard_folders(tmp_path / "vectors")) <= 4
    for name in (None, "has", "near", "not a camera"):
        filter = FILTERS[name] if name else None
        assert store.count("images", filter) == len(model.matching("images", filter))
        (hits,) = store.search("images", unit(9, 1), using="web", filter=filter, limit=9)
        expected = model.search("images", unit(9, 1)[0], "web", filter, 9)
        np.testing.assert_allclose(hits.scores, [score for _, score in expected], atol=5e-4)
    assert dict(store.facet("camera")) == Counter(
        payload["camera"] for _, payload in model.points["images"].values() if "camera" in payload
    )
    ids = [i for page in store.scroll_ids("images") for i in page]
    assert sorted(ids) == sorted(model.points["images"])
    truth = np.stack([model.points["images"][i][0]["caption"] for i in ids])
    np.testing.assert_allclose(store.vectors("images", ids, "caption"), truth, atol=1e-3)


def test_quantised_shards_find_nearly_what_brute_force_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge_layout, "QUANTISE_FROM", 1000)
    vectors, store = (
        unit(1, 1500, 64),
        EdgeStore(tmp_path, heads=["web"], dim=64, model_id="m", read_only=False),
    )
    payload = [{"image": image_id(n), "year": n % 7} for n in range(1500)]
    ids = [image_point_id(image_id(n)) for n in range(1500)]
    with store.writer() as writer:
        writer.upsert("images", PointBatch(ids, {"web": vectors}, payload))
        writer.commit(1)
    queries = unit(2, 50, 64)
    answers = store.search("images", queries, using="web", limit=10)
    best = np.argsort(-queries @ vectors.T, axis=1)[:, :10]
    overlap = [
        len({ids[n] for n in row} & set(hits.ids)) for row, hits in zip(best, answers, strict=True)
    ]
    assert np.mean(overlap) >= 9.7
    rows = next(tmp_path.glob("shard-*/segments/*/vector_storage-web/quantized.meta.json"))
    assert rows.exists()


def entry(name: str, points: int, images_: int = 100, dead: int = 0) -> ShardEntry:
    buried = frozenset(str(n) for n in range(dead))
    return ShardEntry(name=name, kind="images", points=points, images=images_, dead=buried)


def test_merging_waits_for_a_full_tier_and_takes_that_tier() -> None:
    small = [entry(f"s{n}", 100 + n) for n in range(FAN)]
    assert next_merge([]) == []
    assert next_merge(small[1:]) == []
    assert next_merge([entry("big", 200_000), *small]) == small


def test_a_merge_never_passes_the_largest_size() -> None:
    large = [entry(f"l{n}", MAX_POINTS // 3) for n in range(FAN)]
    assert len(next_merge(large)) == 3
    assert next_merge([entry(f"f{n}", MAX_POINTS) for n in range(2 * FAN)]) == []


def test_a_worn_shard_is_rewritten_alone_the_worst_first() -> None:
    shards = [entry("a", 900, dead=20), entry("b", 900, dead=40), entry("c", 90_000, dead=21)]
    assert [shard.name for shard in next_merge(shards)] == ["b"]
    assert next_merge(shards[:1]) == []


def test_every_point_is_rewritten_a_bounded_number_of_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(compaction, "MAX_POINTS", 10**9)
    shards, rewritten = list[ShardEntry](), 0
    for number in range(FAN**3):
        shards.append(entry(f"{number}", 512))
        while merge := next_merge(shards):
            total = sum(shard.points for shard in merge)
            rewritten += total
            shards = [s for s in shards if s not in merge] + [entry(f"{number}m", total)]
    assert len(shards) < 3 * FAN
    assert rewritten <= 3 * 512 * FAN**3


def test_a_disk_without_room_is_an_error_before_the_engine_meets_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = shutil.disk_usage(folder).free
    monkeypatch.setattr(edge_files, "SPARE", 2 * free)
    with pytest.raises(OSError, match="No space left"):
        publish(open_store(folder), 2, range(20, 40))
    assert (open_store(folder).revision, open_store(folder).count("images")) == (1, 20)
    monkeypatch.undo()
    publish(open_store(folder), 2, range(20, 40))
    manifest = read_manifest(folder)
    assert manifest is not None
    assert shard_folders(folder) == {shard.name for shard in manifest.shards}


def test_what_killed_writers_left_goes_although_nothing_is_published(folder: Path) -> None:
    (folder / "shard-images-0123456789ab").mkdir()
    (folder / "dropped-shard-images-0123456789ac").mkdir()
    before = read_manifest(folder)
    open_store(folder).tidy()
    assert read_manifest(folder) == before
    assert before is not None
    assert shard_folders(folder) == {shard.name for shard in before.shards}


def test_what_a_reader_made_anew_is_swept_again(folder: Path) -> None:
    before = shard_folders(folder)
    for name in ("dropped-shard-images-0123456789ab", "shard-images-0123456789ab"):
        (folder / name / "segments").mkdir(parents=True)
        (folder / name / "segments" / "late").touch()
    open_store(folder).tidy()
    assert shard_folders(folder) == before
    assert not list(folder.glob("dropped-*"))


def test_an_open_shard_that_cannot_answer_is_told_as_damage(folder: Path) -> None:
    publish(open_store(folder), 2, range(20, 40))
    for path in folder.rglob("vector_storage-web/vectors/chunk_*.mmap"):
        path.unlink()
    store = open_store(folder)
    assert store.count("images") == 40
    with pytest.raises(VectorError, match=r"is damaged \(.*tips rebuild"):
        store.search("images", unit(3, 2), using="web", limit=50)


@pytest.mark.parametrize("harm", ["flip", "cut", "gone"])
def test_every_harmed_file_of_a_shard_is_found(folder: Path, harm: str) -> None:
    store = open_store(folder)
    hits_of(store)  # the engine writes its settings again when it opens a shard
    assert store.damaged() == []
    manifest = read_manifest(folder)
    assert manifest is not None
    shard = folder / manifest.shards[0].name
    for path in sorted(path for path in shard.rglob("*") if path.is_file()):
        whole = path.read_bytes()
        if not whole:
            continue
        if harm == "flip":
            place = next((i for i, byte in enumerate(whole) if byte), 0)
            with path.open("r+b") as file:
                file.seek(place)
                file.write(bytes([whole[place] ^ 4]))
        elif harm == "cut":
            os.truncate(path, len(whole) // 2)
        else:
            path.unlink()
        assert store.damaged() == [f"{shard.name}/{path.relative_to(shard)}"]
        path.write_bytes(whole)
    assert store.damaged() == []


def test_a_manifest_with_another_bit_is_damaged(folder: Path) -> None:
    text = (folder / MANIFEST).read_text()
    (folder / MANIFEST).write_text(text.replace('"revision": 1', '"revision": 3'))
    with pytest.raises(VectorError, match=r"manifest .* damaged.*tips rebuild"):
        open_store(folder).count("images")


def test_a_damaged_list_of_images_is_named(folder: Path) -> None:
    manifest = read_manifest(folder)
    assert manifest is not None
    os.truncate(folder / manifest.shards[0].name / "images.npy", 50)
    with pytest.raises(VectorError, match=r"damaged or gone.*tips rebuild"):
        publish(open_store(folder), 2, range(20, 22))


def test_what_comes_and_goes_when_others_open_a_shard_is_not_merged(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "FAN", 2)
    for shard in shard_folders(folder):
        for inner in (folder / shard, *(folder / shard / "segments").iterdir()):
            (inner / ".atomicwriteAbCdEf").mkdir()
            (inner / ".atomicwriteAbCdEf" / "tmpfile.tmp").symlink_to("gone")  # cannot be read
    publish(open_store(folder), 2, range(20, 24))
    assert open_store(folder).count("images") == 24
    assert not list(folder.rglob(".atomicwrite*"))


def test_damage_does_not_become_part_of_a_new_shard(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "FAN", 2)
    (vectors,) = folder.glob("shard-regions-*/segments/*/vector_storage-*/vectors/chunk_0.mmap")
    with vectors.open("r+b") as file:
        byte = file.read(1)
        file.seek(0)
        file.write(bytes([byte[0] ^ 1]))
    with pytest.raises(VectorError, match=r"shard-regions-.* damaged .*tips verify --repair"):
        publish(open_store(folder), 2, range(20, 24))
    assert open_store(folder).damaged() == [str(vectors.relative_to(folder))]
    with open_store(folder).writer(rebuild=True) as writer:
        writer.upsert("images", images(range(3)))
        writer.commit(3)
    assert open_store(folder).damaged() == []


def test_a_panic_over_a_damaged_shard_is_told_as_damage(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge_shards, "INDEX_FROM", 12)
    publish(open_store(folder), 2, range(20, 40))
    for path in folder.rglob("payload_index/*-null/is_null/status.dat"):
        os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(VectorError, match=r"damaged or gone.*tips rebuild"):
        open_store(folder).count("images")


def test_a_shard_that_is_merged_away_while_it_is_opened_is_not_used(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = read_manifest(folder)
    assert manifest is not None
    path = folder / manifest.shards[0].name
    load = edge_files.edge.EdgeShard.load

    class Racing:
        """The engine, with a writer that merges in the middle of an opening."""

        @staticmethod
        def load(name: str) -> object:
            shard = load(name)
            path.rename(path.with_name(f"dropped-{path.name}"))
            path.mkdir()  # as the engine does for what it misses
            return shard

    monkeypatch.setattr(edge_files.edge, "EdgeShard", Racing)
    with pytest.raises(edge_files.ShardError, match="it is gone"):
        edge_files.open_shard(path, manifest.shards[0].points)
