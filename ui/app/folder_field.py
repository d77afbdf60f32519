"""An input for a folder on this machine: shows what is in it, and suggests subfolders."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from indexer.folders.paths import to_bytes, to_text
from indexer.folders.roots import as_listed
from indexer.folders.scan import scan
from indexer.names import comparable
from ui.formatting import counted, plain, shown

MOST_PHOTOS = 20_000
MOST_SECONDS = 0.4
MOST_ENTRIES = 5000  # entries of a folder that are checked for subfolders
MOST_OFFERED = 10


@dataclass(frozen=True, slots=True)
class Look:
    """The result of checking a typed folder.

    folder: its absolute path as text, "" unless it can be read. inside: paths of suggested
    subfolders. problem: a sentence when it cannot be used, "" while nothing is typed.
    """

    folder: str = ""
    inside: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Count:
    """Photos found by a quick scan; `whole` False: there are more."""

    photos: int
    whole: bool

    def __str__(self) -> str:
        """`12 photos`, `more than 20,000 photos`."""
        return ("" if self.whole else "more than ") + counted(self.photos, "photo")


class _EnoughError(Exception):
    """The quick scan has reached its limit."""


def look(typed: str) -> Look:
    """Check a folder as typed: an absolute path, or one that begins with ~."""
    text = typed.strip()
    if not text:
        return Look(inside=_folders(os.fsencode(Path.home())))
    try:
        path = os.path.expanduser(to_bytes(text))
        if b"\0" in path:
            return Look(problem="Not a valid path.")
        if not os.path.isabs(path):
            return Look(problem="Enter the full path of the folder, or start with ~.")
        return _look(
            to_bytes(as_listed(to_text(os.path.normpath(path)))), below=path.endswith(b"/")
        )
    except ValueError:  # half a surrogate pair
        return Look(problem="Not a valid path.")


def _look(path: bytes, *, below: bool) -> Look:
    name = shown(to_text(path))
    if os.path.isdir(path):
        try:
            return Look(to_text(path), _folders(path))
        except OSError as error:
            return Look(
                problem=f"{name} cannot be read ({error.strerror}); change its permissions, or "
                "choose another folder."
            )
    if os.path.exists(path):
        return Look(problem=f"{name} is a file; choose its folder.")
    around, beginning = os.path.split(path)
    try:
        near = () if below else _folders(around, beginning)
    except OSError:
        near = ()  # the parent is missing too, or not readable: nothing to suggest
    return Look(inside=near, problem=f"There is no folder {name}.")


def _folders(path: bytes, beginning: bytes = b"") -> tuple[str, ...]:
    """The first folders in `path`, by name, whose names have this prefix, without hidden ones."""
    start = comparable(to_text(beginning))
    found = []
    with os.scandir(path) as entries:
        for entry, _ in zip(entries, range(MOST_ENTRIES), strict=False):
            name = to_text(entry.name)
            if comparable(name).startswith(start) and name[0] != "." and entry.is_dir():
                found.append(to_text(entry.path))
    return tuple(sorted(found, key=comparable)[:MOST_OFFERED])


@st.cache_data(ttl=60, max_entries=64, show_spinner=False)
def count_photos(folder: str) -> Count:
    """Count the photos below a folder (text, absolute) that indexing would read, within a short
    time limit.
    """
    seen = 0
    deadline = time.monotonic() + MOST_SECONDS

    def stop(count: int) -> None:
        nonlocal seen
        seen = count
        if count > MOST_PHOTOS or time.monotonic() > deadline:
            raise _EnoughError

    try:
        return Count(len(scan([folder], progress=stop).files), whole=True)
    except _EnoughError:
        return Count(seen, whole=False)


def folder_field(label: str, key: str) -> str:
    """Draw the field and its suggestions; returns the folder's path as text, "" unless it can be
    used.

    key: session key of the text, and the prefix of the other keys.
    """
    typed = st.text_input(
        label,
        key=key,
        placeholder=f"{shown(to_text(os.fsencode(Path.home())))}/Pictures",
        max_chars=4000,
        live=True,
    )
    seen = look(typed)
    if seen.problem:
        st.caption(f":material/error: {plain(seen.problem)}")
    elif seen.folder:
        st.caption(f":material/folder_open: {count_photos(seen.folder)} in this folder")
    if seen.inside:
        with st.container(key=f"{key}-inside", horizontal=True, gap="small"):
            for path in seen.inside:
                st.button(
                    plain(shown(path.rpartition("/")[2])),
                    key=f"{key}-go-{path}",
                    icon=":material/subdirectory_arrow_right:",
                    on_click=_go,
                    args=(key, path),
                )
    return seen.folder


def _go(key: str, path: str) -> None:
    st.session_state[key] = path
