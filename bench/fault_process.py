"""Processes that faults strike: forked with everything imported, so that hundreds take minutes.

    result = run(lambda: tips("index", photos, "-c", folder), strike=Strike("kill", 17, folder))

The shim (`fault_shim.c`) sits in every process from its start and does nothing until it is armed.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

KINDS = ("count", "kill", "torn", "fail", "full", "stop")  # in the order of the shim
CALLS = {"writes": 1, "reads": 2, "both": 3}
TIMEOUT = 120.0  # seconds; a process that takes longer hangs
LOOK = 0.002  # seconds between two looks at a child
_PRELOADED = "TIPS_FAULT_SHIM"


StrikeKind = Literal["count", "kill", "torn", "fail", "full", "stop"]


@dataclass(frozen=True, slots=True)
class Strike:
    """What the shim does at the `nth` call on paths below `folder`.

    kind: "kill" before the call, "torn" half way through a write, "fail" it with EIO, "full" this
    one and every later call that takes room with ENOSPC, "stop" the process until it is told to go
    on, "count" nothing. inherited: it also befalls the processes that the struck one starts, each
    with a count of its own, and not the struck one itself.
    """

    kind: StrikeKind
    nth: int
    folder: Path
    calls: Literal["writes", "reads", "both"] = "writes"
    inherited: bool = False


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended: its exit code (negative: the signal), what it said, what it returned,
    and how many calls the shim saw (None when it could not tell). `hung`: it had to be killed.
    """

    code: int
    output: str
    value: Any
    seen: int | None
    seconds: float
    hung: bool = False

    @property
    def outcome(self) -> str:
        """In a word: finished, killed, sentence, interrupted, trace, crashed or hung."""
        if self.hung:
            return "hung"
        if self.code == -signal.SIGKILL:
            return "killed"
        if self.code < 0:
            return "crashed"
        if self.code not in (0, 1, 2, 130) or "Traceback (most recent" in self.output:
            return "trace"
        return {2: "sentence", 130: "interrupted"}.get(self.code, "finished")


def preload() -> bool:
    """Build the shim and start this program again with it, or say that there is no compiler.

    Returns whether the shim is there; call it before anything else is imported.
    """
    if os.environ.get(_PRELOADED):
        return os.environ[_PRELOADED] != "none"
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None or not sys.platform.startswith("linux"):
        print(
            "NO COMPILER (or not Linux): no failures are injected at writes and renames; only "
            "processes are killed, and the disk is filled by a limit.",
            file=sys.stderr,
        )
        os.environ[_PRELOADED] = "none"
        return False
    folder = tempfile.mkdtemp(prefix="tips-fault-shim-")
    library = os.path.join(folder, "fault_shim.so")
    source = Path(__file__).with_name("fault_shim.c")
    line = [compiler, "-O1", "-fPIC", "-shared", "-o", library, str(source), "-ldl"]
    subprocess.run(line, check=True)
    os.environ |= {_PRELOADED: library, "LD_PRELOAD": library}
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def keep_to_oneself() -> None:
    """Processes that are started from now on have no shim, unless a strike is `inherited`."""
    os.environ.pop("LD_PRELOAD", None)


def forget_shim() -> None:
    """Delete the built shim; it stays loaded here."""
    library = os.environ.get(_PRELOADED, "none")
    if library != "none":
        shutil.rmtree(Path(library).parent, ignore_errors=True)


def tips(*arguments: object) -> None:
    """The command `tips` in this process, with its exit code."""
    from ui.cli import main

    sys.argv = ["tips", *map(str, arguments)]
    main()


