"""Progress of a run through a callback, and the report at its end. Prints nothing."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Stage = Literal["scan", "load", "index", "reread", "publish", "tidy"]


@dataclass(frozen=True, slots=True)
class Progress:
    """The state of a run.

    stage: "scan" (walking the folders), "load" (the model), "index" (reading and embedding photos),
    "reread" (facts and thumbnails again),
    "publish" (making the vectors searchable), "tidy" (clean-up).
    done, total: files of the stage; total is None while unknown. failed: unreadable photos.
    rate: files per second since the stage began, 0.0 before the first. eta: seconds left, None when
    unknown.
    """

    stage: Stage
    done: int = 0
    total: int | None = None
    failed: int = 0
    rate: float = 0.0
    eta: float | None = None


ProgressCallback = Callable[[Progress], None]


def ignore_progress(progress: Progress) -> None:
    """A callback that does nothing."""


@dataclass(frozen=True, slots=True)
class IndexReport:
    """The outcome of a run, in files.

    new: photos not yet in the collection (a copy of a known one counts under copied); modified:
    same path, other content; moved: known content whose old path is gone; removed: paths that are
    gone; unchanged: files with unchanged facts; failed: unreadable files among those examined;
    reread: photos whose facts were read again.
    seconds: the whole run. images_per_second: photos embedded per second of the indexing stage.
    missing_roots: folders that do not exist; their photos are kept. held: roots of which so many
    files are gone that none was removed. away: folders with files that are on a disk which is not
    mounted; they are kept. left_out: what was not looked at, by ending or reason (see
    `scan.ScanResult`). problems: (path, reason) of
    what the scan could not read.
    """

    new: int = 0
    modified: int = 0
    moved: int = 0
    copied: int = 0
    removed: int = 0
    unchanged: int = 0
    failed: int = 0
    embedded: int = 0
    reread: int = 0
    seconds: float = 0.0
    images_per_second: float = 0.0
    missing_roots: tuple[str, ...] = ()
    held: tuple[tuple[str, int], ...] = ()
    away: tuple[tuple[str, int], ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    problems: tuple[tuple[str, str], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """A JSON-serialisable dict."""
        return asdict(self)

    def counts(self) -> dict[str, int]:
        """The nonzero file counts."""
        numbers = {name: value for name, value in asdict(self).items() if isinstance(value, int)}
        return {name: value for name, value in numbers.items() if value}


class Meter:
    """Counts files of a stage and calls the callback; the rate is that of the last 30 seconds.

    clock: seconds, monotonic.
    """

    _WINDOW = 30.0  # seconds

    def __init__(
        self,
        callback: ProgressCallback,
        stage: Stage,
        total: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start the stage and report it."""
        self._callback, self._stage, self._total, self._clock = callback, stage, total, clock
        self._recent = deque([(clock(), 0)])
        self.done = 0
        self.failed = 0
        callback(Progress(stage, total=total))

    def add(self, done: int, failed: int = 0) -> None:
        """Add to the counts."""
        self.done += done
        self.failed += failed
        now = self._clock()
        self._recent.append((now, self.done))
        while len(self._recent) > 2 and now - self._recent[1][0] > self._WINDOW:
            self._recent.popleft()
        since, before = self._recent[0]
        rate = (self.done - before) / (now - since) if now > since else 0.0
        eta = (self._total - self.done) / rate if self._total is not None and rate > 0 else None
        self._callback(Progress(self._stage, self.done, self._total, self.failed, rate, eta))
