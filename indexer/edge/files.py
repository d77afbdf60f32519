"""Opening sealed Qdrant Edge shards, also those that may only be read, and copying their files."""

from __future__ import annotations

import errno
import os
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import qdrant_edge as edge

from indexer.errors import is_disk_failing, is_disk_full
from indexer.folder_size import BLOCK
from indexer.vectors import VectorError

_COPY_CHUNK = 1 << 22  # bytes
_PASSING = ".atomicwrite"
"""Begins the names by which the engine replaces its settings when it opens a shard: a folder with
the new file in it, there for a moment."""
READ_AHEAD = 2 << 30  # bytes
SPARE = 64 << 20
"""Bytes that stay free on the disk. The engine writes through mappings, where a full disk is not an
error but the end of the process (SIGBUS), so it must not become full while the engine writes."""


class ShardError(Exception):
    """A shard that is gone or not whole; the text says which."""


@contextmanager
def answering() -> Iterator[None]:
    """What an open shard cannot answer, since a file of it is damaged, as a `VectorError`. What
    says that the disk is full or fails passes as it is.
    """
    try:
        yield
    except BaseException as error:
        # The engine has no narrower types: its errors are Exceptions, or panics, which are none.
        if type(error) is not Exception and type(error).__name__ != "PanicException":
            raise
        if is_disk_full(error) or is_disk_failing(error):
            raise
        raise VectorError(
            f"the vector store is damaged ({' '.join(str(error).split())}); `tips rebuild` "
            "rebuilds it from the catalog"
        ) from error


def open_shard(path: Path, points: int) -> edge.EdgeShard:
    """A sealed shard, opened for reading. Raises `ShardError` if it is gone or not whole.

    The engine opens files for writing also when it only reads, and writes its settings again. Of a
    shard that may not be written, or on a disk that is full, it gets a copy in a temporary folder,
    whose names are dropped at once: the space is free again when the shard is closed. Raises
    `VectorError` when the shard may not even be read, or cannot be copied.
    """
    before = _identity(path)
    try:
        shard = _load(path)
    except ShardError as error:
        if not path.is_dir() or (_allowed(path, os.W_OK) and not is_disk_full(error)):
            raise
        shard = _load_copy(path)
    if _identity(path) != before:
        # Merged away in the middle of the opening: what was missing by then the engine has made
        # anew, empty.
        shard.close()
        raise ShardError("it is gone")
    found = shard.info().points_count
    if found != points:
        shard.close()
        raise ShardError(f"it has {found} of {points} points")
    return shard


def _identity(folder: Path) -> tuple[int, int] | None:
    """Device and number of a folder; None when it is not there."""
    try:
        facts = folder.stat()
    except OSError:
        return None
    return facts.st_dev, facts.st_ino


def check_room(folder: Path, size: int) -> None:
    """Raise `OSError` (ENOSPC) unless the disk has room for so many bytes, and `SPARE` besides."""
    facts = os.statvfs(folder)
    if facts.f_bavail * facts.f_frsize < size + SPARE:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))


def disk_size(shards: Sequence[Path]) -> int:
    """The bytes that these folders take on the disk."""
    return sum(file.stat().st_blocks * BLOCK for path in shards for file in lasting_files(path))


def lasting_files(shard: Path) -> Iterator[Path]:
    """The files of a shard, without those that come and go when a process opens it."""
    return (folder / name for folder, names in walk_shard(shard) for name in names)


def walk_shard(shard: Path) -> Iterator[tuple[Path, list[str]]]:
    """Each folder of a shard, from the top, and the names of the files in it, without what comes
    and goes when a process opens it.
    """
    for folder, inner, names in os.walk(shard, onerror=_raise):
        inner[:] = [name for name in inner if not name.startswith(_PASSING)]
        yield Path(folder), [name for name in names if not name.startswith(_PASSING)]


def read_ahead(shards: Sequence[Path]) -> None:
    """Ask the system to read the vectors of these shards into its cache, as far as `READ_AHEAD`
    goes, in the background.

    Rescoring reads a few hundred places in them; each would wait for the disk when it is first
    read.
    """
    if not hasattr(os, "posix_fadvise"):  # macOS
        return
    files = [file for path in shards for file in path.glob("segments/*/vector_storage-*/**/*")]
    threading.Thread(target=_read_ahead, args=(files,), daemon=True).start()


def _read_ahead(files: Sequence[Path]) -> None:
    left = READ_AHEAD
    for path in files:
        try:
            if not path.is_file():
                continue
            left -= path.stat().st_blocks * BLOCK
            if left < 0:
                return
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)
        except OSError:  # merged away meanwhile, or it may not be read: it is only a hint
            continue


def _load(path: Path) -> edge.EdgeShard:
    if not path.is_dir():
        raise ShardError("it is gone")
    try:
        return edge.EdgeShard.load(str(path))
    except (KeyboardInterrupt, SystemExit):
        raise
    # The engine has no narrower type for files not as it left them, and panics over some.
    except BaseException as error:
        raise ShardError(" ".join(str(error).split())) from error


def _allowed(path: Path, mode: int) -> bool:
    return all(
        os.access(os.path.join(folder, name), mode)
        for folder, _, files in os.walk(path)
        for name in (".", *files)
    )


def _load_copy(path: Path) -> edge.EdgeShard:
    if not _allowed(path, os.R_OK):
        raise VectorError(
            f"the vector store {path.parent} may not be read by this user; change its permissions"
        )
    try:
        with tempfile.TemporaryDirectory(prefix="tips-") as folder:
            copy = Path(folder, path.name)
            copy_shard(path, copy)
            return _load(copy)
    except OSError as error:
        if not path.is_dir():
            raise ShardError("it is gone") from error
        raise VectorError(
            f"the vector store {path.parent} cannot be written, and a copy of it in "
            f"{tempfile.gettempdir()} failed ({error.strerror or error}); make room there, or set "
            "TMPDIR to another folder"
        ) from error


def copy_shard(source: Path, target: Path) -> None:
    """Copy the lasting files and folders, with the permissions of new ones."""
    for folder, names in walk_shard(source):
        below = target / folder.relative_to(source)
        below.mkdir()
        for name in names:
            copy_sparse(str(folder / name), str(below / name))


def _raise(error: OSError) -> None:
    raise error


def copy_sparse(source: str, target: str) -> str:
    """Copy a file without its holes: the engine preallocates files that are mostly holes."""
    with open(source, "rb") as reader, open(target, "wb") as writer:
        size = os.fstat(reader.fileno()).st_size
        writer.truncate(size)
        end = 0
        while end < size:
            try:
                start = os.lseek(reader.fileno(), end, os.SEEK_DATA)
            except OSError:  # ENXIO: only a hole is left
                break
            end = os.lseek(reader.fileno(), start, os.SEEK_HOLE)
            reader.seek(start)
            writer.seek(start)
            for place in range(start, end, _COPY_CHUNK):
                writer.write(reader.read(min(_COPY_CHUNK, end - place)))
    return target
