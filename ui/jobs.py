"""Background indexing jobs: processes that outlive the page and the server that started them.

    start_index(folder, ["/home/anna/Pictures"], model="tipsv2-b14")
    find(folder)              # how far it is
    pause(folder), resume(folder), cancel(folder)

A job is `tips index` or `tips rebuild` in the background. The request and the progress are two
small files in the user's data folder, each written by one side. A lock shows whether a job runs:
the process inherits it and holds it until it ends, however it ends.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from indexer.collection import Collection
from indexer.folders.paths import to_bytes, to_text
from ui.formatting import shown
from ui.job_files import JobError, JobFiles

Command = Literal["index", "rebuild"]
State = Literal["running", "stopping", "paused", "stopped", "failed", "done"]
Intent = Literal["run", "pause", "cancel"]
ACTIVE: tuple[State, ...] = ("running", "stopping")
# -P: no module is imported from the server's working directory.
TIPS = (
    sys.executable,
    "-P",
    "-c",
    "import sys; sys.argv[0] = 'tips'; import ui.cli as c; c.main()",
)
COUNTS = ("stage", "done", "total", "failed", "rate", "eta")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The state of a job.

    folder: of the collection, as text. state: "running"; "stopping" (asked to stop, still running);
    "paused"; "stopped" (its process died); "failed" (`error` says why); "done" (`report` is what
    the command prints with --json).
    stage: "" at first, "fetch", or a stage of `indexer.progress.Progress`. done, total, failed,
    rate, eta: as there; bytes while a model is fetched. started: seconds since 1970.
    """

    folder: str
    command: Command
    state: State
    pid: int | None
    started: float
    stage: str = ""
    done: int = 0
    total: int | None = None
    failed: int = 0
    rate: float = 0.0
    eta: float | None = None
    report: dict[str, Any] | None = None
    error: str = ""

    @property
    def active(self) -> bool:
        """Whether its process is alive."""
        return self.state in ACTIVE


def start_index(
    folder: Path,
    roots: Sequence[str] = (),
    *,
    model: str | None = None,
    tiles: int | None = None,
    fetch: bool = False,
    retry_failed: bool = False,
) -> Job:
    """Index folders of photos (texts, see `indexer.folders.paths`) into the collection in `folder`,
    which is created if it does not exist.

    roots: empty means all that the collection knows. model, tiles: of a new collection. fetch:
    download the model's weights first. retry_failed: retry photos that could not be read.
    Raises `JobError`, and `CollectionError` when another process is writing the collection.
    """
    options = [
        *(["--model", model] if model else []),
        *(["--tiles", str(tiles)] if tiles else []),
        *(["--fetch"] if fetch else []),
        *(["--retry-failed"] if retry_failed else []),
    ]
    paths = [os.fsdecode(to_bytes(root)) for root in roots]
    return _start(folder, "index", [*options, "--", *paths])


def start_rebuild(folder: Path) -> Job:
    """Rebuild the vectors of the collection; raises as `start_index` does."""
    return _start(folder, "rebuild", [])


def find(folder: Path) -> Job | None:
    """The last job of the collection, or None; raises `JobError` when its files are damaged."""
    files = JobFiles.of(folder)
    asked = files.read(files.asked)
    if asked is None:
        return None
    # Check the lock first: a process that ends in between has already written how it ended.
    running = files.held_by_job()
    try:
        return _job(files, asked, files.read(files.progress) or {}, running)
    except (KeyError, TypeError, ValueError) as error:
        raise JobError(f"{files.asked} cannot be read ({error!r}); delete it.") from error


def _job(files: JobFiles, asked: dict[str, Any], said: dict[str, Any], running: bool) -> Job | None:
    """The job that the two files describe."""
    state = _state(asked["intent"], said.get("end"), running)
    if state is None:
        return None
    error = said.get("error", "")
    if state == "stopped" and not said:
        error = files.last_words()
    return Job(
        folder=asked["folder"],
        command=asked["command"],
        state=state,
        pid=said.get("pid") or asked["pid"],
        started=asked["started"],
        error=error,
        report=said.get("report"),
        **{name: said[name] for name in COUNTS if name in said},
    )


