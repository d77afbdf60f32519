"""Open sealed Qdrant Edge shards, including read-only ones, and copy their files."""

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
"""Prefix of the temporary folders through which the engine replaces its settings when it opens a
shard; each briefly holds the new file."""
READ_AHEAD = 2 << 30  # bytes
SPARE = 64 << 20
"""Bytes to keep free on the disk. The engine writes through memory mappings, where a full disk is
not an error but kills the process (SIGBUS), so the disk must not fill up during a write."""


class ShardError(Exception):
    """A shard is missing or incomplete; the text names it."""


@contextmanager
def answering() -> Iterator[None]:
    """Turn errors of an open shard with damaged files into `VectorError`. Errors of a full or
    failing disk pass unchanged.
    """
    try:
        yield
    except BaseException as error:
        # The engine has no specific types: its errors are plain Exceptions, or panics, which are
        # not.
        if type(error) is not Exception and type(error).__name__ != "PanicException":
            raise
        if is_disk_full(error) or is_disk_failing(error):
            raise
        raise VectorError(
            f"the vector store is damaged ({' '.join(str(error).split())}); `tips rebuild` "
            "rebuilds it from the catalog"
        ) from error


def open_shard(path: Path, points: int) -> edge.EdgeShard:
    """A sealed shard, opened for reading. Raises `ShardError` if it is missing or incomplete.

    The engine opens files for writing even when it only reads, and rewrites its settings. A
    read-only shard, or one on a full disk, is copied to a temporary folder whose names are deleted
    at once: the space is freed when the shard is closed. Raises `VectorError` when the shard is
    unreadable or cannot be copied.
    """
    before = _identity(path)
    try:
        shard = _load(path)
    except ShardError as error:
        if not path.is_dir() or (_allowed(path, os.W_OK) and not is_disk_full(error)):
            raise
        shard = _load_copy(path)
    if _identity(path) != before:
        # Merged away while opening: the engine has recreated the missing files, empty.
        shard.close()
        raise ShardError("it is gone")
    found = shard.info().points_count
    if found != points:
        shard.close()
        raise ShardError(f"it has {found} of {points} points")
    return shard


def _identity(folder: Path) -> tuple[int, int] | None:
    """Device and inode of a folder; None when it does not exist."""
    try:
        facts = folder.stat()
    except OSError:
        return None
    return facts.st_dev, facts.st_ino


def check_room(folder: Path, size: int) -> None:
    """Raise `OSError` (ENOSPC) unless the disk has room for `size` bytes plus `SPARE`."""
    facts = os.statvfs(folder)
    if facts.f_bavail * facts.f_frsize < size + SPARE:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))


def disk_size(shards: Sequence[Path]) -> int:
    """Disk usage of these folders in bytes."""
    return sum(file.stat().st_blocks * BLOCK for path in shards for file in lasting_files(path))


def lasting_files(shard: Path) -> Iterator[Path]:
    """The files of a shard, without the temporary ones that exist while a process opens it."""
    return (folder / name for folder, names in walk_shard(shard) for name in names)


def walk_shard(shard: Path) -> Iterator[tuple[Path, list[str]]]:
    """Each folder of a shard, from the top, with the names of its files, without the temporary ones
    that exist while a process opens it.
    """
    for folder, inner, names in os.walk(shard, onerror=_raise):
        inner[:] = [name for name in inner if not name.startswith(_PASSING)]
        yield Path(folder), [name for name in names if not name.startswith(_PASSING)]


def read_ahead(shards: Sequence[Path]) -> None:
    """Ask the system to read the vectors of these shards into its cache in the background, up to
    `READ_AHEAD`.

    Rescoring reads a few hundred places in them; each first read would wait for the disk.
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
        except OSError:  # merged away meanwhile, or unreadable: this is only a hint
            continue


def _load(path: Path) -> edge.EdgeShard:
    if not path.is_dir():
        raise ShardError("it is gone")
    try:
        return edge.EdgeShard.load(str(path))
    except (KeyboardInterrupt, SystemExit):
        raise
    # The engine has no specific error type for damaged files, and panics over some.
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
    """Copy the permanent files and folders, with default permissions."""
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
