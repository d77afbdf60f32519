"""The client side of one decoder process: start it, send orders, wait, and end it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from multiprocessing.connection import Connection
from typing import Any

from PIL import Image

from indexer.errors import DecodeError, DecoderError
from indexer.photos.content import Identity
from indexer.photos.decode import Photo
from indexer.photos.facts import Facts
from indexer.photos.limits import Limits
from indexer.photos.shared_file import SharedFile

MODULE = "indexer.photos.decoder_worker"
# The process can import what this one can, except from the working directory, which may be an
# untrusted folder.
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from importlib import import_module; "
    "import_module(sys.argv[2]).main(*map(int, sys.argv[3:]))"
)
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    # Picture-sized blocks are reused instead of being returned and allocated anew for each photo.
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(64 << 20),
}
_START_SECONDS = 120.0  # on a busy machine
_END_SECONDS = 5.0  # to exit after SIGKILL: takes longer only while waiting for a disk
_MESSAGE_BYTES = 1 << 20
_HELD_BYTES = 32 << 20  # of the shared file kept between two photos
_NONSENSE = "the decoder failed on it"


class DecoderDiedError(Exception):
    """The process died while decoding; `reason` says how, `identity` names the content, if known by
    then."""

    def __init__(self, reason: str, identity: Identity | None = None) -> None:
        super().__init__(reason)
        self.reason, self.identity = reason, identity


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result for a file: its `identity` as read, and its photo, or the reason for failure, or
    neither when it was not wanted."""

    identity: Identity
    photo: Photo | None = None
    reason: str | None = None


