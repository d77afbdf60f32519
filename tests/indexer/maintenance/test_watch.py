"""Live folders, with the system's own events: every wait is for a report, a sentence or an end."""

from __future__ import annotations

import os
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from indexer.collection import Collection
from indexer.errors import CollectionError, WatchError
from indexer.folders.mounts import kind_of, on_network
from indexer.maintenance.watch import WatchOptions, watch
from indexer.progress import IndexReport
from tests.indexer.colours import ColourEmbedder
from tests.indexer.test_pipeline import Library, counts
from tests.photos import make

PATIENCE = 60.0  # seconds; a test that waits so long has failed
LIMITED = """
import sys, threading
from pathlib import Path
from indexer.maintenance.watch import watch
stop = threading.Event()
def done(report): {done}
def tell(sentence):
    print(sentence, flush=True)
    if "cannot be watched" in sentence: stop.set()
try:
    watch(Path(sys.argv[1]), (), lambda collection: None, stop=stop, tell=tell, done=done)
except Exception as error:
    print(type(error).__name__, error)
"""


class Watched(Library):
    """A library that is watched by a thread; what it says is in two queues."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.reports: queue.Queue[dict[str, int]] = queue.Queue()
        self.sentences: queue.Queue[str] = queue.Queue()
        self.stop = threading.Event()
        self.loaded = 0
        self.failure: BaseException | None = None
        self.thread = threading.Thread(target=self._run)

    def begin(self, **options: object) -> None:
        """Watch; the first run's counts are the first report."""
        settings = {"settle": 0.3, **options}
        self.options = WatchOptions(**settings)  # type: ignore[arg-type]
        self.thread.start()

    def report(self) -> dict[str, int]:
        """What the next run that did something did."""
        return self.reports.get(timeout=PATIENCE)

    def end(self) -> None:
        self.stop.set()
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()

    def _run(self) -> None:
        def load(collection: Collection) -> ColourEmbedder:
            self.loaded += 1
            return self.embedder

        def done(report: IndexReport) -> None:
            self.reports.put(counts(report))

        try:
            watch(
                self.collection.folder,
                (),
                load,
                stop=self.stop,
                tell=self.sentences.put,
                done=done,
                options=self.options,
            )
        except BaseException as error:  # shown by the test that waits for a report
            self.failure = error
            raise


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Watched]:
    watched = Watched(tmp_path)
    watched.put("a/1.png", 1)
    watched.index()
    yield watched
    if watched.thread.is_alive():
        watched.end()


def test_what_happens_in_a_folder_is_taken_up(library: Watched, tmp_path: Path) -> None:
    library.begin()
    assert library.report() == {"unchanged": 1}
    assert library.loaded == 0

    outside = Library.put(library, "../elsewhere/2.png", 2).parent
    shutil.copytree(outside, library.photos / "b")
    for number in range(3, 8):
        library.put(f"a/{number}.png", number)
    assert library.report() == {"new": 6, "embedded": 6}
    (library.photos / "a/1.png").rename(library.photos / "b/1.png")
    (library.photos / "b").rename(library.photos / "c")
    library.put("a/3.png", 13)
    assert library.report() == {"moved": 2, "modified": 1, "embedded": 1}
    shutil.rmtree(library.photos / "c")
    assert library.report() == {"removed": 2}
    library.end()
    assert library.reports.empty()
    assert library.sentences.empty()
    library.check_published()
    assert counts(library.index()) == {"unchanged": 5}


