"""A background thread that runs queued work, one task at a time."""

from __future__ import annotations

import atexit
import logging
import threading
from collections.abc import Callable
from queue import LifoQueue, Queue

Work = Callable[[], None]
PATIENCE = 20.0  # seconds that a running task gets at process exit
_log = logging.getLogger(__name__)


class Background:
    """A thread that runs submitted tasks, oldest or newest first. At process exit the running task
    is finished and the rest is dropped.
    """

    def __init__(self, name: str, *, newest_first: bool = False) -> None:
        self._work: Queue[Work] = LifoQueue() if newest_first else Queue()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()
        # A thread that is stopped inside native code crashes the process.
        atexit.register(self.end)

    def submit(self, work: Work) -> None:
        """Queue a task. Exceptions that it raises are logged."""
        self._work.put(work)

    def pause(self, seconds: float) -> bool:
        """For work without urgency: sleep, unless the process is ending; return whether it is."""
        return self._ended.wait(seconds)

    def end(self) -> None:
        """Finish the running task, and no more."""
        self._ended.set()
        self._work.put(lambda: None)
        self._thread.join(PATIENCE)

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                self._work.get()()  # not bound to a name: a finished task keeps nothing in memory
            except Exception:
                _log.exception("work in the background failed")
