"""Work that nobody waits for, one piece after the other."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from queue import LifoQueue, Queue

Work = Callable[[], None]
_log = logging.getLogger(__name__)


class Background:
    """A thread that does what it is given, the oldest or the newest first. The process does not
    wait for it to end.
    """

    def __init__(self, name: str, *, newest_first: bool = False) -> None:
        self._work: Queue[Work] = LifoQueue() if newest_first else Queue()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def submit(self, work: Work) -> None:
        """Do this when its turn has come. What it raises is logged."""
        self._work.put(work)

    def _run(self) -> None:
        while True:
            work = self._work.get()
            try:
                work()
            except Exception:
                _log.exception("work in the background failed")
