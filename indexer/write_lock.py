"""The write lock of a collection: one process writes at a time, and the lock file names it.

with held(folder, Patience(60, print)):  # waits up to a minute, printing the holder's name
    ...
"""

from __future__ import annotations

import os
import re
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from indexer.cleanup import sweep_temporaries
from indexer.errors import CollectionBusyError, CollectionError, is_disk_full
from tips_model.locks import lock

LOCK = "lock"
LOOKS, TRY_AGAIN = 0.2, 0.02  # seconds; `holder` keeps the lock for less
SIGNS = 0.5  # seconds; a new holder has written its name by then
_LINE = re.compile(r"process (\d+) on (\S+) \(`(.*)`, since ([\d: -]+)\)", re.DOTALL)
_LONGEST = 1000  # bytes of a lock file to read


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """The process that holds a collection's lock.

    pid, host, command, since ("2026-05-01 10:00:00", local time): from the lock file; 0 and ""
    where it does not say. alive: whether that process exists; None on another host. If it does not,
    one of its child processes still holds the lock.
    """

    pid: int
    host: str
    command: str
    since: str
    alive: bool | None

    def __str__(self) -> str:
        if not self.pid:
            return "another process"
        text = f"process {self.pid} on {self.host} (`{self.command}`, since {self.since})"
        return f"{text}, which has ended, or one that it started" if self.alive is False else text

    def to_dict(self) -> dict[str, Any]:
        """A JSON-serialisable dict."""
        return asdict(self)


def read_line(line: str) -> Holder:
    """Parse a lock file's line."""
    match = _LINE.fullmatch(line.strip())
    if match is None:
        return Holder(pid=0, host="", command="", since="", alive=None)
    pid, host, command, since = match.groups()
    alive = _lives(int(pid)) if host == socket.gethostname() else None
    return Holder(pid=int(pid), host=host, command=command, since=since, alive=alive)


def _silent(sentence: str) -> None:
    """A callback that does nothing."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for another writer, in seconds (`math.inf`: forever), and a callback that
    receives a sentence naming it.
    """

    seconds: float = 0.0
    tell: Callable[[str], None] = _silent


NO_PATIENCE = Patience()


@contextmanager
def held(folder: Path, patience: Patience = NO_PATIENCE) -> Iterator[None]:
    """Hold the write lock of the collection in `folder`; raises `CollectionBusyError` naming the
    holder when patience ends, and `CollectionError` when the folder is not writable. The lock is
    released when the process ends. Deletes temporary files left by killed processes.
    """
    try:
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        if is_disk_full(error):
            raise
        raise CollectionError(
            f"The collection {folder} cannot be written ({error.strerror}); change its "
            "permissions, or index the photos into a new collection (-c DIR)."
        ) from error
    try:
        _acquire(descriptor, folder, patience)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, _own_line().encode("utf-8", "replace"), 0)
        sweep_temporaries(folder)
        try:
            yield
        finally:
            os.ftruncate(descriptor, 0)  # do not report a holder that has ended
    finally:
        os.close(descriptor)


def holder(folder: Path) -> Holder | None:
    """The current holder of the collection in `folder`; None when nobody holds it.

    This briefly takes the lock, shared with other callers of `holder`; a writer retries.
    """
    try:
        descriptor = os.open(folder / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        return None if lock(descriptor, shared=True) else _read(descriptor)
    finally:
        os.close(descriptor)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _read(descriptor: int) -> Holder:
    return read_line(os.pread(descriptor, _LONGEST, 0).decode("utf-8", "replace"))


def _acquire(descriptor: int, folder: Path, patience: Patience) -> None:
    began, told = time.monotonic(), ""
    while not lock(descriptor):
        holder = _read(descriptor)
        waited = time.monotonic() - began
        # Without a name, or with that of an ended process, the holder is about to write its own.
        if waited >= max(patience.seconds, LOOKS if holder.alive is not False else SIGNS):
            after = f" (waited {waited:.1f} s)" if patience.seconds else ""
            raise CollectionBusyError(
                f"The collection {folder} is being written by {holder}; wait for it, or stop "
                f"it{after}."
            )
        if waited >= LOOKS and str(holder) != told and patience.seconds:
            told = str(holder)
            patience.tell(f"Waiting for {told}, which writes the collection {folder}.")
        time.sleep(TRY_AGAIN if waited < SIGNS else 5 * TRY_AGAIN)


def _own_line() -> str:
    """The line that this process writes into a lock file."""
    command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])[:200]
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    return f"process {os.getpid()} on {socket.gethostname()} (`{command}`, since {since})"
