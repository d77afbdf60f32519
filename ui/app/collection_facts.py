"""Facts about a collection for the page of collections, cached until the collection changes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import streamlit as st

from indexer.collection import SETTINGS, Collection
from indexer.folder_size import disk_bytes
from ui.registry import Known

CACHED = 64  # collections


@dataclass(frozen=True, slots=True)
class Facts:
    """photos, failed: distinct contents. roots: folders of photos, as texts. note: the model's
    note, usually "". size: bytes on the disk. changed: the last commit, local time.
    """

    photos: int
    failed: int
    roots: tuple[str, ...]
    model: str
    note: str
    tiles: int
    size: int
    changed: datetime


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that cannot be read: its path as text, and the reason."""

    path: str
    reason: str


def facts(entry: Known) -> Facts:
    """The facts about an existing collection; raises `CollectionError`."""
    return _facts(str(entry.path), _stamp(entry.path))


def failures(entry: Known, start: int, count: int) -> tuple[Failure, ...]:
    """Some of the files that cannot be read, by path; raises `CollectionError`."""
    frame = Collection.open(entry.path).catalog().failures()
    rows = frame.select("path", "reason").slice(start, count)
    return tuple(Failure(path, reason) for path, reason in rows.iter_rows())


@st.cache_data(max_entries=CACHED, show_spinner=False)
def _facts(folder: str, stamp: tuple[int, ...]) -> Facts:
    opened = Collection.open(folder)
    # Opening a missing catalog would create it: only indexing may do that.
    counts = opened.catalog().counts() if opened.catalog_folder.exists() else {}
    return Facts(
        photos=counts.get("ok", 0),
        failed=counts.get("failed", 0),
        roots=opened.roots,
        model=opened.model.name,
        note=opened.model.note,
        tiles=opened.tiles,
        size=disk_bytes(opened.folder),
        changed=datetime.fromtimestamp(max(stamp) / 1e9),
    )


def _stamp(folder: Path) -> tuple[int, ...]:
    """Modification times in nanoseconds of the settings, the catalog and the vectors."""
    data = Collection.open(folder).data_folder
    parts = (folder / SETTINGS, data / "catalog/photos.lance/_versions", data / "vectors")
    return tuple(_changed(part) for part in parts)


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