def pause(folder: Path) -> None:
    """Ask the job to stop; it finishes and keeps the work in hand. Raises `JobError`."""
    job = _existing(folder)
    if job.state != "running":
        raise JobError("No job is running here that could be paused.")
    _ask_to_end(folder, job, "pause", signal.SIGINT)


def resume(folder: Path) -> Job:
    """Restart the job with the same arguments; it continues where it stopped. Raises as
    `start_index` does.
    """
    job = _existing(folder)
    if job.active:
        raise JobError(_running(job))
    files = JobFiles.of(folder)
    asked = files.read(files.asked) or {}
    return _start(folder, job.command, asked["arguments"])


def cancel(folder: Path) -> None:
    """End the job and forget it; photos indexed so far stay. A job that was already asked to stop
    is terminated at once, which is safe too. Raises `JobError`.
    """
    job = _existing(folder)
    number = signal.SIGTERM if job.state == "stopping" else signal.SIGINT
    if job.active:
        _ask_to_end(folder, job, "cancel", number)
    else:
        dismiss(folder)


def dismiss(folder: Path) -> None:
    """Forget a job that has ended; raises `JobError` while it runs."""
    files = JobFiles.of(folder)
    if files.held_by_job():
        raise JobError(_running(_existing(folder)))
    for file in (files.asked, files.progress, files.log):
        file.unlink(missing_ok=True)


def _state(intent: Intent, end: str | None, running: bool) -> State | None:
    if running:
        return "running" if intent == "run" else "stopping"
    if end == "done":
        return "done"
    if intent == "cancel":
        return None
    if end == "failed":
        return "failed"
    return "paused" if intent == "pause" else "stopped"


def _existing(folder: Path) -> Job:
    job = find(folder)
    if job is None:
        raise JobError("There is no job of this collection any more.")
    return job


def _running(job: Job) -> str:
    since = time.strftime("%H:%M", time.localtime(job.started))
    what = "indexed" if job.command == "index" else "rebuilt"
    return (
        f"{shown(job.folder)} is being {what} already (process {job.pid}, since {since}); wait "
        "until that is done, or cancel it."
    )


def _start(folder: Path, command: Command, arguments: list[str]) -> Job:
    folder = Path(os.path.abspath(folder))
    files = JobFiles.of(folder)
    files.make()
    with files.hold() as lock:
        if lock is None:
            job = find(folder)
            raise JobError(_running(job) if job else "The last job of this collection is ending.")
        if Collection.exists(folder):
            with Collection.open(folder).lock():  # raises while another process writes it
                pass
        files.progress.unlink(missing_ok=True)
        asked: dict[str, Any] = {
            "folder": to_text(os.fsencode(folder)),
            "command": command,
            "arguments": arguments,
            "intent": "run",
            "pid": None,
            "started": time.time(),
        }
        files.write(asked)
        line = [*TIPS, command, "--progress-file", str(files.progress), "-c", str(folder)]
        process = files.launch([*line, *arguments], lock)
        files.write(asked | {"pid": process.pid})
    # The child must be waited for, or it stays in the process table as a zombie.
    threading.Thread(target=process.wait, daemon=True).start()
    return _existing(folder)


def _ask_to_end(folder: Path, job: Job, intent: Intent, number: signal.Signals) -> None:
    files = JobFiles.of(folder)
    asked = files.read(files.asked) or {}
    files.write(asked | {"intent": intent})
    # The lock shows that the process is alive, so the id is still its own.
    if job.pid is not None and files.held_by_job():
        try:
            os.kill(job.pid, number)
        except ProcessLookupError:
            return  # it has just ended on its own