class DecodeProcess:
    """Decodes one photo at a time, for one thread at a time.

    After `DecoderDiedError`, and after a time limit, it is no longer `alive`.
    """

    def __init__(self, module: str = MODULE) -> None:
        """Start the process without waiting for it. module: has `main(control, shared,
        lifeline)`."""
        self._ready = self._given_up = False
        self._shared = SharedFile()
        ours, theirs = socket.socketpair()
        lifeline, self._lifeline = os.pipe()
        with theirs, open(lifeline, "rb", buffering=0):
            self._link = Connection(ours.detach())
            passed = (theirs.fileno(), self._shared.descriptor, lifeline)
            path = json.dumps([os.path.abspath(entry) for entry in sys.path])
            # stderr is a file, not a pipe: nobody reads it unless the start fails.
            self._said = SharedFile()
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _START, path, module, *map(str, passed)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._said.descriptor,
                pass_fds=passed,
                process_group=0,  # Ctrl-C is for the program, which finishes its photos in order
                env={**os.environ, **_ENVIRONMENT},
            )

    @property
    def alive(self) -> bool:
        """Whether it can take an order."""
        return not self._given_up and self._process.poll() is None

    def read_file(
        self,
        path: str,
        size: int,
        target: int,
        limits: Limits,
        wanted: Callable[[str], bool],
        one_large: AbstractContextManager[object],
    ) -> Outcome | None:
        """Read and decode a file, unless `wanted` rejects its content id; None when it is gone.

        path: its text (see `paths`). size: its expected bytes. one_large: held while decoding a
        large picture. Raises `DecodeError` when its content is unreadable, `DecoderDiedError`, and
        `DecoderError` when the process does not start.
        """
        self._order({"path": path, "size": size, "target": target}, limits)
        answer = self._answer(limits.reading_seconds(size), "reading it")
        if "gone" in answer:
            return None
        if "unreadable" in answer:
            raise DecodeError(answer["unreadable"])
        identity = Identity(*answer["content"])
        if not wanted(identity.id):
            self._say(b"skip")
            return Outcome(identity)
        self._say(b"decode")
        try:
            return Outcome(identity, self._photo(limits, one_large))
        except DecodeError as error:
            return Outcome(identity, reason=error.reason)
        except DecoderDiedError as error:
            raise DecoderDiedError(error.reason, identity) from None

    def decode(
        self,
        data: bytes,
        hint: str,
        target: int,
        limits: Limits,
        one_large: AbstractContextManager[object],
    ) -> Photo:
        """Decode bytes, otherwise like `read_file`. Raises `DecodeError` also when they are not a
        picture."""
        self._shared.write(data)
        self._order({"size": len(data), "hint": hint, "target": target}, limits)
        return self._photo(limits, one_large)

    def close(self) -> None:
        """Stop the process."""
        os.close(self._lifeline)
        self._process.kill()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_SECONDS)
        for held in (self._link, self._shared, self._said):
            held.close()

    def _order(self, order: dict[str, Any], limits: Limits) -> None:
        if not self._ready:
            self._wait_for_start()
        self._say(json.dumps({**order, "limits": asdict(limits)}).encode())

    def _wait_for_start(self) -> None:
        try:
            if self._link.poll(_START_SECONDS):
                self._link.recv_bytes(_MESSAGE_BYTES)
                self._ready = True
                return
        except (EOFError, OSError):
            self._process.wait()
        said = os.pread(self._said.descriptor, _MESSAGE_BYTES, 0).decode("utf-8", "replace").split()
        raise DecoderError(
            "The process that decodes photos does not start: "
            f"{' '.join(said)[-300:] or _ending(self._process.poll())}."
        )

    def _photo(self, limits: Limits, one_large: AbstractContextManager[object]) -> Photo:
        with ExitStack() as held:
            answer = self._answer(limits.seconds, "decoding it")
            if "large" in answer:
                held.enter_context(one_large)
                self._say(b"go")
                answer = self._answer(limits.seconds, "decoding it")
        if "spent" in answer:
            raise DecoderDiedError(answer["spent"])
        if "failed" in answer:
            raise DecodeError(answer["failed"])
        try:
            return self._take(answer["photo"])
        except (KeyError, TypeError, ValueError, EOFError):
            raise DecoderDiedError(_NONSENSE) from None

    def _take(self, told: dict[str, Any]) -> Photo:
        width, height = told["pixels"]
        size = width * height * 3
        pixels = self._shared.read(size)
        thumbnail = bytes(self._shared.read(told["thumbnail"], size))
        self._shared.shrink(_HELD_BYTES)
        facts = told["facts"]
        taken = facts.pop("taken")
        facts["keywords"] = tuple(facts["keywords"])
        return Photo(
            Image.frombytes("RGB", (width, height), pixels),
            told["width"],
            told["height"],
            told["format"],
            Facts(taken=taken and datetime.fromisoformat(taken), **facts),
            thumbnail,
            tuple(told["notes"]),
        )

    def _say(self, message: bytes) -> None:
        try:
            self._link.send_bytes(message)
        except (BrokenPipeError, ConnectionResetError):
            raise self._died() from None

    def _answer(self, seconds: float, doing: str) -> dict[str, Any]:
        try:
            if not self._link.poll(seconds):
                self._given_up = True
                raise DecodeError(f"{doing} took longer than {seconds:.4g} s")
            answer: dict[str, Any] = json.loads(self._link.recv_bytes(_MESSAGE_BYTES))
        except (EOFError, ConnectionResetError):
            raise self._died() from None
        except ValueError:
            raise DecoderDiedError(_NONSENSE) from None
        if "defect" in answer:
            raise RuntimeError(f"The process that decodes photos failed:\n{answer['defect']}")
        return answer

    def _died(self) -> DecoderDiedError:
        return DecoderDiedError(_ending(self._process.wait()))


def _ending(code: int | None) -> str:
    """How a process ended, in words."""
    if code == -signal.SIGKILL:
        return f"the decoder was killed (signal {-code}), as when memory runs out"
    if code is not None and code < 0:
        return f"the decoder crashed (signal {-code})"
    return f"the decoder gave up (exit code {code})"
