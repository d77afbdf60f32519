"""`backup`: write a collection's published state to one file, verify it, and then rename it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from indexer.catalog.table import Catalog
from indexer.cleanup import delete, sweep
from indexer.collection import Collection
from indexer.errors import BackupError, explain_full_disk
from indexer.maintenance.archive import Header, read_archive, write_archive
from indexer.maintenance.pinned_state import Pinned, pinned
from tips_model.atomic import sync_folder
from tips_model.locks import claim

SUFFIX = ".tar.zst"
_PART = ".part"
BackupStage = Literal["write", "check"]
BackupProgress = Callable[[BackupStage, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupReport:
    """The outcome: the file, its size, and its contents (see `Header`)."""

    file: str
    size: int
    revision: int
    photos: int
    vectors: str
    files: int
    bytes: int
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """A JSON-serialisable dict."""
        return {**asdict(self), "seconds": round(self.seconds, 3)}


def backup(
    collection: Collection, target: Path, progress: BackupProgress | None = None
) -> BackupReport:
    """Write the newest published state to `target`, a new file or a folder for a dated one.

    Takes no lock: indexing and searching continue. `progress` is called with the stage, the bytes
    done and the total bytes. The file gets its name only after it was read back and verified.
    Raises `BackupError` and `DiskFullError`; then there is no file.
    """
    started = time.monotonic()
    if collection.catalog_url is not None:
        raise BackupError(
            f"The catalog of {collection.folder} is at {collection.catalog_url}, which backups "
            "do not cover; protect it there with what the storage offers (versions, replicas)."
        )
    target = _target(collection, target)
    with pinned(collection) as state, explain_full_disk(target.parent):
        header = _header(collection, state)
        with _Part(target) as part:
            entries = write_archive(
                part.file, header, iter(state.files), _counted(progress, "write", header.bytes)
            )
            part.sync()
            count = _counted(progress, "check", header.bytes)
            _, found = read_archive(
                part.path, lambda name, pieces: count(sum(len(piece) for piece in pieces))
            )
            if found != entries:
                raise BackupError(f"{target} could not be verified after writing.")
            size = part.publish()
    return BackupReport(
        file=str(target),
        size=size,
        revision=header.revision,
        photos=header.photos,
        vectors=header.vectors,
        files=header.files,
        bytes=header.bytes,
        seconds=time.monotonic() - started,
    )


def _target(collection: Collection, target: Path) -> Path:
    """The file to write: `target`, or a dated one in it."""
    target = target.expanduser().absolute()
    if target.is_dir():
        stamp = time.strftime("%Y-%m-%dT%H%M%S")
        target = target / f"{collection.folder.name}-{stamp}{SUFFIX}"
    if target.is_relative_to(collection.folder):
        raise BackupError(
            f"{target} is inside the collection; choose a place outside it, best on another disk."
        )
    if not target.name.endswith(SUFFIX):
        raise BackupError(
            f"The name of a backup must end in {SUFFIX}, or be an existing folder: {target}."
        )
    if not target.parent.is_dir():
        raise BackupError(f"There is no folder {target.parent}; create it first.")
    if target.exists():
        raise BackupError(f"{target} already exists; choose another name.")
    return target


def _header(collection: Collection, state: Pinned) -> Header:
    model = collection.model
    photos = 0
    if state.revision:
        # Of the state being copied, not of a newer one. Opening it verifies that it is whole.
        photos = Catalog(state.catalog_folder, model.heads, model.dim).counts()["ok"]
    facts = [path.stat() for _, path in state.files]
    return Header(
        program=f"tips-search {version('tips-search')}",
        made=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        name=collection.folder.name,
        model=model.model_id,
        revision=state.revision,
        photos=photos,
        vectors="none" if state.manifest is None else "embedded",
        files=len(state.files),
        bytes=sum(fact.st_size for fact in facts),
        stored=sum(fact.st_blocks * 512 for fact in facts),
    )


def _counted(
    progress: BackupProgress | None, stage: BackupStage, total: int
) -> Callable[[int], None]:
    done = 0

    def count(size: int) -> None:
        nonlocal done
        done += size
        if progress is not None:
            progress(stage, done, total)

    return count


class _Part:
    """A file that is written under a temporary name and locked, until it is published or
    discarded."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.path = target.with_name(f".{target.name}{_PART}")

    def __enter__(self) -> _Part:
        sweep(self.target.parent, f".*{SUFFIX}{_PART}")
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except PermissionError as error:
            raise BackupError(f"{self.target.parent} is not writable; choose another.") from error
        held = claim(self.path)
        if held is None:
            os.close(descriptor)
            raise BackupError(f"Another process is writing {self.target}.")
        self._descriptor, self._held = descriptor, held
        os.ftruncate(descriptor, 0)
        self.file = os.fdopen(os.dup(descriptor), "wb")  # the archive's writer closes its own
        return self

    def __exit__(self, *error: object) -> None:
        delete(self.path)
        with suppress(OSError):  # a full disk may fail again when closing a discarded file
            self.file.close()
        os.close(self._descriptor)
        os.close(self._held)

    def sync(self) -> None:
        """Sync to disk and drop from the cache, so that reading back reads the disk."""
        os.fsync(self._descriptor)
        if hasattr(os, "posix_fadvise"):  # not on macOS
            os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_DONTNEED)

    def publish(self) -> int:
        """Rename the file to its final name; returns its size in bytes."""
        size = os.fstat(self._descriptor).st_size
        os.replace(self.path, self.target)
        sync_folder(self.target.parent)
        return size
