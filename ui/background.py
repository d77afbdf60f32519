"""Work that nobody waits for, one piece after the other."""

from __future__ import annotations

import atexit
import logging
import threading
from collections.abc import Callable
from queue import LifoQueue, Queue

Work = Callable[[], None]
PATIENCE = 20.0  # seconds that the end of the process gives a piece that runs
_log = logging.getLogger(__name__)


class Background:
    """A thread that does what it is given, the oldest or the newest first. At the end of the
    process the piece that runs is finished and the rest is left.
    """

    def __init__(self, name: str, *, newest_first: bool = False) -> None:
        self._work: Queue[Work] = LifoQueue() if newest_first else Queue()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()
        # A thread that is stopped within native code takes the process down with it.
        atexit.register(self.end)

    def submit(self, work: Work) -> None:
        """Do this when its turn has come. What it raises is logged."""
        self._work.put(work)

    def pause(self, seconds: float) -> bool:
        """For work that has time: wait, unless the process ends, and say whether it does."""
        return self._ended.wait(seconds)

    def end(self) -> None:
        """Finish the piece that runs, and no more."""
        self._ended.set()
        self._work.put(lambda: None)
        self._thread.join(PATIENCE)

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                self._work.get()()  # no name for it: what is done holds nothing in memory
            except Exception:
                _log.exception("work in the background failed")
