"""Who writes a collection: one process holds the lock file, and says in it who it is."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from indexer.errors import CollectionBusyError, CollectionError, is_disk_full

LOCK = "lock"
TRIES, TRY_AGAIN = 10, 0.02  # seconds; those who only look hold the lock for less
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


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Be the one who writes the collection in `folder`; raises `CollectionBusyError` naming the
    holder, and `CollectionError` when the folder cannot be written. The lock ends with the process.
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
        if not _locked(descriptor):
            raise CollectionBusyError(
                f"The collection {folder} is being written by {_read(descriptor)}; wait until it "
                "is done, or stop it."
            )
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, _own_line().encode("utf-8", "replace"), 0)
        yield
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
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EAGAIN):
            raise
        return _read(descriptor)
    finally:
        os.close(descriptor)
    return None


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


def _locked(descriptor: int) -> bool:
    """Take the lock, unless another process keeps it."""
    for attempt in range(TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if attempt + 1 < TRIES:
                time.sleep(TRY_AGAIN)
    return False


def _own_line() -> str:
    """What this process writes into a lock file."""
    command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])[:200]
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    return f"process {os.getpid()} on {socket.gethostname()} (`{command}`, since {since})"
