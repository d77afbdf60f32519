"""Who writes a collection: one process holds the lock file, and says in it who it is.

with held(folder, Patience(60, print)):  # waits a minute, and prints whom it waits for
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
LOOKS, TRY_AGAIN = 0.2, 0.02  # seconds; those who only look hold the lock for less
SIGNS = 0.5  # seconds; who has just taken the lock has written its name by then
_LINE = re.compile(r"process (\d+) on (\S+) \(`(.*)`, since ([\d: -]+)\)", re.DOTALL)
_LONGEST = 1000  # bytes of a lock file that are read


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """The process that holds a collection.

    pid, host, command, since ("2026-05-01 10:00:00", local time): as it wrote them; 0 and "" where
    the file does not say. alive: whether that process is there; None on another host. Where it is
    not, a process that it started still holds the lock.
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
        """For JSON."""
        return asdict(self)


def read_line(line: str) -> Holder:
    """The holder that wrote this line."""
    match = _LINE.fullmatch(line.strip())
    if match is None:
        return Holder(pid=0, host="", command="", since="", alive=None)
    pid, host, command, since = match.groups()
    alive = _lives(int(pid)) if host == socket.gethostname() else None
    return Holder(pid=int(pid), host=host, command=command, since=since, alive=alive)


def _silent(sentence: str) -> None:
    """For those who do not listen."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for another writer, in seconds (`math.inf`: as long as it takes), and who is
    told, in a sentence, whom one waits for.
    """

    seconds: float = 0.0
    tell: Callable[[str], None] = _silent


NO_PATIENCE = Patience()


@contextmanager
def held(folder: Path, patience: Patience = NO_PATIENCE) -> Iterator[None]:
    """Be the one who writes the collection in `folder`; raises `CollectionBusyError` naming the
    holder when patience ends, and `CollectionError` when the folder cannot be written. The lock
    ends with the process. Temporary files that killed processes left there are deleted.
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
            os.ftruncate(descriptor, 0)  # nobody is to be told of a holder that has ended
    finally:
        os.close(descriptor)


def holder(folder: Path) -> Holder | None:
    """Who holds the collection in `folder` now; None when nobody does.

    Looking takes the lock for a moment, shared with others who look; a writer tries again.
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
        # Without a name, or with that of one that has ended, the holder is about to sign.
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
    """What this process writes into a lock file."""
    command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])[:200]
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    return f"process {os.getpid()} on {socket.gethostname()} (`{command}`, since {since})"
