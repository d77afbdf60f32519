"""A small status file that an indexing process writes, so that other processes can show its
progress.

    with reporting(file) as report:
        report.show(progress)     # a `ProgressCallback`
        report.finish({...})

The file is replaced atomically, so a reader never sees half of it.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

from indexer.progress import Progress
from tips_model.errors import TipsError
from ui.render import say

End = Literal["done", "failed", "interrupted"]
PAUSE = 0.5  # seconds between two writes
NICENESS = 10  # lower priority than the page and everything else


class ProgressFile:
    """Writes the running stage, and finally the outcome.

    file: None writes nothing. clock: seconds, monotonic.
    """

    def __init__(self, file: Path | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._file, self._clock = file, clock
        self._stage = ""
        self._counted: Progress | None = None
        self._written = float("-inf")
        self._state: dict[str, Any] = {"pid": os.getpid()}

    def show(self, progress: Progress) -> None:
        """Record the progress; writes at most twice a second, a new stage at once."""
        if progress.stage == "index":
            self._counted = progress
        elif progress.stage in ("publish", "tidy") and self._counted is not None:
            # Indexing also publishes midway; the progress still counts the run's photos.
            progress = replace(self._counted, stage=progress.stage)
        self._put(asdict(progress))

    def fetched(self, done: int, total: int | None) -> None:
        """Record how many bytes of the model have arrived."""
        self._put({"stage": "fetch", "done": done, "total": total})

    def finish(self, report: dict[str, Any]) -> None:
        """The run is done; `report` holds plain values."""
        self._end("done", report=report)

    def fail(self, sentence: str) -> None:
        """The run failed with this sentence."""
        self._end("failed", error=sentence)

    def interrupt(self) -> None:
        """The run was asked to stop, and did."""
        self._end("interrupted")

    def _put(self, values: dict[str, Any]) -> None:
        now = self._clock()
        fresh = values["stage"] != self._stage
        self._state |= values
        self._stage = values["stage"]
        if fresh or now - self._written >= PAUSE:
            self._written = now
            self._write()

    def _end(self, end: End, **values: Any) -> None:
        if "end" not in self._state:  # the first outcome counts
            self._state |= {"end": end, **values}
            self._write()

    def _write(self) -> None:
        if self._file is None:
            return
        temporary = self._file.with_name(f"{self._file.name}.tmp")
        try:
            temporary.write_text(json.dumps(self._state), "utf-8")
            temporary.replace(self._file)
        except OSError as error:  # a failed status write must not end hours of work
            self._file = None
            say(f"{temporary} cannot be written ({error.strerror}); the run continues without it.")


@contextmanager
def reporting(file: Path | None) -> Iterator[ProgressFile]:
    """A `ProgressFile` that also records how the block ended; errors propagate unchanged.

    With a file, this process works for a page: it lowers its priority, and handles Ctrl-C although
    it has no terminal.
    """
    from indexer.errors import InterruptedIndexError
    from ui.job_files import JobFiles

    progress = ProgressFile(file)
    try:
        if file is not None:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os.nice(NICENESS)
            # An earlier signal was ignored if the server ignores it, as background jobs (`&`) do.
            if JobFiles.beside(file).asked_to_end():
                raise KeyboardInterrupt
        yield progress
    except (KeyboardInterrupt, InterruptedIndexError):
        progress.interrupt()
        raise
    except TipsError as error:
        progress.fail(str(error))
        raise
    except OSError as error:
        progress.fail(f"{error.filename or 'The run failed'}: {error.strerror or error}.")
        raise
    except Exception as error:
        progress.fail(f"The program has a defect ({type(error).__name__}: {error}).")
        raise
