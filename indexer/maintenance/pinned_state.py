"""Pin one published state of a collection's files while it is copied, despite concurrent writers.

LanceDB and the shards never change a file of a published state, they only delete it. So the files
of one state are hard-linked next to the collection, which takes no space and a moment, and are then
copied from there. Where the file system has no links, the files themselves are used, and deleting
one during the copy aborts it.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from indexer.cleanup import delete, sweep
from indexer.collection import SETTINGS, Collection
from indexer.edge.manifest import MANIFEST, Manifest, read_manifest
from indexer.errors import BackupError
from indexer.vectors import VectorError
from tips_model.locks import claim

TABLE_FOLDER = "catalog/photos.lance"
VECTORS_FOLDER = "vectors"
_PREFIX = ".pinned-"
_VERSIONS = "_versions"
_VERSION = re.compile(r"(\d+)\.manifest")
_INVERTED = 2**63  # LanceDB names version v 2**64 - 1 - v, so that the newest sorts first
_TRIES = 20


@dataclass(frozen=True, slots=True)
class Pinned:
    """A state: `files` (name in the collection -> path to read), the folder that holds the catalog,
    the catalog's revision (0: there is none), and the manifest of the embedded vectors (None: there
    are none).
    """

    files: tuple[tuple[str, Path], ...]
    catalog_folder: Path
    revision: int
    manifest: Manifest | None


@contextmanager
def pinned(collection: Collection) -> Iterator[Pinned]:
    """Pin the newest state whose catalog and vectors match; no lock is needed.

    Raises `BackupError` when the collection changes too fast.
    """
    folder = collection.folder
    sweep(folder, f"{_PREFIX}*")
    with _staging(folder) as staging:
        for _ in range(_TRIES):
            state = _take(collection, staging)
            if state is not None:
                break
            for entry in staging.iterdir() if staging else ():
                delete(entry)
        else:
            raise BackupError(f"{folder} is changing too fast to be copied; try again in a moment.")
        yield state


def _take(collection: Collection, staging: Path | None) -> Pinned | None:
    """The current state; None when it changed while being read."""
    # Wherever the current model keeps its data: a copy has them in its own folder.
    folder = collection.data_folder
    vectors, table = folder / VECTORS_FOLDER, folder / TABLE_FOLDER
    embedded = collection.engine["kind"] == "embedded"
    before = (_readable(vectors) if embedded else None, _newest(table))
    manifest, (revision, newest) = before
    names: list[str] = []
    try:
        if manifest is not None:
            names.append(f"{VECTORS_FOLDER}/{MANIFEST}")
            for shard in manifest.shards:
                names += _below(folder, vectors / shard.name)
        if newest is not None:
            names += [name for name in _below(folder, table) if f"/{_VERSIONS}/" not in name]
            names.append(f"{TABLE_FOLDER}/{_VERSIONS}/{newest}")
        held = [(SETTINGS, _hold(collection.folder / SETTINGS, staging, SETTINGS))]
        held += [(name, _hold(folder / name, staging, name)) for name in names]
    except FileNotFoundError:
        return None
    after = (_readable(vectors) if embedded else None, _newest(table))
    if after != before:
        return None
    linked = staging is not None and all(path.is_relative_to(staging) for _, path in held)
    catalog_folder = (staging if linked and staging else folder) / Path(TABLE_FOLDER).parent
    return Pinned(tuple(held), catalog_folder, revision, manifest)


def _readable(vectors: Path) -> Manifest | None:
    """The manifest; None when it is missing or unreadable: vectors can be rebuilt."""
    try:
        return read_manifest(vectors)
    except VectorError:
        return None


def _newest(table: Path) -> tuple[int, str | None]:
    """The number of the newest version of the table and the name of its file."""
    try:
        names = os.listdir(table / _VERSIONS)
    except FileNotFoundError:
        return 0, None
    found = {_number(int(match[1])): name for name in names if (match := _VERSION.fullmatch(name))}
    return max(found.items(), default=(0, None))


def _number(written: int) -> int:
    return 2**64 - 1 - written if written >= _INVERTED else written


def _below(folder: Path, part: Path) -> list[str]:
    """The names of all files under `part`, relative to `folder`."""
    names = []
    for above, _, files in os.walk(part, onerror=_raise):
        names += [str(Path(above, name).relative_to(folder)) for name in files]
    return sorted(names)


def _hold(path: Path, staging: Path | None, name: str) -> Path:
    if staging is not None:
        link = staging / name
        try:
            link.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, link)
            return link
        except FileNotFoundError:
            raise
        except OSError:  # the file system has no links, or does not allow linking others' files
            pass
    os.stat(path)
    return path


@contextmanager
def _staging(folder: Path) -> Iterator[Path | None]:
    """A folder next to the collection's files for links to them; None where there can be none."""
    try:
        staging = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=folder))
    except OSError:
        yield None
        return
    held = claim(staging)
    try:
        yield staging
    finally:
        delete(staging)
        if held is not None:
            os.close(held)


def _raise(error: OSError) -> None:
    raise error
