"""The run log of a collection: one JSON line when a run begins and one when it ends, in `logs/`.

    with recorded(folder, "index") as record:
        ...
        record.counts = {"new": 12}

Log files rotate, so the total size is bounded. The log holds what a bug report needs (`tips status
--report` removes names and paths); no photo depends on it.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, Literal

from indexer.errors import InterruptedIndexError
from indexer.progress import Progress, ProgressCallback

FOLDER = "logs"
FILE = "runs.jsonl"
MOST_BYTES = 1 << 19
OLD_FILES = 3
LONGEST_SENTENCE = 1000  # characters
End = Literal["done", "stopped", "failed"]


@dataclass(slots=True)
class Stage:
    """Seconds spent in a stage of a run, and files processed."""

    seconds: float = 0.0
    done: int = 0


@dataclass(slots=True)
class Record:
    """The outcome of a run: counts by name, and the time of each stage."""

    counts: dict[str, int] = field(default_factory=dict)
    stages: dict[str, Stage] = field(default_factory=dict)
    _now: tuple[str, float] = ("", 0.0)

    def following(self, callback: ProgressCallback) -> ProgressCallback:
        """A callback that also measures the time of the stages."""

        def show(progress: Progress) -> None:
            self._take(progress.stage)
            stage = self.stages.setdefault(progress.stage, Stage())
            stage.done = max(stage.done, progress.done)
            callback(progress)

        return show

    def finish(self) -> None:
        """End the last stage."""
        self._take("")

    def _take(self, stage: str) -> None:
        running, since = self._now
        if running != stage:
            now = time.monotonic()
            if running:
                self.stages.setdefault(running, Stage()).seconds += now - since
            self._now = stage, now


@contextmanager
def recorded(folder: Path, command: str) -> Iterator[Record]:
    """Log that a run of this command begins on the collection in `folder`, and how it ends. Errors
    pass through unchanged."""
    record, began = Record(), time.monotonic()
    write(folder, event="began", command=command, pid=os.getpid(), version=version("tips-search"))

    def ended(end: End, error: BaseException | None = None) -> None:
        record.finish()
        stages = {
            name: {"seconds": round(stage.seconds, 3), "done": stage.done}
            for name, stage in record.stages.items()
        }
        values: dict[str, Any] = {"counts": record.counts, "stages": stages}
        if error is not None:
            values |= {"error": type(error).__name__, "sentence": str(error)[:LONGEST_SENTENCE]}
        seconds = round(time.monotonic() - began, 3)
        write(folder, event=end, command=command, pid=os.getpid(), seconds=seconds, **values)

    try:
        yield record
    except InterruptedIndexError as stopped:
        record.counts = stopped.report.counts()
        ended("stopped")
        raise
    except KeyboardInterrupt:
        ended("stopped")
        raise
    except Exception as error:
        ended("failed", error)
        raise
    ended("done")


def write(folder: Path, **values: Any) -> None:
    """Append a line with these values and the time."""
    line = {"time": datetime.now(UTC).isoformat(timespec="seconds"), **values}
    try:
        (folder / FOLDER).mkdir(exist_ok=True)
        handler = _Handler(
            folder / FOLDER / FILE,
            maxBytes=MOST_BYTES,
            backupCount=OLD_FILES,
            encoding="utf-8",
            errors="backslashreplace",
        )
    except OSError:  # full disk or unwritable folder: the run itself reports it
        return
    text = json.dumps(line, ensure_ascii=False)
    try:
        handler.emit(logging.LogRecord("tips", logging.INFO, "", 0, "%s", (text,), None))
    finally:
        handler.close()


def read(folder: Path, most: int = 200) -> list[dict[str, Any]]:
    """The last lines of the log, oldest first; truncated lines are skipped."""
    names = [f"{FILE}.{number}" for number in range(OLD_FILES, 0, -1)] + [FILE]
    lines: list[dict[str, Any]] = []
    for name in names:
        try:
            texts = (folder / FOLDER / name).read_text("utf-8", "replace").splitlines()
        except OSError:
            continue
        for text in texts:
            try:
                line = json.loads(text)
            except ValueError:  # the process was killed while writing this line
                continue
            if isinstance(line, dict):
                lines.append(line)
    return lines[-most:]


class _Handler(RotatingFileHandler):
    def handleError(self, record: logging.LogRecord) -> None:
        """Drop a line that cannot be written; it must not abort hours of work."""
