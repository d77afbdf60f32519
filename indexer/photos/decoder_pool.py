"""Decode untrusted photos in a pool of processes that may crash, under strict limits.

    photo = decode_untrusted(upload)

The C libraries that read photos have bugs, and a crafted file can trigger them. A crash, a memory
blow-up or an endless loop costs one worker process here, and one photo. The processes start on
first use and live as long as the program.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty, LifoQueue
from typing import TypeVar

from indexer.errors import DecodeError
from indexer.folders.ignore import extension
from indexer.folders.paths import to_bytes, to_text
from indexer.folders.storage import is_url
from indexer.photos.content import read_remote, too_large
from indexer.photos.decode import Photo
from indexer.photos.decoder_process import DecodeProcess, DecoderDiedError, Outcome
from indexer.photos.limits import Limits

T = TypeVar("T")

LIMITS = Limits()


class Decoders:
    """At most `count` processes, shared by any number of threads.

    A photo that killed its process is retried once while nothing else is decoded, so that it is not
    blamed for the memory that others took.
    """

    def __init__(self, count: int, start: Callable[[], DecodeProcess] = DecodeProcess) -> None:
        self._count, self._start = count, start
        self._slots: LifoQueue[DecodeProcess | None] = LifoQueue()  # last used, first reused
        for _ in range(count):
            self._slots.put(None)
        self._one_alone = threading.Lock()
        self._one_large = threading.Lock()

    def warm_up(self, count: int) -> None:
        """Start up to `count` missing processes without waiting for them."""
        slots = [self._slots.get() for _ in range(min(count, self._count))]
        for slot in slots:
            self._slots.put(slot or self._start())

    def read_file(
        self,
        path: str,
        *,
        size: int = 0,
        target: int = 448,
        limits: Limits = LIMITS,
        wanted: Callable[[str], bool] = lambda _: True,
    ) -> Outcome | None:
        """Read and decode a file, unless `wanted` rejects its content id; None when it is gone.

        path: its text (see `paths`), or a URL (see `storage`). size: bytes according to the scan.
        target: see `decode_stream`. Raises `DecodeError` when its content is unreadable,
        `DecoderError` when no process can be started, and `StorageError`.
        """
        if is_url(path):
            return self._read_remote(path, target, limits, wanted)
        try:
            return self._twice(
                lambda process: process.read_file(
                    path, size, target, limits, wanted, self._one_large
                )
            )
        except DecoderDiedError as error:
            if error.identity is None:
                raise DecodeError(error.reason) from None
            return Outcome(error.identity, reason=error.reason)

    def _read_remote(
        self, url: str, target: int, limits: Limits, wanted: Callable[[str], bool]
    ) -> Outcome | None:
        # Fetched here: the decoding process needs neither the network nor its keys.
        found = read_remote(url, limits.bytes)
        if found is None:
            return None
        identity, data = found
        if not wanted(identity.id):
            return Outcome(identity)
        try:
            hint = extension(to_bytes(url))
            return Outcome(identity, self.decode(data, hint=hint, target=target, limits=limits))
        except DecodeError as error:
            return Outcome(identity, reason=error.reason)

    def decode(
        self, data: bytes, *, hint: str = "", target: int = 448, limits: Limits = LIMITS
    ) -> Photo:
        """Decode bytes. Raises `DecodeError`, and `DecoderError` when no process can be started."""
        if len(data) > limits.bytes:
            raise DecodeError(too_large(len(data), limits.bytes))
        try:
            return self._twice(
                lambda process: process.decode(data, hint, target, limits, self._one_large)
            )
        except DecoderDiedError as error:
            raise DecodeError(error.reason) from None

    def close(self) -> None:
        """Stop the idle processes."""
        while True:
            try:
                process = self._slots.get_nowait()
            except Empty:
                return
            if process is not None:
                process.close()

    def _twice(self, work: Callable[[DecodeProcess], T]) -> T:
        try:
            with self._taken() as slots:
                return self._with(slots, work)
        except DecoderDiedError:
            with self._one_alone, self._taken(self._count) as slots:
                return self._with(slots, work)

    @contextmanager
    def _taken(self, count: int = 1) -> Iterator[list[DecodeProcess | None]]:
        slots = [self._slots.get() for _ in range(count)]
        try:
            yield slots
        finally:
            for slot in slots:
                self._slots.put(slot)

    def _with(self, slots: list[DecodeProcess | None], work: Callable[[DecodeProcess], T]) -> T:
        process = slots[0]
        if process is None or not process.alive:
            if process is not None:
                process.close()
            process = slots[0] = self._start()
        sound = False
        try:
            result = work(process)
            sound = True
        except DecodeError:
            sound = process.alive
            raise
        finally:
            if not sound:  # dead, or with an unread answer under way
                process.close()
                slots[0] = None
        return result


def decode_untrusted(
    data: bytes, *, hint: str = "", target: int = 448, limits: Limits = LIMITS
) -> Photo:
    """Decode some bytes; see `decode_stream`. Raises `DecodeError`."""
    return decoders().decode(data, hint=hint, target=target, limits=limits)


def decode_file(path: bytes, *, target: int = 448, limits: Limits = LIMITS) -> Photo:
    """Decode a file. Raises `DecodeError`, also when the file is gone."""
    outcome = decoders().read_file(to_text(path), target=target, limits=limits)
    if outcome is None:
        raise DecodeError("the file is gone")
    if outcome.photo is None:
        raise DecodeError(outcome.reason or "it was not decoded")
    return outcome.photo


def processors() -> int:
    """The number of processors that this process may use."""
    return len(os.sched_getaffinity(0))


_shared: Decoders | None = None
_one_starts = threading.Lock()


def decoders() -> Decoders:
    """The shared pool of this program, one process per processor."""
    global _shared
    with _one_starts:
        if _shared is None:
            _shared = Decoders(processors())
            atexit.register(_shared.close)
        return _shared


def _forget() -> None:
    """Drop the pool in a forked child, whose answers would go to its parent's threads."""
    global _shared, _one_starts
    if _shared is not None:
        atexit.unregister(_shared.close)
    _shared, _one_starts = None, threading.Lock()


os.register_at_fork(after_in_child=_forget)
