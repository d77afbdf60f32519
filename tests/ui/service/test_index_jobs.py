"""Index jobs over HTTP: real processes, followed as they go, and only where they are allowed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.ui.conftest import paint, tips
from tests.ui.service.conftest import problem, running
from ui import jobs
from ui.service import index_jobs
from ui.service.client import Client, ServiceError
from ui.service.context import Service

Allowed = tuple[httpx.Client, Service, Path]


@pytest.fixture(autouse=True)
def own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test begins without jobs; threads are few, as many tests run at once."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(index_jobs, "LOOK", 0.02)


@pytest.fixture(scope="module")
def indexing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Allowed]:
    """A service on a collection of one photo, that may index below `photos`."""
    photos = tmp_path_factory.mktemp("indexing") / "photos"
    paint(photos / "old" / "0.jpg", 0)
    folder = photos.parent / "collection"
    result = tips("index", photos / "old", "--model", "nano", "-c", folder)
    assert result.exit_code == 0, result.output
    with running(folder, index_roots=(photos,)) as (http, service):
        yield http, service, photos


@pytest.fixture
def allowed(indexing: Allowed) -> Iterator[Allowed]:
    """The same; a job that a test leaves is ended."""
    yield indexing
    folder = indexing[1].engines.all[0].folder
    while (job := jobs.find(folder)) is not None and job.active and job.pid is not None:
        with suppress(ProcessLookupError):
            os.kill(job.pid, signal.SIGKILL)


def test_a_job_is_started_followed_and_its_photos_are_found(
    allowed: Allowed,
) -> None:
    http, service, photos = allowed
    for seed in range(1, 9):
        paint(photos / "new" / f"{seed}.jpg", seed)
    with Client(str(http.base_url)) as client:
        name, before = client.status().name, client.status().images
        started = client.start_job([str(photos / "new")])
        assert (started.collection, started.command) == (name, "index")
        with pytest.raises(ServiceError, match="already") as refused:
            client.start_job()
        assert (refused.value.status, refused.value.code) == (409, "busy")
        assert [job.collection for job in client.jobs()] == [name]
        seen = list(client.follow_job())  # of the collection that is asked
        assert [job.state for job in seen[:-1]] == ["running"] * (len(seen) - 1)
        assert len(seen) > 1
        done = [job.done for job in seen if job.stage == "index"]
        assert done == sorted(done)
        last = seen[-1]
        assert (last.state, last.error) == ("done", "")
        assert last.report is not None
        assert last.report["new"] == 8
        assert client.status().images == before  # that is searched, until there is a look
        service.engines.refresh()
        assert client.status().images == before + 8
        assert client.cancel_job().state == "done"  # it has ended: forgotten
        with pytest.raises(ServiceError, match="has no job") as gone:
            next(client.follow_job(name))
        assert gone.value.status == 404


def test_a_job_that_is_cancelled_ends_its_events(
    allowed: Allowed,
) -> None:
    http, service, photos = allowed
    paint(photos / "1.jpg", 1)
    picture = (photos / "1.jpg").read_bytes()
    for number in range(2, 400):
        (photos / f"{number}.jpg").write_bytes(picture + str(number).encode())
    name = service.engines.all[0].name
    with Client(str(http.base_url)) as client:
        client.start_job([str(photos)])
        events = []
        with http.stream("GET", f"/v1/jobs/{name}/events") as response:
            for line in filter(None, response.iter_lines()):
                if not events:
                    assert client.cancel_job(name).state in ("running", "stopping")
                events.append(line)
    assert events[0] == "event: progress"
    assert "running" in events[1]
    assert not any('"state":"done"' in line for line in events)
    assert events[-2:] == ["event: end", "data: null"]
    problem(http.get(f"/v1/jobs/{name}"), 404, "no-job", "collection")


@pytest.fixture(scope="module")
def roots(calibrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Allowed]:
    """A service that may index below an empty folder; only refusals are tried on it."""
    photos = tmp_path_factory.mktemp("roots") / "photos"
    for name in ("photos/old", "photos-private", "home"):
        (photos.parent / name).mkdir(parents=True)
    (photos / "link").symlink_to(photos.parent / "photos-private")
    (photos / "old" / "0.jpg").touch()
    with running(calibrated, index_roots=(photos,)) as (http, service):
        yield http, service, photos


OUTSIDE = {
    "above": "{photos}/..",
    "another root": "/",
    "a neighbour with the same beginning": "{photos}-private",
    "a link out": "{photos}/link",
    "a way around": "{photos}/old/../../home",
    "a relative one": "photos",
    "the user's own": "~",
    "what is not there": "/nowhere/at/all",
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_folders_elsewhere_are_refused(name: str, roots: Allowed) -> None:
    http, service, photos = roots
    folder = OUTSIDE[name].format(photos=photos)
    problem(http.post("/v1/jobs", json={"folders": [folder]}), 403, "folder", "folders.0")
    assert jobs.find(service.engines.all[0].folder) is None


def test_what_a_collection_knows_elsewhere_is_refused(roots: Allowed) -> None:
    http, service, _ = roots
    problem(http.post("/v1/jobs", json={}), 403, "folder", "folders")
    assert jobs.find(service.engines.all[0].folder) is None


@pytest.mark.parametrize("folder", ["{photos}/missing", "{photos}/old/0.jpg", "{photos}/\0"])
def test_what_is_no_folder_is_said(folder: str, roots: Allowed) -> None:
    http, _, photos = roots
    body = {"folders": [str(photos), folder.format(photos=photos)]}
    problem(http.post("/v1/jobs", json=body), 422, "folder", "folders.1")


def test_without_permission_nothing_is_started_or_ended(http: httpx.Client) -> None:
    problem(http.post("/v1/jobs", json={}), 403, "index-not-allowed")
    name = http.get("/v1/collections").json()[0]["name"]
    problem(http.delete(f"/v1/jobs/{name}"), 403, "index-not-allowed")
    assert http.get("/v1/jobs").json() == []
    problem(http.get("/v1/jobs/another"), 404, "unknown-collection", "collection")
    problem(http.get(f"/v1/jobs/{name}/events"), 404, "no-job", "collection")


def test_streams_are_bounded_and_end_with_the_service(
    allowed: Allowed, monkeypatch: pytest.MonkeyPatch
) -> None:
    http, service, _ = allowed
    name = service.engines.all[0].name
    assert http.post("/v1/jobs", json={}).status_code == 202
    with monkeypatch.context() as patch:
        patch.setattr(service, "ending", lambda: True)
        stream = http.get(f"/v1/jobs/{name}/events")
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert "event: end" not in stream.text  # it goes on without us
    monkeypatch.setattr(index_jobs, "MOST_STREAMS", 0)
    problem(http.get(f"/v1/jobs/{name}/events"), 503, "overloaded")
    assert service.streams == 0
