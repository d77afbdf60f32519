"""How indexing tells what it does: one report at the end, and progress on the way. No printing
here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

Stage = Literal["scan", "load", "index", "publish", "tidy"]


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands.

    stage: "scan" (walking the folders), "load" (the model), "index" (reading and embedding photos),
    "publish" (making the vectors searchable), "tidy" (clean-up).
    done, total: files of the stage; total is None while it is not known. failed: photos that could
    not be read.
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
    """The callback of those who do not look."""


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What a run did, in files.

    new: photos the collection did not have (a copy of a known one counts under copied); modified:
    same path, other content; moved: known content whose old path is gone; removed: paths that are
    gone; unchanged: files left as they were; failed: among the files looked at, those that cannot
    be read.
    seconds: the whole run. images_per_second: photos embedded per second of the indexing stage.
    missing_roots: folders that were not there, of which nothing was removed. problems: (path,
    reason) of what could not be walked.
    """

    new: int = 0
    modified: int = 0
    moved: int = 0
    copied: int = 0
    removed: int = 0
    unchanged: int = 0
    failed: int = 0
    embedded: int = 0
    seconds: float = 0.0
    images_per_second: float = 0.0
    missing_roots: tuple[str, ...] = ()
    problems: tuple[tuple[str, str], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)
