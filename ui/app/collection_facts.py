"""What the page of collections says of one, read again only when it has changed."""

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
    """photos, failed: distinct contents. roots: folders of photos, as texts. note: of the model,
    "" mostly. size: bytes on the disk. changed: the last commit, local time.
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
    """A file that cannot be read: its path as text, and why."""

    path: str
    reason: str


def facts(entry: Known) -> Facts:
    """What is known of a collection that is there; raises `CollectionError`."""
    return _facts(str(entry.path), _stamp(entry.path))


def failures(entry: Known, start: int, count: int) -> tuple[Failure, ...]:
    """Some of the files that cannot be read, by path; raises `CollectionError`."""
    frame = Collection.open(entry.path).catalog().failures()
    rows = frame.select("path", "reason").slice(start, count)
    return tuple(Failure(path, reason) for path, reason in rows.iter_rows())


@st.cache_data(max_entries=CACHED, show_spinner=False)
def _facts(folder: str, stamp: tuple[int, ...]) -> Facts:
    opened = Collection.open(folder)
    # A catalog that is not there yet would be made by opening it: that is for who indexes.
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
    """Times in nanoseconds that change with the settings, the catalog and the vectors."""
    data = Collection.open(folder).data_folder
    parts = (folder / SETTINGS, data / "catalog/photos.lance/_versions", data / "vectors")
    return tuple(_changed(part) for part in parts)


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
