"""Work that nobody waits for, one piece after the other."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue

Work = Callable[[], None]
_log = logging.getLogger(__name__)


class Background:
    """A thread that does what it is given, in order. The process does not wait for it to end."""

    def __init__(self, name: str) -> None:
        self._work: SimpleQueue[Work] = SimpleQueue()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def submit(self, work: Work) -> None:
        """Do this when all that came before is done. What it raises is logged."""
        self._work.put(work)

    def _run(self) -> None:
        while True:
            work = self._work.get()
            try:
                work()
            except Exception:
                _log.exception("work in the background failed")