def test_a_photo_is_not_read_while_it_is_written(library: Watched) -> None:
    library.begin()
    library.report()
    whole = make.encode(make.scene(8), "PNG")
    with (library.photos / "a/slow.png").open("wb") as file:
        for start in range(0, len(whole), len(whole) // 8 + 1):
            file.write(whole[start : start + len(whole) // 8 + 1])
            file.flush()
            library.stop.wait(0.1)  # shorter than what counts as steady
    assert library.report() == {"new": 1, "embedded": 1}
    assert library.reports.empty()
    library.end()


def test_a_root_that_goes_and_comes_back_loses_nothing(library: Watched) -> None:
    library.begin()
    library.report()
    library.photos.rename(library.photos.with_name("away"))
    sentence = library.sentences.get(timeout=PATIENCE)
    assert sentence == f"{library.photos} is missing; its photos stay in the collection."
    away = library.photos.with_name("away")
    (away / "a/2.png").write_bytes(make.encode(make.scene(3), "PNG"))
    away.rename(library.photos)
    assert library.sentences.get(timeout=PATIENCE) == f"{library.photos} is back."
    assert library.report() == {"new": 1, "unchanged": 1, "embedded": 1}
    library.put("a/3.png", 3)  # and it is watched again
    assert library.report() == {"new": 1, "embedded": 1}


def test_a_collection_that_another_writes_is_waited_for(library: Watched) -> None:
    library.begin()
    library.report()
    with library.collection.lock():
        library.put("a/2.png", 2)
        sentence = library.sentences.get(timeout=PATIENCE)
        assert sentence.startswith("Waiting: The collection ")
        assert f"process {os.getpid()} on " in sentence
    assert library.report() == {"new": 1, "embedded": 1}
    assert library.sentences.get(timeout=PATIENCE) == "Working again."


def test_names_that_are_no_text_and_what_is_no_photo(library: Watched) -> None:
    library.begin()
    library.report()
    (library.photos / "a/notes.txt").write_text("nothing")
    (library.photos / "a/.tmp.png").write_text("nothing")
    data = make.encode(make.scene(5), "PNG")
    with open(os.fsencode(library.photos) + b"/a/caf\xe9.png", "wb") as file:
        file.write(data)
    assert library.report() == {"new": 1, "unchanged": 1, "embedded": 1}
    assert library.loaded == 1


def test_polling_and_a_full_run_now_and_then_need_no_events(library: Watched) -> None:
    library.begin(poll=True, poll_seconds=0.2)
    library.report()
    library.put("a/2.png", 2)
    assert library.report() == {"new": 1, "embedded": 1}


def test_a_collection_in_a_watched_folder_does_not_wake_itself(tmp_path: Path) -> None:
    library = Watched(tmp_path)
    library.photos.rmdir()
    library.photos = tmp_path
    library.put("a/1.png", 1)
    library.index()
    library.begin()
    library.report()
    library.put("a/2.png", 2)
    assert library.report() == {"new": 1, "embedded": 1}
    library.end()
    assert library.reports.empty()
    began = [line for line in runs(library.collection.folder) if line["event"] == "began"]
    assert len(began) == 3  # the first index, the first look, and one new photo


def runs(folder: Path) -> list[dict[str, object]]:
    from indexer.run_log import read

    return read(folder)


def test_watching_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CollectionError, match="There is no collection in"):
        watch(
            tmp_path / "none",
            (),
            lambda collection: ColourEmbedder(),
            stop=threading.Event(),
            tell=print,
            done=print,
        )


def limited(library: Watched, most: int, done: str) -> str:
    """What a watcher says that may watch so many folders only."""
    code = LIMITED.format(done=done)
    program = f'echo {most} > /proc/sys/user/max_inotify_watches && exec "$@"'
    line = ["unshare", "-Ur", "sh", "-c", program, "sh", sys.executable, "-c", code]
    run = subprocess.run(
        [*line, str(library.collection.folder)], capture_output=True, text=True, timeout=PATIENCE
    )
    if "Permission denied" in run.stderr or "unshare" in run.stderr:
        pytest.skip("this system lets no test lower the limit of watched folders: not tried")
    return run.stdout


def test_the_limit_of_watched_folders_is_said_at_the_start(library: Watched) -> None:
    for number in range(6):
        (library.photos / f"folder{number}").mkdir()
    said = limited(library, 4, "pass")
    assert said.startswith(f"{WatchError.__name__} The folders cannot be watched: the system's")
    assert "sudo sysctl fs.inotify.max_user_watches=" in said
    assert "--poll" in said


def test_the_limit_of_watched_folders_is_said_when_it_is_reached_later(library: Watched) -> None:
    made = "[Path(sys.argv[1]).parent.joinpath('photos', f'n{n}').mkdir() for n in range(9)]"
    said = limited(library, 4, made)
    assert "new folders cannot be watched: the system's limit" in said


def test_the_kind_of_a_file_system_is_known(tmp_path: Path) -> None:
    assert kind_of(b"/proc/self") == "proc"
    assert kind_of(os.fsencode(tmp_path)) not in (None, "proc")
    assert on_network(os.fsencode(tmp_path)) is None
