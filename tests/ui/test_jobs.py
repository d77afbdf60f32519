"""Indexing in the background: real processes on small painted collections."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from indexer.collection import Collection
from indexer.errors import CollectionBusyError
from indexer.progress import Progress
from tests.ui.conftest import paint, tips
from ui import jobs
from ui.job_files import JobError, JobFiles
from ui.jobs import Job
from ui.progress_file import ProgressFile

SECONDS = 120  # at most; a loaded machine takes its time to import everything
MANY = 300  # photos: enough to be stopped in between


@pytest.fixture(autouse=True)
def own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test begins without jobs; threads are few, as many tests run at once."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture
def collection(tmp_path: Path) -> Iterator[Path]:
    """A folder for a collection; its job is ended in the end."""
    folder = tmp_path / "collection"
    yield folder
    job = jobs.find(folder)
    if job is not None and job.active and job.pid is not None:
        os.kill(job.pid, signal.SIGKILL)
        ended(folder)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Many photos, each with content of its own: one picture with some bytes behind its end."""
    folder = tmp_path_factory.mktemp("many")
    paint(folder / "0.jpg", 0)
    picture = (folder / "0.jpg").read_bytes()
    for number in range(1, MANY):
        (folder / f"{number}.jpg").write_bytes(picture + str(number).encode())
    return folder