class Child:
    """A forked process that runs `function` and then ends; see `run`."""

    def __init__(
        self,
        function: Callable[[], Any],
        *,
        strike: Strike | None = None,
        file_limit: int | None = None,
    ) -> None:
        """strike: what befalls it. file_limit: bytes that a file of it may have."""
        self._folder = tempfile.mkdtemp(prefix="tips-fault-")
        self._began = time.monotonic()
        self.pid = os.fork()
        if self.pid == 0:
            self._live(function, strike, file_limit)

    def _live(
        self, function: Callable[[], Any], strike: Strike | None, file_limit: int | None
    ) -> None:
        code = 70
        try:
            said = os.open(self._file("said"), os.O_WRONLY | os.O_CREAT, 0o600)
            null = os.open(os.devnull, os.O_RDONLY)
            os.dup2(null, 0)
            os.dup2(said, 1)
            os.dup2(said, 2)
            shim = ctypes.CDLL(None) if os.environ.get(_PRELOADED, "none") != "none" else None
            if file_limit is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, resource.RLIM_INFINITY))
            if shim is not None and strike is not None:
                calls, kind = CALLS[strike.calls], KINDS.index(strike.kind)
                if strike.inherited:
                    arm = f"{calls} {kind} {strike.nth} {strike.folder}"
                    os.environ |= {"LD_PRELOAD": os.environ[_PRELOADED], "TIPS_FAULT": arm}
                else:
                    where = os.fsencode(strike.folder)
                    shim.fault_arm(where, calls, kind, ctypes.c_long(strike.nth))
            value = None
            try:
                value = function()
                code = 0
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else int(end.code is not None)
            seen = None
            if shim is not None:
                seen = int(shim.fault_seen())
                shim.fault_disarm()
            sys.stdout.flush()
            sys.stderr.flush()
            if file_limit is not None:
                hard = resource.RLIM_INFINITY
                resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
            with open(self._file("value"), "w", encoding="utf-8") as file:
                json.dump([value, seen], file)
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)

    def _file(self, name: str) -> str:
        return os.path.join(self._folder, name)

    def stopped(self, timeout: float = TIMEOUT) -> int | None:
        """Wait until it, or a process that it started, stops itself: that one's number; None when
        it ends without.
        """
        end = time.monotonic() + timeout
        while self.running and time.monotonic() < end:
            for pid in (self.pid, *_children(self.pid)):
                if _state(pid) == "T":
                    return pid
            time.sleep(LOOK)
        return None

    def go_on(self, pid: int | None = None) -> None:
        """Let it, or one that it started, continue."""
        if self.running:
            os.kill(pid or self.pid, signal.SIGCONT)

    def says(self, words: str, timeout: float = TIMEOUT) -> bool:
        """Wait until it has said this, or ends."""
        end = time.monotonic() + timeout
        while self.running and time.monotonic() < end:
            if words in self._said():
                return True
            time.sleep(LOOK)
        return False

    def _said(self) -> str:
        said = Path(self._file("said"))
        return said.read_text("utf-8", "replace") if said.exists() else ""

    def kill(self) -> None:
        """SIGKILL, if it is still there."""
        if self._status is None:
            os.kill(self.pid, signal.SIGKILL)

    _status: int | None = None
    _hung = False

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._status = status
        return self._status is None

    def ends_within(self, seconds: float) -> bool:
        """Wait for its end, so long at most; whether it came."""
        if self.running:
            descriptor = os.pidfd_open(self.pid)
            try:
                select.select([descriptor], [], [], seconds)
            finally:
                os.close(descriptor)
        return not self.running

    def _wait(self, timeout: float) -> None:
        if not self.ends_within(timeout):
            self._hung = True
            os.kill(self.pid, signal.SIGKILL)
            _, self._status = os.waitpid(self.pid, 0)

    def end(self, timeout: float = TIMEOUT) -> Ended:
        """Wait for its end."""
        self._wait(timeout)
        assert self._status is not None
        seconds = time.monotonic() - self._began
        value, seen = None, None
        if os.path.exists(self._file("value")):
            value, seen = json.loads(Path(self._file("value")).read_text("utf-8"))
        output = self._said()
        shutil.rmtree(self._folder)
        code = os.waitstatus_to_exitcode(self._status)
        return Ended(code, output, value, seen, seconds, self._hung)


def _children(pid: int) -> list[int]:
    """The processes that this one has started and that are there."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += [int(word) for word in task.read_text().split()]
    return found


def _state(pid: int) -> str:
    """The letter of a process's state, "" when it is gone."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return ""


def run(
    function: Callable[[], Any],
    *,
    strike: Strike | None = None,
    file_limit: int | None = None,
    kill_after: float | None = None,
    timeout: float = TIMEOUT,
) -> Ended:
    """`function` in a process of its own; `kill_after` seconds it gets SIGKILL."""
    child = Child(function, strike=strike, file_limit=file_limit)
    if kill_after is not None:
        child.ends_within(kill_after)
        child.kill()
    return child.end(timeout)
