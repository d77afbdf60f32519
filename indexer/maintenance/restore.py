"""`restore`: unpack a backup into a temporary folder, check it, and move it into place."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from indexer.cleanup import delete, sweep
from indexer.collection import EMBEDDED, Collection
from indexer.edge.manifest import sync_tree
from indexer.errors import (
    BackupError,
    CollectionBusyError,
    CollectionError,
    DiskFullError,
    explain_full_disk,
)
from indexer.maintenance.archive import Header, read_archive, read_header
from indexer.publish import publish
from indexer.vectors import VectorError
from tips_model.atomic import sync_folder
from tips_model.locks import claim

_HOLE = 1 << 16  # bytes: runs of zeros this long are not written
_ZEROS = bytes(_HOLE)
RestoreProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreReport:
    """The outcome: the folder, its photos, and the backup's revision and time.

    vectors: "restored" as they were, "made" from the catalog, or "none". rebuilt_because: why
    vectors in the backup were rebuilt, or "".
    """

    collection: str
    photos: int
    revision: int
    made: str
    vectors: str
    rebuilt_because: str = ""
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """A JSON-serialisable dict."""
        return {**asdict(self), "seconds": round(self.seconds, 3)}


def check(path: Path, progress: RestoreProgress | None = None) -> Header:
    """Read a backup from beginning to end and check its hashes; writes nothing.

    Raises `BackupError` naming the damaged file.
    """
    total, done = read_header(path).bytes, 0

    def count(name: str, pieces: Iterator[bytes]) -> None:
        nonlocal done
        for piece in pieces:
            done += len(piece)
            if progress is not None:
                progress(done, total)

    header, _ = read_archive(path, count)
    return header


def restore(
    path: Path,
    folder: str | Path,
    *,
    vectors: bool = True,
    progress: RestoreProgress | None = None,
) -> RestoreReport:
    """Create the collection `folder`, which must not exist or be empty, from a backup.

    It keeps its vectors in its own folder, wherever the original had them: two collections must not
    write to one place on a server. Vectors that are missing from the backup, or unreadable for this
    version, are rebuilt from the catalog; `vectors` False skips them. `progress` is called with the
    bytes done and the total. Raises `BackupError` and `DiskFullError`; then nothing is left in
    place.
    """
    started = time.monotonic()
    folder = Path(folder).expanduser().absolute()
    _check_free(folder)
    header = read_header(path)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _check_room(folder.parent, header)
    with explain_full_disk(folder.parent), _aside(folder) as aside:
        unpack = _Unpack(aside, header.bytes, vectors, progress)
        read_archive(path, unpack)
        collection = _settled(path, aside, header)
        kind, why = _vectors(collection) if vectors else ("none", "")
        sync_tree(aside)
        _check_free(folder)
        if folder.is_dir():
            shutil.copymode(folder, aside)  # a shared folder stays shared
        os.rename(aside, folder)  # also replaces an empty folder
        sync_folder(folder.parent)
    return RestoreReport(
        collection=str(folder),
        photos=header.photos,
        revision=header.revision,
        made=header.made,
        vectors=kind,
        rebuilt_because=why,
        seconds=time.monotonic() - started,
    )


class _Unpack:
    """Writes files below a folder, sparse where they are zeros."""

    def __init__(
        self, folder: Path, total: int, vectors: bool, progress: RestoreProgress | None
    ) -> None:
        self._folder, self._total, self._vectors = folder, total, vectors
        self._progress, self._done = progress, 0

    def __call__(self, name: str, pieces: Iterator[bytes]) -> None:
        if not self._vectors and name.startswith("vectors/"):
            return
        target = self._folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        size = 0
        with open(target, "xb") as file:
            for piece in pieces:
                for start in range(0, len(piece), _HOLE):
                    block = piece[start : start + _HOLE]
                    if block != _ZEROS[: len(block)]:
                        file.seek(size + start)
                        file.write(block)
                size += len(piece)
                self._done += len(piece)
                if self._progress is not None:
                    self._progress(self._done, self._total)
            file.truncate(size)


def _settled(path: Path, aside: Path, header: Header) -> Collection:
    """The unpacked collection, with a new id and its own engine; checks that its catalog opens."""
    try:
        collection = Collection.open(aside)
        collection.become_own(EMBEDDED)
        found = collection.catalog().revision if header.revision else 0
    except (CollectionError, OSError, ValueError, RuntimeError) as error:
        raise BackupError(f"{path} contains no collection that can be opened: {error}") from error
    if found != header.revision:
        raise BackupError(
            f"{path} is refused: its header says revision {header.revision}, not {found}."
        )
    return collection


def _vectors(collection: Collection) -> tuple[str, str]:
    """Publish what the vectors lack: nothing, unless a publish was under way, or they are not in
    the backup.
    """
    if not collection.catalog_folder.exists():
        return "none", ""
    catalog, store = collection.catalog(), collection.vectors(read_only=False)
    try:
        try:
            there, why = store.revision > 0, ""
            if there:
                store.count("images")
        except VectorError as error:
            there, why = False, str(error)
        publish(catalog, store, rebuild=not there)
    finally:
        store.close()
    return ("restored" if there else "made"), why


def _check_free(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if os.path.lexists(folder):
        raise BackupError(f"{folder} is not empty; choose a new folder (-c DIR).")


def _check_room(parent: Path, header: Header) -> None:
    free = shutil.disk_usage(parent).free
    if free < header.stored:
        raise DiskFullError(
            f"The backup needs {header.stored / 1e9:,.1f} GB on the disk that holds {parent}, "
            f"and {free / 1e9:,.1f} GB are free; free some space there, or choose another disk."
        )


@contextmanager
def _aside(folder: Path) -> Iterator[Path]:
    """A temporary folder next to the target, deleted unless it was moved into place.

    Leftovers of a killed restore are deleted first.
    """
    aside = folder.with_name(f".{folder.name}.restoring")
    held: int | None = None
    try:
        sweep(folder.parent, aside.name)
        aside.mkdir(mode=0o700)  # private to the owner, like a new collection
        held = claim(aside)
        yield aside
    except FileExistsError:
        raise CollectionBusyError(
            f"Another process is restoring to {folder}; wait for it."
        ) from None
    except PermissionError as error:
        raise BackupError(f"{folder.parent} is not writable; choose another place.") from error
    finally:
        if held is not None:
            delete(aside)
            os.close(held)
