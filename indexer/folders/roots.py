"""Root folders and files of a collection: whether they exist now, and under which names.

A typed path may differ from the known one in a way that nobody sees (accents as one character or as
two), or in case where the file system has none. The file system decides which are the same.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from indexer.errors import StorageError
from indexer.folders.changes import below
from indexer.folders.paths import is_under, to_bytes, to_text
from indexer.folders.storage import entries, facts, is_url
from indexer.names import composed, folded

Identity = tuple[int, int] | None


def identity(root: str) -> Identity:
    """The identity of the folder now (device, inode); None when it is gone, unreadable, or empty
    like a mount point without its disk."""
    if is_url(root):
        return _identity_of_url(root)
    path = to_bytes(root)
    try:
        with os.scandir(path) as entries:
            if next(entries, None) is None:
                return None
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def absent(roots: tuple[str, ...]) -> tuple[str, ...]:
    """The roots that do not exist."""
    return tuple(root for root in roots if identity(root) is None)


def is_gone(path: str) -> bool:
    """Whether the file does not exist; an inaccessible file is not gone."""
    if is_url(path):
        return _is_gone_from_storage(path)
    try:
        os.lstat(to_bytes(path))
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def as_root(path: str, roots: Sequence[str]) -> str:
    """The absolute path as a collection with these roots spells it, as far as it is one of them,
    lies in one or holds one; the rest as the disk lists it (`as_listed`).

    A path that exists is a root if the file system says so and the names differ in no more than
    case and accents; one that is gone, if the names look the same.
    """
    if is_url(path) or any(is_under(root, path) for root in roots):
        return path
    around = next((root for root in roots if is_under(path, root)), None)
    path = as_listed(path, around or "/")
    if around is not None:
        return path
    parts = path.split("/")
    for root in roots:
        own = root.split("/")
        depth = min(len(parts), len(own))
        known, asked = "/".join(own[:depth]), "/".join(parts[:depth])
        gone = not os.path.lexists(to_bytes(asked))
        if (gone and composed(known) == composed(asked)) or (
            folded(known) == folded(asked) and _same(to_bytes(known), to_bytes(asked))
        ):
            return "/".join([*own[:depth], *parts[depth:]])
    return path


def as_listed(path: str, top: str = "/") -> str:
    """The absolute path with each name below the folder `top` as its folder lists it, links not
    resolved.

    A name that is listed stays. Another one that exists (the file system ignores case or the form
    of accents) becomes the listed name of the same file; one that does not becomes the only listed
    name that looks the same. What is still unknown stays as it is.
    """
    if is_url(path):
        return path
    found = to_bytes(top.rstrip("/") or "/")
    for name in to_bytes(path)[len(found) :].split(b"/"):
        found = os.path.join(found, _listed(found, name)) if name else found
    return to_text(found)


def existing(path: Path) -> Path:
    """The absolute path itself if something is there, else as the disk lists it."""
    if os.path.exists(path):
        return path
    return Path(os.fsdecode(to_bytes(as_listed(to_text(os.fsencode(path))))))


def _listed(folder: bytes, name: bytes) -> bytes:
    try:
        names = os.listdir(folder)
    except (OSError, ValueError):  # unreadable, or no path at all
        return name
    if name in names:
        return name
    there = os.path.lexists(os.path.join(folder, name))
    form = folded if there else composed
    asked = form(to_text(name))
    alike = [
        other
        for other in names
        if form(to_text(other)) == asked
        and (not there or _same(os.path.join(folder, name), os.path.join(folder, other)))
    ]
    return alike[0] if len(alike) == 1 else name


def as_known(path: str, known: pl.Series) -> str:
    """The absolute path spelled like the known ones at or below it, where none is exactly there and
    some look the same.
    """
    if below(known, [path]).any():
        return path
    alike = known.filter(below(known.str.normalize("NFC"), [composed(path)]))
    return "/".join(alike[0].split("/")[: path.count("/") + 1]) if len(alike) else path


def _same(one: bytes, other: bytes) -> bool:
    try:
        return os.path.samefile(one, other)
    except (OSError, ValueError):
        return False


def _identity_of_url(root: str) -> Identity:
    try:
        return (0, 0) if entries(root) else None  # a URL has no other folder of that name
    except (FileNotFoundError, StorageError):
        return None


def _is_gone_from_storage(path: str) -> bool:
    try:
        facts(path)
    except FileNotFoundError:
        return True
    except StorageError:
        return False
    return False
