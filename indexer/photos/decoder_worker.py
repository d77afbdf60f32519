"""The main loop of a decoder process: it may crash without harming the program.

`DecodeProcess` (`indexer/photos/decoder_process.py`) starts it with three inherited descriptors: a
socket for orders and answers as JSON, an anonymous memory file for large data, and a pipe that
breaks when the other side is gone. It imports neither torch nor the stores, so that it starts in
0.2 seconds.

    order    {"path", "size", "target", "limits"}, or {"size", "hint", "target", "limits"} for bytes
             in the shared file
    answer   {"gone": true}, {"unreadable": reason}, or first {"content": [id, size, mtime_ns,
             ctime_ns]}, to which the other side says "decode" or "skip"; then
             {"large": true}, to which it says "go" when no other large picture is being decoded;
             {"photo": {...}} with pixels and thumbnail in the shared file, {"failed": reason},
             {"spent": reason} when the memory does not suffice, or {"defect": trace} when this
             program is wrong, and not the photo.
"""

from __future__ import annotations

import fcntl
import json
import os
import resource
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from io import BytesIO
from multiprocessing.connection import Connection
from typing import Any, BinaryIO

from indexer.errors import DecodeError
from indexer.folders.ignore import extension
from indexer.folders.paths import to_bytes
from indexer.photos.content import read_content
from indexer.photos.decode import OUT_OF_MEMORY, Photo, decode_stream, quiet
from indexer.photos.limits import Limits
from indexer.photos.shared_file import SharedFile

Decode = Callable[..., Photo]
"""`decode_stream`, or a replacement."""
_FIRST_TO_GO = 500  # of 1000: which process the kernel kills first when memory runs out


def main(control: int, shared: int, lifeline: int, decode: Decode = decode_stream) -> None:
    """Serve orders from the socket `control` until the other side is gone."""
    _end_with(lifeline)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent process
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write(str(_FIRST_TO_GO))
    link = Connection(control)
    link.send_bytes(b"ready")
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)  # stderr was kept until here; from now on only C libraries write there
    worker = Worker(link, SharedFile(shared), decode)
    with quiet():
        while True:
            try:
                order = json.loads(link.recv_bytes())
            except (EOFError, ConnectionResetError):
                return
            worker.serve(order)


def _end_with(lifeline: int) -> None:
    """Let the kernel kill this process when the pipe breaks: a decoder may loop without letting any
    Python thread run."""
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
    flags = fcntl.fcntl(lifeline, fcntl.F_GETFL)
    fcntl.fcntl(lifeline, fcntl.F_SETFL, flags | os.O_ASYNC)


class Worker:
    """Reads and decodes one photo after the other."""

    def __init__(self, link: Connection, shared: SharedFile, decode: Decode) -> None:
        self._link, self._shared, self._decode = link, shared, decode

    def serve(self, order: dict[str, Any]) -> None:
        """Answer one order."""
        limits = Limits(**order.pop("limits"))
        _, most = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (limits.memory, most))
        try:
            answer = self._answer(order, limits)
        except MemoryError:
            answer = {"spent": OUT_OF_MEMORY}
        except DecodeError as error:
            answer = {"failed": error.reason}
        except Exception:
            answer = {"defect": traceback.format_exc()}
        if answer is not None:
            self._send(answer)

    def _answer(self, order: dict[str, Any], limits: Limits) -> dict[str, Any] | None:
        if "path" not in order:
            stream: BinaryIO = BytesIO(self._shared.read(order["size"]))
            hint = order["hint"]
        else:
            try:
                content = read_content(order["path"], limits.bytes)
            except DecodeError as error:
                return {"unreadable": error.reason}
            if content is None:
                return {"gone": True}
            (identity, stream), hint = content, extension(to_bytes(order["path"]))
            if self._ask({"content": identity}) == b"skip":
                stream.close()
                return None
        with stream:
            photo = self._decode(
                stream,
                hint=hint,
                max_pixels=limits.pixels,
                target=order["target"],
                one_large=self._one_large(),
            )
        return {"photo": self._share(photo)}

    @contextmanager
    def _one_large(self) -> Iterator[None]:
        self._ask({"large": True})
        yield

    def _share(self, photo: Photo) -> dict[str, Any]:
        """Put pixels and thumbnail into the shared file; returns the rest as the answer."""
        self._shared.write(photo.image.tobytes(), photo.thumbnail)
        facts = asdict(photo.facts)
        facts["taken"] = photo.facts.taken and photo.facts.taken.isoformat()
        return {
            "pixels": photo.image.size,
            "thumbnail": len(photo.thumbnail),
            "width": photo.width,
            "height": photo.height,
            "format": photo.format,
            "facts": facts,
            "notes": photo.notes,
        }

    def _ask(self, question: dict[str, Any]) -> bytes:
        self._send(question)
        return self._link.recv_bytes()

    def _send(self, answer: dict[str, Any]) -> None:
        self._link.send_bytes(json.dumps(answer).encode())