def wait(folder: Path, until: Callable[[Job | None], bool]) -> Job | None:
    """The job as soon as it is as wished."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        job = jobs.find(folder)
        if until(job):
            return job
        time.sleep(0.05)
    pytest.fail(f"the job does not come to it: {jobs.find(folder)}")


def ended(folder: Path) -> Job:
    """The job when its process is gone."""
    job = wait(folder, lambda job: job is None or not job.active)
    assert job is not None
    return job


def embedding(folder: Path) -> Job:
    """The job when it has begun to embed photos."""
    job = wait(folder, lambda job: job is None or not job.active or job.done > 0 < (job.total or 0))
    assert job is not None
    assert job.state == "running", job.error
    return job


def some(folder: Path, count: int = 3) -> Path:
    """A folder of a few painted photos."""
    for seed in range(count):
        paint(folder / f"{seed}.jpg", seed)
    return folder


def contents(folder: Path) -> set[tuple[str, str, str]]:
    """Every file of a collection with its identity and status."""
    frame = Collection.open(folder).catalog().files()
    return set(frame.select("path", "id", "status").iter_rows())


def test_a_job_indexes_a_folder_and_says_what_it_did(tmp_path: Path, collection: Path) -> None:
    photos = some(tmp_path / "photos")
    (photos / "broken.jpg").write_bytes(b"\xff\xd8 no picture")
    started = jobs.start_index(collection, [str(photos)], model="nano", tiles=2)
    assert (started.state, started.command, started.stage) == ("running", "index", "")
    job = ended(collection)
    assert job.state == "done", job.error
    assert job.report is not None
    assert (job.report["new"], job.report["failed"]) == (3, 1)
    opened = Collection.open(collection)
    assert (opened.model.name, opened.tiles, opened.roots) == ("nano", 2, (str(photos),))
    failures = opened.catalog().failures()
    assert failures["path"].to_list() == [str(photos / "broken.jpg")]
    assert failures["reason"][0]
    with pytest.raises(JobError, match="could be paused"):
        jobs.pause(collection)
    jobs.dismiss(collection)
    assert jobs.find(collection) is None


def test_pause_and_resume_end_like_an_uninterrupted_run(
    tmp_path: Path, collection: Path, many: Path
) -> None:
    jobs.start_index(collection, [str(many)], model="nano")
    seen = embedding(collection)
    assert seen.total == MANY
    with pytest.raises(JobError, match=f"process {seen.pid}"):
        jobs.start_index(collection, [str(many)])
    with pytest.raises(JobError, match="already"):
        jobs.resume(collection)
    jobs.pause(collection)
    paused = ended(collection)
    assert paused.state == "paused"
    before = contents(collection)
    assert 0 < len(before) < MANY
    jobs.resume(collection)
    job = ended(collection)
    assert job.state == "done", job.error
    assert job.report is not None
    assert job.report["unchanged"] == len(before)
    whole = tmp_path / "whole"
    assert tips("index", many, "--model", "nano", "-c", whole).exit_code == 0
    assert contents(collection) == contents(whole)


def test_a_killed_job_is_recognised_and_can_be_resumed_or_cancelled(
    collection: Path, many: Path
) -> None:
    jobs.start_index(collection, [str(many)], model="nano")
    job = embedding(collection)
    assert job.pid is not None
    os.kill(job.pid, signal.SIGKILL)
    assert ended(collection).state == "stopped"
    resumed = jobs.resume(collection)
    assert resumed.state == "running"
    assert resumed.pid != job.pid
    jobs.cancel(collection)
    assert wait(collection, lambda job: job is None) is None
    assert len(contents(collection)) < MANY


def test_a_job_outlives_the_process_that_started_it(collection: Path, many: Path) -> None:
    code = (
        "import signal, sys; from pathlib import Path; from ui.jobs import start_index\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)  # as for a server behind `&`\n"
        "start_index(Path(sys.argv[1]), [sys.argv[2]], model='nano')"
    )
    subprocess.run([sys.executable, "-c", code, str(collection), str(many)], check=True)
    embedding(collection)
    jobs.pause(collection)
    assert ended(collection).state == "paused"


def test_a_job_that_is_stopped_before_it_listens_is_stopped(collection: Path, many: Path) -> None:
    code = (
        "import signal, sys; from pathlib import Path; from ui.jobs import pause, start_index\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)  # as for a server behind `&`\n"
        "start_index(Path(sys.argv[1]), [sys.argv[2]], model='nano'); pause(Path(sys.argv[1]))"
    )
    subprocess.run([sys.executable, "-c", code, str(collection), str(many)], check=True)
    assert ended(collection).state == "paused"
    assert not Collection.exists(collection)


def test_a_collection_that_a_terminal_writes_is_not_written_twice(
    tmp_path: Path, collection: Path
) -> None:
    photos = some(tmp_path / "photos", 1)
    assert tips("index", photos, "--model", "nano", "-c", collection).exit_code == 0
    with (
        Collection.open(collection).lock(),
        pytest.raises(CollectionBusyError, match=f"process {os.getpid()}"),
    ):
        jobs.start_index(collection)
    assert jobs.find(collection) is None
    jobs.start_index(collection)
    assert ended(collection).state == "done"


def test_a_vanished_folder_fails_with_its_sentence(tmp_path: Path, collection: Path) -> None:
    jobs.start_index(collection, [str(tmp_path / "gone")], model="nano")
    job = ended(collection)
    assert job.state == "failed"
    assert job.error == f"{tmp_path / 'gone'} does not exist or is empty; nothing was changed."
    assert not Collection.exists(collection)
    shutil.copytree(some(tmp_path / "photos", 1), tmp_path / "gone")
    jobs.resume(collection)
    assert ended(collection).state == "done"


def test_a_known_folder_that_vanished_removes_nothing(tmp_path: Path, collection: Path) -> None:
    photos = some(tmp_path / "photos")
    assert tips("index", photos, "--model", "nano", "-c", collection).exit_code == 0
    photos.rename(tmp_path / "elsewhere")
    jobs.start_index(collection)
    job = ended(collection)
    assert job.report is not None
    assert job.report["missing_roots"] == [str(photos)]
    assert {status for _, _, status in contents(collection)} == {"ok"}


def test_rebuild_is_a_job_too(tmp_path: Path, collection: Path) -> None:
    jobs.start_rebuild(collection)
    job = ended(collection)
    assert job.state == "failed"
    assert "There is no collection" in job.error
    photos = some(tmp_path / "photos")
    assert tips("index", photos, "--model", "nano", "-c", collection).exit_code == 0
    shutil.rmtree(collection / "vectors")
    jobs.start_rebuild(collection)
    job = ended(collection)
    assert job.report is not None
    assert (job.command, job.report["published"]) == ("rebuild", 3)
    assert Collection.open(collection).vectors().count("images") == 3


def test_a_process_that_cannot_even_begin_says_why(
    tmp_path: Path, collection: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "TIPS", (*jobs.TIPS[:3], "raise SystemExit('no such thing')"))
    jobs.start_index(collection, [str(tmp_path)])
    job = ended(collection)
    assert (job.state, job.error) == ("stopped", "no such thing")


def test_a_model_that_is_not_here_is_named(
    tmp_path: Path, collection: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIPS_CACHE", str(tmp_path / "models"))
    jobs.start_index(collection, [str(some(tmp_path / "photos", 1))], model="tipsv2-b14")
    job = ended(collection)
    assert job.state == "failed"
    assert "The weights of tipsv2-b14 are not installed" in job.error


def test_damaged_files_are_one_sentence(collection: Path) -> None:
    files = JobFiles.of(collection)
    files.make()
    files.asked.write_text("{")
    with pytest.raises(JobError, match="delete it"):
        jobs.find(collection)
    files.asked.unlink()


def test_the_progress_file_is_written_twice_a_second_and_at_every_stage(tmp_path: Path) -> None:
    file, now = tmp_path / "p.json", [0.0]
    told = ProgressFile(file, lambda: now[0])

    def read() -> tuple[str, int]:
        state = json.loads(file.read_text())
        return state["stage"], state["done"]

    told.show(Progress("scan", 10))
    assert read() == ("scan", 10)
    now[0] = 0.4
    told.show(Progress("scan", 20))
    assert read() == ("scan", 10)
    told.show(Progress("index", 5, 100, 1, 2.0, 47.5))
    assert read() == ("index", 5)
    now[0] = 1.0
    told.show(Progress("publish", 3))  # on the way: the photos of the run still count
    assert read() == ("publish", 5)
    told.finish({"new": 5})
    told.fail("too late")
    state = json.loads(file.read_text())
    assert (state["end"], state["report"], state["total"]) == ("done", {"new": 5}, 100)
    assert "error" not in state


def test_a_progress_file_that_cannot_be_written_does_not_end_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = ProgressFile(tmp_path / "gone" / "p.json")
    told.show(Progress("scan", 1))
    told.finish({})
    assert capsys.readouterr().err.count("the run continues without it") == 1
