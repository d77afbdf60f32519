"""Copy the photos of an answer into a folder, or into a zip that is streamed. The originals are
only read.

Unreadable photos are listed in `MISSING` and do not stop the others.
"""

from __future__ import annotations

import os
import stat
import time
import unicodedata
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from indexer.folders.paths import shown, to_bytes
from indexer.names import folded
from search.hits import Hit
from tips_model.atomic import replacing

MISSING = "MISSING.txt"
"""The file that lists the photos that could not be copied, one per line, with the reason."""
LONGEST_STEM = 180
"""Maximum bytes of a name before its extension; file systems allow 255 in all."""
_CHUNK = 1 << 20
_FORBIDDEN = frozenset('<>:"/\\|?*')  # in Windows file names
_DEVICES = frozenset(
    {"con", "prn", "aux", "nul", *(f"{d}{n}" for d in ("com", "lpt") for n in "123456789")}
)
_FIRST_YEAR, _LAST_YEAR = 1980, 2107  # the range of a zip's time stamps


class Names:
    """Names for copies in one folder: safe on every system, and unique even when ignoring case and
    Unicode composition. The same files in the same order get the same names.
    """

    def __init__(self) -> None:
        self._taken = {folded(MISSING)}
        self._next: dict[str, int] = {}

    def name(self, path: str) -> str:
        """A name for the file with this path (text form): its own, or with " (2)" and so on."""
        stem, ending = _safe(os.path.basename(path))
        name = stem + ending
        while folded(name) in self._taken:
            number = self._next.get(folded(stem + ending), 2)
            self._next[folded(stem + ending)] = number + 1
            name = f"{stem} ({number}){ending}"
        self._taken.add(folded(name))
        return name


class ZipFormat:
    """A zip of uncompressed copies, since photos do not compress; beyond 4 GB it is a ZIP64.
    `missing` are the lines of `MISSING` so far.
    """

    def __init__(self) -> None:
        self._out = _Sink()
        self._zip = zipfile.ZipFile(self._out, "w", zipfile.ZIP_STORED)
        self._names = Names()
        self.missing: list[str] = []

    def head(self) -> Iterable[bytes]:
        """Empty."""
        return []

    def hit(self, hit: Hit) -> Iterator[bytes]:
        """The photo in chunks of at most about a megabyte."""
        file = open_original(hit, self.missing)
        if file is None:
            return
        with file:
            facts = os.fstat(file.fileno())
            entry = zipfile.ZipInfo(self._names.name(hit.path), _moment(facts.st_mtime))
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            entry.file_size = facts.st_size
            try:
                with self._zip.open(entry, "w") as copy:
                    for piece in _pieces(file, facts.st_size):
                        copy.write(piece)
                        yield self._out.take()
            except _UnreadableError as error:
                self.missing.append(_line(hit.path, f"{error}; the copy is not whole"))
        yield self._out.take()

    def tail(self) -> Iterator[bytes]:
        """The list of missing photos, if any, and the table of contents."""
        if self.missing:
            lines = "".join(f"{line}\n" for line in self.missing)
            self._zip.writestr(zipfile.ZipInfo(MISSING, time.localtime()[:6]), lines)
        self._zip.close()
        yield self._out.take()


class FolderCopies:
    """Copies in a new folder; each appears there once it is complete, with the time of its
    original. A file of the same name is replaced. `missing` are the lines of `MISSING` so far.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names = Names()
        self.missing: list[str] = []

    def add(self, hit: Hit) -> None:
        """Copy one photo. Raises `OSError` when the folder cannot be written."""
        file = open_original(hit, self.missing)
        if file is None:
            return
        with file:
            facts = os.fstat(file.fileno())
            target = self._folder / self._names.name(hit.path)
            try:
                with replacing(target) as copy:
                    copy.writelines(_pieces(file, facts.st_size))
            except _UnreadableError as error:
                self.missing.append(_line(hit.path, str(error)))
                return
            os.utime(target, ns=(facts.st_mtime_ns, facts.st_mtime_ns))

    def close(self) -> None:
        """Write the list of missing photos, if any."""
        if self.missing:
            with replacing(self._folder / MISSING) as file:
                file.writelines(f"{line}\n".encode() for line in self.missing)


def open_original(hit: Hit, missing: list[str]) -> BinaryIO | None:
    """The first readable file of the hit; without one, adds a line to `missing` and returns
    None."""
    reason = "it has no file"
    for path in hit.paths:
        try:
            # Without O_NONBLOCK, a named pipe in place of the photo would block.
            number = os.open(to_bytes(path), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            reason = str(error.strerror)
            continue
        if stat.S_ISREG(os.fstat(number).st_mode):
            return open(number, "rb", buffering=0)
        os.close(number)
        reason = "it is not a file"
    missing.append(_line(hit.path, reason))
    return None


class _UnreadableError(Exception):
    """An opened original cannot be read to its end."""


def _pieces(file: BinaryIO, size: int) -> Iterator[bytes]:
    """The first `size` bytes of an original. Raises `_UnreadableError`."""
    while size:
        try:
            piece = file.read(min(size, _CHUNK))
        except OSError as error:
            raise _UnreadableError(error.strerror) from error
        if not piece:
            raise _UnreadableError("it ended early")
        size -= len(piece)
        yield piece


class _Sink:
    """An unseekable stream, so that a zip is written sequentially; `take` empties it."""

    def __init__(self) -> None:
        self._held: list[bytes] = []

    def write(self, data: bytes, /) -> int:
        self._held.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Does nothing: there is no buffer."""

    def close(self) -> None:
        """Does nothing: nothing is open."""

    def take(self) -> bytes:
        taken = b"".join(self._held)
        self._held.clear()
        return taken


def _safe(name: str) -> tuple[str, str]:
    """Stem and extension of a name without separators, control characters and characters that some
    system forbids.
    """
    clean = "".join(
        "_" if char in _FORBIDDEN or unicodedata.category(char)[0] == "C" else char for char in name
    )
    stem, ending = os.path.splitext(clean)
    stem = stem.encode()[:LONGEST_STEM].decode(errors="ignore").strip(" .")
    ending = ending.encode()[: LONGEST_STEM // 6].decode(errors="ignore").rstrip(" .")
    if not stem or stem.split(".")[0].strip().casefold() in _DEVICES:
        stem = f"photo{stem}" if not stem else f"_{stem}"
    return stem, ending


def _line(path: str, reason: str) -> str:
    """One line of `MISSING`."""
    return f"{shown(path)}: {reason}"


def _moment(seconds: float) -> tuple[int, int, int, int, int, int]:
    """A file's time for a zip: local, clamped to its range of years."""
    year, month, day, hour, minute, second = time.localtime(seconds)[:6]
    if not _FIRST_YEAR <= year <= _LAST_YEAR:
        return (min(max(year, _FIRST_YEAR), _LAST_YEAR), 1, 1, 0, 0, 0)
    return year, month, day, hour, minute, min(second, 59)
