"""Indexing real folders: what changed, what broke, what was killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from PIL import Image

from indexer.catalog.table import Catalog
from indexer.collection import Collection
from indexer.errors import (
    CollectionBusyError,
    InterruptedIndexError,
    ModelMismatchError,
    RootError,
)
from indexer.folders.paths import to_text
from indexer.maintenance.prune import PruneOptions, prune
from indexer.options import IndexOptions
from indexer.photos.limits import Limits
from indexer.pipeline import index
from indexer.progress import IndexReport, Progress
from indexer.vectors import Match
from tests.indexer.colours import ColourEmbedder
from tests.photos import make

ROOT = Path(__file__).parents[2]


class Library:
    """A folder of photos, a collection, and the model."""

    def __init__(self, folder: Path) -> None:
        self.photos = folder / "photos"
        self.photos.mkdir()
        self.embedder = ColourEmbedder()
        self.collection = Collection.create(folder / "collection", self.embedder.info)

    def put(self, name: str, seed: int, format: str = "PNG") -> Path:
        """A small picture whose content is its seed."""
        path = self.photos / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 256, (16, 24, 3), np.uint8)
        path.write_bytes(make.encode(Image.fromarray(pixels), format))
        return path

    def index(self, **options: object) -> IndexReport:
        return index(
            self.collection,
            [self.photos],
            self.embedder,
            options=IndexOptions(**options),  # type: ignore[arg-type]
        )

    @property
    def catalog(self) -> Catalog:
        return self.collection.catalog()

    def paths(self) -> list[str]:
        """The known files, relative, sorted."""
        return sorted(p.removeprefix(f"{self.photos}/") for p in self.catalog.files()["path"])

    def check_published(self) -> None:
        """Catalog and vectors agree, point by point."""
        rows = self.catalog.rows(list(self.catalog.ids()), ["id", "status", "region_vectors"])
        ok = [row for row in rows.to_pylist() if row["status"] == "ok"]
        store = self.collection.vectors()
        try:
            assert store.count("images") == len(ok)
            assert store.count("regions") == sum(len(row["region_vectors"]) for row in ok)
        finally:
            store.close()
        assert self.catalog.counts()["removed"] == 0


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path)


def counts(report: IndexReport) -> dict[str, int]:
    """The counts that are not zero."""
    names = ("new", "modified", "moved", "copied", "removed", "unchanged", "failed", "embedded")
    return {name: getattr(report, name) for name in names if getattr(report, name)}


def test_a_first_run_indexes_and_a_second_one_reads_nothing(library: Library) -> None:
    for n in range(5):
        library.put(f"{n}.png", n)
    assert counts(library.index()) == {"new": 5, "embedded": 5}
    library.check_published()
    for path in library.photos.iterdir():
        path.chmod(0o444)  # the second run must not need them; chmod itself changes the ctime
    library.index()
    before = library.catalog.revision
    report = index(library.collection, [], _no_model)
    assert counts(report) == {"unchanged": 5}
    assert library.catalog.revision == before


def _no_model() -> ColourEmbedder:
    raise AssertionError("nothing is to be embedded, so no model is to be loaded")


def test_an_unchanged_folder_is_decided_without_the_heavy_libraries(library: Library) -> None:
    library.put("a.png", 1)
    library.index()
    code = (
        "import sys; from indexer.collection import Collection\n"
        "from indexer.pipeline import index\n"
        "report = index(Collection.open(sys.argv[1]), [], lambda: None)\n"
        "heavy = {'torch', 'lancedb', 'qdrant_edge', 'PIL.Image'} & set(sys.modules)\n"
        "print(report.unchanged, sorted(heavy))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(library.collection.folder)],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert done.stdout == "1 []\n"


def test_moves_and_copies_are_not_embedded_again(library: Library) -> None:
    for n in range(4):
        library.put(f"{n}.png", n)
    library.index()
    ids = library.catalog.ids()
    (library.photos / "0.png").rename(library.photos / "renamed.png")
    (library.photos / "sub").mkdir()
    (library.photos / "1.png").rename(library.photos / "sub/1.png")
    os.utime(library.photos / "sub/1.png", ns=(5, 5))  # not even the time tells
    shutil.copy(library.photos / "2.png", library.photos / "copy.png")
    library.embedder.embedded = 0
    report = library.index()
    assert counts(report) == {"moved": 2, "copied": 1, "unchanged": 2}
    assert library.embedder.embedded == 0
    assert library.catalog.ids() == ids
    assert library.paths() == ["2.png", "3.png", "copy.png", "renamed.png", "sub/1.png"]
    library.check_published()


def test_a_moved_folder_is_moved_photos(library: Library) -> None:
    for n in range(6):
        library.put(f"old/{n}.png", n)
    library.index()
    (library.photos / "old").rename(library.photos / "new")
    assert counts(library.index()) == {"moved": 6}
    assert library.paths() == [f"new/{n}.png" for n in range(6)]


def test_copies_within_one_run_are_embedded_once(library: Library) -> None:
    for n in range(3):
        library.put(f"{n}.png", 7)
    assert counts(library.index()) == {"new": 1, "copied": 2, "embedded": 1}
    assert len(library.catalog.ids()) == 1
    assert library.paths() == ["0.png", "1.png", "2.png"]


def test_one_of_two_copies_may_go(library: Library) -> None:
    library.put("a.png", 1)
    library.put("b.png", 1)
    library.index()
    (library.photos / "a.png").unlink()
    assert counts(library.index()) == {"removed": 1, "unchanged": 1}
    assert library.paths() == ["b.png"]
    library.check_published()


def test_modified_and_removed_photos(library: Library) -> None:
    for n in range(3):
        library.put(f"{n}.png", n)
    library.index()
    library.put("0.png", 100)
    (library.photos / "1.png").unlink()
    assert counts(library.index()) == {"modified": 1, "removed": 1, "unchanged": 1, "embedded": 1}
    assert library.paths() == ["0.png", "2.png"]
    assert len(library.catalog.ids()) == 2
    library.check_published()


def test_a_touched_photo_is_hashed_and_stays(library: Library) -> None:
    path = library.put("a.png", 1)
    library.index()
    os.utime(path, ns=(1, 1))
    assert counts(library.index()) == {"unchanged": 1}
    assert library.catalog.files()["mtime_ns"].to_list() == [1]
    # Now the facts are known again, and nothing is read.
    assert counts(index(library.collection, [], _no_model)) == {"unchanged": 1}


def test_swapped_names_are_two_modified_paths(library: Library) -> None:
    one, two = library.put("1.png", 1), library.put("2.png", 2)
    library.index()
    first = {row["path"]: row["id"] for row in library.catalog.files().iter_rows(named=True)}
    one.rename(one.with_suffix(".tmp"))
    two.rename(one)
    one.with_suffix(".tmp").rename(two)
    assert counts(library.index()) == {"modified": 2}
    after = {row["path"]: row["id"] for row in library.catalog.files().iter_rows(named=True)}
    assert after == {str(one): first[str(two)], str(two): first[str(one)]}


def test_a_removed_photo_may_come_back(library: Library) -> None:
    path = library.put("a.png", 1)
    library.put("b.png", 2)
    library.index()
    path.unlink()
    library.index()
    library.put("a.png", 1)
    assert counts(library.index()) == {"new": 1, "unchanged": 1, "embedded": 1}
    library.check_published()


def test_a_vanished_root_keeps_its_photos(library: Library, tmp_path: Path) -> None:
    library.put("a.png", 1)
    disk = tmp_path / "disk"
    disk.mkdir()
    shutil.copy(library.put("b.png", 2), disk / "c.png")
    (disk / "c.png").write_bytes((library.photos / "b.png").read_bytes() + b"\0")
    index(library.collection, [library.photos, disk], library.embedder)
    away = disk.rename(tmp_path / "away")
    report = index(library.collection, [], library.embedder)
    assert report.missing_roots == (str(disk),)
    assert counts(report) == {"unchanged": 2}
    disk.mkdir()  # the mount point without its disk
    assert index(library.collection, [], library.embedder).missing_roots == (str(disk),)
    assert str(disk / "c.png") in library.catalog.files()["path"].to_list()
    disk.rmdir()
    away.rename(disk)
    assert counts(index(library.collection, [], library.embedder)) == {"unchanged": 3}


def test_other_roots_are_left_alone(library: Library, tmp_path: Path) -> None:
    library.put("a.png", 1)
    library.index()
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(library.put("a2.png", 2), other / "b.png")
    assert counts(index(library.collection, [other], library.embedder)) == {
        "new": 1,
        "embedded": 1,
    }
    assert library.collection.roots == (str(other), str(library.photos))
    assert Collection.open(library.collection.folder).roots == library.collection.roots


def test_a_root_that_never_was_is_refused(library: Library, tmp_path: Path) -> None:
    with pytest.raises(RootError, match="nowhere does not exist or is empty"):
        index(library.collection, [tmp_path / "nowhere"], library.embedder)
    with pytest.raises(RootError, match="name a folder"):
        index(library.collection, [], library.embedder)
    assert library.collection.roots == ()


def test_every_kind_of_picture_and_every_broken_one(library: Library) -> None:
    make.write(library.photos)
    (library.photos / "x.jpg").mkdir()
    library.put("x.jpg/inner.png", 5)
    library.put("new\nline.png", 6)
    library.put("emoji 🌄.png", 7)
    (library.photos / "loop").symlink_to(library.photos)
    (library.photos / "nowhere.jpg").symlink_to("nothing")
    bad_name = os.fsencode(library.photos) + b"/bad-\xff.png"
    with open(bad_name, "wb") as file:
        file.write(library.put("emoji 🌄.png", 7).read_bytes() + b"\0")
    report = library.index()
    broken = [name for name in make.pictures() if name.startswith("broken/")]
    assert report.failed == len(broken) + 1
    assert report.new == len(make.pictures()) - len(broken) + 4
    failures = {
        row["path"].removeprefix(f"{library.photos}/"): row["reason"]
        for row in library.catalog.failures().iter_rows(named=True)
    }
    assert set(failures) == {*broken, "nowhere.jpg"}
    assert failures["nowhere.jpg"] == "a broken link"
    assert failures["broken/bomb.png"].startswith("30000 x 30000 pixels")
    assert to_text(bad_name) in library.catalog.files()["path"].to_list()
    library.check_published()
    # Not one of them is tried again.
    assert counts(index(library.collection, [], _no_model)) == {
        "unchanged": report.new + report.failed
    }


def test_a_failed_photo_is_read_again_when_it_changes(library: Library) -> None:
    path = library.photos / "a.jpg"
    path.write_bytes(make.truncated_jpeg())
    assert counts(library.index()) == {"failed": 1}
    path.write_bytes(make.encode(make.scene(8), "JPEG"))
    assert counts(library.index()) == {"modified": 1, "embedded": 1}
    assert library.catalog.failures().is_empty()
    library.check_published()


def test_failed_photos_are_read_again_when_asked(library: Library) -> None:
    library.put("big.png", 1)
    library.put("copy.png", 1)
    assert counts(library.index(limits=Limits(pixels=100))) == {"failed": 2}
    assert counts(library.index()) == {"unchanged": 2}
    assert counts(library.index(retry_failed=True)) == {"new": 1, "copied": 1, "embedded": 1}
    assert library.paths() == ["big.png", "copy.png"]
    assert library.catalog.failures().is_empty()
    library.check_published()


def test_ignored_photos_leave_the_collection(library: Library) -> None:
    library.put("keep/a.png", 1)
    library.put("drop/b.png", 2)
    library.index()
    (library.photos / "drop/.nomedia").touch()
    assert counts(library.index()) == {"removed": 1, "unchanged": 1}
    assert counts(library.index(ignore=("keep/",))) == {"removed": 1}


def test_originals_are_not_written(library: Library) -> None:
    make.write(library.photos)
    files = sorted(path for path in library.photos.rglob("*") if path.is_file())
    before = [(path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino) for path in files]
    library.index()
    after = [(path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino) for path in files]
    assert before == after
    assert sorted(path for path in library.photos.rglob("*") if path.is_file()) == files


def test_another_model_and_another_writer_are_refused(library: Library) -> None:
    library.put("a.png", 1)
    stranger = ColourEmbedder("shades:2")
    for embedder in (stranger, lambda: stranger):
        with pytest.raises(ModelMismatchError, match=r"colours .* not with shades"):
            index(library.collection, [library.photos], embedder)
    with library.collection.lock(), pytest.raises(CollectionBusyError):
        library.index()


def test_readers_see_photos_before_the_run_is_over(library: Library) -> None:
    for n in range(20):
        library.put(f"{n:03}.png", n)
    seen: list[int] = []

    def look(progress: Progress) -> None:
        if progress.stage == "index":
            store = library.collection.vectors()
            seen.append(store.count("images"))
            store.close()

    options = IndexOptions(window=8, commit_photos=8, publish_photos=8, publish_seconds=1e9)
    index(library.collection, [library.photos], library.embedder, options=options, progress=look)
    assert seen == sorted(seen)
    assert {0, 8, 16} <= set(seen)
    library.check_published()


def test_an_interrupt_keeps_what_was_done(library: Library) -> None:
    for n in range(30):
        library.put(f"{n:03}.png", n)

    def interrupt(progress: Progress) -> None:
        if progress.stage == "index" and progress.done > 0:
            signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(InterruptedIndexError, match="rerun to resume") as caught:
        index(
            library.collection,
            [library.photos],
            library.embedder,
            options=IndexOptions(window=8),
            progress=interrupt,
        )
    assert signal.getsignal(signal.SIGINT) is before
    done = caught.value.report.embedded
    assert done == 8
    library.check_published()
    assert counts(library.index()) == {"new": 22, "unchanged": 8, "embedded": 22}


def test_indexing_works_outside_of_the_main_thread(library: Library) -> None:
    library.put("a.png", 1)
    reports: list[IndexReport] = []
    thread = threading.Thread(target=lambda: reports.append(library.index()))
    thread.start()
    thread.join()
    assert counts(reports[0]) == {"new": 1, "embedded": 1}


def actor(library: Library, point: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.indexer.index_actor",
            str(library.collection.folder),
            str(library.photos),
            point,
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )


def test_killed_runs_go_on_where_they_stood(library: Library) -> None:
    for n in range(20):
        library.put(f"{n:03}.png", n)
    (library.photos / "empty.jpg").touch()
    states = []
    for point in ("before-2", "publish-1", "tidy"):
        killed = actor(library, point)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        store = library.collection.vectors()
        states.append((sum(library.catalog.counts().values()), store.count("images")))
        store.close()
    # (rows in the catalog, photos to be found): whole batches, and whole published states.
    assert states == [(4, 0), (12, 0), (21, 20)]
    report = library.index()
    assert counts(report) == {"unchanged": 21}
    assert len(library.paths()) == 21
    library.check_published()


def test_a_run_killed_while_photos_move_loses_none(library: Library) -> None:
    for n in range(12):
        library.put(f"old/{n:03}.png", n)
    library.index()
    (library.photos / "old").rename(library.photos / "new")
    (library.photos / "new/000.png").unlink()
    library.put("new/001.png", 1000)
    assert actor(library, "after-1").returncode == -signal.SIGKILL
    library.embedder.embedded = 0
    library.index()
    assert library.embedder.embedded <= 1
    assert library.paths() == [f"new/{n:03}.png" for n in range(1, 12)]
    assert len(library.catalog.ids()) == 11
    library.check_published()


def test_many_files_that_are_gone_at_once_are_kept_until_they_are_pruned(library: Library) -> None:
    """A disk that was mounted below a root is gone, and so are its photos; a mount point may even
    hold a file that says so.
    """
    disk = library.photos / "disk"
    for n in range(30):
        library.put(f"disk/{n}.png", n)
        library.put(f"here/{n}.png", 100 + n)
    library.index()
    disk.rename(library.photos.parent / "unplugged")
    disk.mkdir()
    (disk / "NOT_MOUNTED.txt").write_text("plug it in")
    report = library.index()
    assert report.held == ((str(library.photos), 30),)
    assert counts(report) == {"unchanged": 30}
    assert len(library.paths()) == 60
    library.check_published()
    shutil.rmtree(disk)
    (library.photos.parent / "unplugged").rename(disk)
    assert counts(library.index()) == {"unchanged": 60}
    for n in range(19):  # few: as before
        (disk / f"{n}.png").unlink()
    assert counts(library.index()) == {"removed": 19, "unchanged": 41}
    shutil.rmtree(disk)
    assert library.index().held == ()
    for n in range(20):
        (library.photos / "here" / f"{n}.png").unlink()
    assert library.index().held == ((str(library.photos), 20),)
    assert len(prune(library.collection, PruneOptions()).gone) == 20
    assert library.paths() == [f"here/{n}.png" for n in sorted(range(20, 30), key=str)]


def test_files_that_moved_are_not_held_back(library: Library) -> None:
    for n in range(40):
        library.put(f"old/{n}.png", n)
    library.index()
    (library.photos / "old").rename(library.photos / "new")
    report = library.index()
    assert (counts(report), report.held) == ({"moved": 40}, ())


def as_of_the_first_version(catalog: Catalog) -> None:
    """Make the rows those of an earlier reader, which knew no camera and no keywords."""
    unknown = {"reader": "CAST(NULL AS SMALLINT)", "camera": "CAST(NULL AS STRING)"}
    catalog._table.update(values_sql=unknown)


def test_facts_are_read_again_and_vectors_stay(library: Library) -> None:
    exif = Image.Exif()
    exif[0x0110] = "Zenit"
    for n in range(4):
        pixels = np.random.default_rng(n).integers(0, 256, (16, 24, 3), np.uint8)
        data = make.encode(Image.fromarray(pixels), "JPEG", exif=exif)
        (library.photos / f"{n}.jpg").write_bytes(data)
    library.index()
    catalog = library.catalog
    ids = sorted(catalog.ids())
    columns = ["id", "files", "vector_mean", "region_vectors", "region_boxes", "region_masks"]
    before, thumbnails = catalog.rows(ids, columns), catalog.thumbnails(ids)
    as_of_the_first_version(catalog)
    assert len(catalog.outdated()) == 4
    gone = library.photos / "3.jpg"
    gone.rename(gone.with_suffix(".away"))
    gone.write_bytes(b"no photo any more")  # and what it held keeps what is known of it
    report = library.index(reread=True)
    assert (report.reread, report.embedded) == (3, 0)
    photos = catalog.photos(ids, ["id", "camera", "status"]).filter(pl.col("status") == "ok")
    assert photos["camera"].to_list() == ["Zenit"] * 3
    kept = photos["id"].to_list()
    assert catalog.rows(kept, columns) == before.filter(pc.is_in(before["id"], pa.array(kept)))
    assert catalog.thumbnails(kept) == {key: thumbnails[key] for key in kept}
    store = library.collection.vectors()
    assert store.count("images", Match("camera", ("Zenit",))) == 3
    store.close()
    library.check_published()
    again = index(library.collection, [], _no_model, options=IndexOptions(reread=True))
    assert (again.reread, again.embedded) == (0, 0)


def write_xmp(path: Path, keyword: str) -> None:
    """A sidecar with one keyword, in a second of its own."""
    path.write_text(
        "<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF "
        "xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'><rdf:Description "
        "xmlns:dc='http://purl.org/dc/elements/1.1/'><dc:subject><rdf:Bag>"
        f"<rdf:li>{keyword}</rdf:li></rdf:Bag></dc:subject></rdf:Description></rdf:RDF></x:xmpmeta>"
    )


def keywords(library: Library) -> dict[str, list[str]]:
    """Of each file, by its relative name; those of the points are the same."""
    found = {}
    store = library.collection.vectors()
    for row in library.catalog.photos([*library.catalog.ids()]).to_dicts():
        words = row["keywords"] or []
        assert all(store.count("images", Match("keyword", (word.lower(),))) for word in words)
        for file in row["files"]:
            found[file["path"].removeprefix(f"{library.photos}/")] = words
    store.close()
    return found


def test_a_changed_sidecar_changes_facts_without_embedding(library: Library) -> None:
    library.put("a.png", 1)
    library.put("b.png", 2)
    write_xmp(library.photos / "a.xmp", "lake")
    assert counts(library.index()) == {"new": 2, "embedded": 2}
    assert keywords(library) == {"a.png": ["lake"], "b.png": []}
    before = library.catalog.revision

    def run() -> IndexReport:
        return index(library.collection, [], _no_model)

    assert run().reread == 0
    assert library.catalog.revision == before
    write_xmp(library.photos / "a.xmp", "shore of the lake")
    write_xmp(library.photos / "b.png.xmp", "sea")
    report = run()
    assert (report.reread, report.unchanged) == (2, 2)
    assert keywords(library) == {"a.png": ["shore of the lake"], "b.png": ["sea"]}
    (library.photos / "a.xmp").unlink()
    assert run().reread == 1
    assert keywords(library) == {"a.png": [], "b.png": ["sea"]}
    assert run().reread == 0
    library.check_published()


def test_a_sidecar_goes_with_its_photo_and_adds_to_a_copy(library: Library) -> None:
    library.put("a.png", 1)
    write_xmp(library.photos / "a.xmp", "lake")
    library.index()
    (library.photos / "a.png").rename(library.photos / "c.png")
    (library.photos / "a.xmp").rename(library.photos / "c.xmp")
    report = library.index()
    assert (counts(report), report.reread) == ({"moved": 1}, 0)
    library.put("copy.png", 1)
    write_xmp(library.photos / "copy.xmp", "sea")
    report = library.index()
    assert (counts(report), report.reread) == ({"copied": 1, "unchanged": 1}, 1)
    assert keywords(library) == {"c.png": ["lake", "sea"], "copy.png": ["lake", "sea"]}
    assert library.index().reread == 0


def test_two_new_copies_with_sidecars_are_one_photo_with_both(library: Library) -> None:
    for name, word in (("a", "lake"), ("b", "sea")):
        library.put(f"{name}.png", 1)
        write_xmp(library.photos / f"{name}.xmp", word)
    report = library.index()
    assert (report.embedded, report.reread) == (1, 1)
    assert keywords(library) == {"a.png": ["lake", "sea"], "b.png": ["lake", "sea"]}
    assert library.index().reread == 0


def test_facts_that_a_killed_run_did_not_read_are_read_by_the_next(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.put("a.png", 1)
    library.index()
    library.put("copy.png", 1)
    write_xmp(library.photos / "copy.xmp", "sea")

    def killed(*given: object, **more: object) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("indexer.reread.reread", killed)
        with pytest.raises(KeyboardInterrupt):
            library.index()
    assert library.paths() == ["a.png", "copy.png"]
    assert library.index().reread == 1
    assert keywords(library)["a.png"] == ["sea"]


def test_sidecars_of_a_collection_of_an_earlier_version_are_read(library: Library) -> None:
    library.put("a.png", 1)
    library.put("b.png", 2)
    library.index()
    as_of_the_first_version(library.catalog)
    write_xmp(library.photos / "a.xmp", "lake")
    report = index(library.collection, [], _no_model)
    assert (report.reread, report.unchanged) == (1, 2)
    assert keywords(library) == {"a.png": ["lake"], "b.png": []}


def test_excluded_folders_are_excluded_in_every_run(library: Library) -> None:
    for n in range(25):
        library.put(f"previews/{n}.png", n)
    library.put("[2023] trip/a.png", 30)
    library.put("b.png", 31)
    library.index()
    library.collection.set_exclude(["previews", "[2023] trip"])
    report = library.index()  # many files, which are there: nothing is held
    assert (counts(report), report.held) == ({"removed": 26, "unchanged": 1}, ())
    reopened = Collection.open(library.collection.folder)
    assert reopened.exclude == ("previews", "[2023] trip")
    assert counts(index(reopened, [], _no_model)) == {"unchanged": 1}
    reopened.set_exclude(["previews"])
    assert counts(index(reopened, [], library.embedder)) == {
        "new": 1,
        "embedded": 1,
        "unchanged": 1,
    }
