"""Debounce file events: touched paths wait until the burst is over and the files are complete."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from indexer.folders.paths import to_bytes
from indexer.folders.scope import Scope

SETTLE = 2.0
LONGEST = 30.0
Facts = tuple[int, int] | None


@dataclass(slots=True)
class _Heard:
    first: float
    since: float
    facts: Facts


class Pending:
    """Touched paths (absolute texts), each with the time since when it has been steady.

    settle: seconds without an event, at constant size and time, after which a path is steady.
    longest: seconds after which steady paths are taken although other files are still being
    written. clock: seconds, monotonic.
    """

    def __init__(
        self,
        settle: float = SETTLE,
        longest: float = LONGEST,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settle, self._longest, self._clock = settle, longest, clock
        self._heard: dict[str, _Heard] = {}

    def __len__(self) -> int:
        return len(self._heard)

    def add(self, paths: Iterable[str]) -> None:
        """Record an event at these paths."""
        now = self._clock()
        for path in paths:
            known = self._heard.get(path)
            first = known.first if known else now
            self._heard[path] = _Heard(first, now, _facts(path))

    def take(self) -> Scope | None:
        """The scope to index now, removed from the pending paths; None while it is better to
        wait."""
        now = self._clock()
        moving = {path for path, heard in self._heard.items() if not self._steady(path, heard, now)}
        steady = self._heard.keys() - moving
        oldest = min((self._heard[path].first for path in steady), default=now)
        if not steady or (moving and now - oldest < self._longest):
            return None
        for path in steady:
            del self._heard[path]
        return Scope(frozenset(steady), frozenset(moving))

    def clear(self) -> frozenset[str]:
        """Forget all paths before a full run. Returns the files still being written, which stay
        pending."""
        now = self._clock()
        self._heard = {
            path: heard
            for path, heard in self._heard.items()
            if not self._steady(path, heard, now) and heard.facts is not None
        }
        return frozenset(self._heard)

    def _steady(self, path: str, heard: _Heard, now: float) -> bool:
        facts = _facts(path)
        if facts != heard.facts:
            heard.facts, heard.since = facts, now
        return now - heard.since >= self._settle


def _facts(path: str) -> Facts:
    """Size and time of a file; None for a folder or a missing file."""
    try:
        found = os.stat(to_bytes(path))
    except OSError:
        return None
    return (found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else None
