"""The registry of this machine's collections: a list of names in the user's data folder.

    register(folder)          # what `tips index`, `tips ui -c DIR` and the app do
    find("holiday")           # what `?in=holiday` in a URL means

A URL holds names only: the page never takes a path from it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import StrictStr

from indexer.collection import Collection
from indexer.folders.paths import to_bytes, to_text
from indexer.folders.roots import existing
from tips_model.atomic import write_alone
from tips_model.errors import TipsError
from tips_model.locks import turn
from tips_model.untrusted import parse_json, read_as
from ui.options import default_collection

SCHEMA_VERSION = 1
SUFFIX = ".tips"
COMMON = "collection"  # folders with this name are distinguished by their parent's name
LONGEST_NAME = 40  # characters
DEFAULT_TITLE = "Photos"


class RegistryError(TipsError):
    """The list of collections cannot be read or written, or lacks the requested one."""


@dataclass(frozen=True, slots=True)
class Known:
    """A collection that this machine knows.

    name: short and unique, for URLs. title: for people. folder: its location, as text (see
    `indexer.folders.paths`).
    """

    name: StrictStr
    title: StrictStr
    folder: StrictStr

    @property
    def path(self) -> Path:
        """The folder of the collection."""
        return Path(os.fsdecode(to_bytes(self.folder)))

    @property
    def present(self) -> bool:
        """Whether the folder holds a collection now."""
        return Collection.exists(self.path)


def data_folder() -> Path:
    """The user's data folder for this program: the list, the jobs, and collections by default."""
    return default_collection().parent


def registry_file() -> Path:
    """The file with the list."""
    return data_folder() / "collections.json"


def known() -> tuple[Known, ...]:
    """All known collections in the order of registration; raises `RegistryError`."""
    file = registry_file()
    try:
        stored = parse_json(file.read_text("utf-8"))
        if stored["schema"] != SCHEMA_VERSION:
            raise ValueError(f"format {stored['schema']}")
        return read_as(tuple[Known, ...], stored["collections"])
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RegistryError(
            f"The list of collections in {file} cannot be read ({error}); move it away, and "
            "`tips ui -c DIR` lists a collection again."
        ) from error


def find(name: str) -> Known | None:
    """The collection with this name, or None."""
    return next((entry for entry in known() if entry.name == name), None)


def find_folder(folder: Path) -> Known | None:
    """The entry of the collection in `folder`, or None."""
    text = _text(folder)
    return next((entry for entry in known() if entry.folder == text), None)


def register(folder: Path, title: str | None = None) -> Known:
    """Add a collection to the list, unless it is there; returns the entry.

    title: for people; None takes it from the folder's name. Raises `RegistryError`.
    """
    entry = find_folder(folder)
    if entry is not None:
        return entry
    with _writing():
        entries = known()  # another process may have been faster
        entry = find_folder(folder)
        if entry is None:
            entry = described(folder, title, taken={other.name for other in entries})
            _save((*entries, entry))
    return entry


def forget(name: str) -> None:
    """Remove a collection from the list; its folder is left alone. Raises `RegistryError`."""
    with _writing():
        _save(tuple(entry for entry in known() if entry.name != name))


def described(folder: Path, title: str | None = None, *, taken: set[str] | None = None) -> Known:
    """The entry for a folder, with a name that is not taken."""
    title = title or _title(folder)
    return Known(unused(slug(title), taken or set()), title, _text(folder))


def slug(title: str) -> str:
    """A title as it appears in a URL: letters, digits and dashes, never empty."""
    return re.sub(r"[\W_]+", "-", title.casefold()).strip("-")[:LONGEST_NAME] or "photos"


def unused(name: str, taken: set[str]) -> str:
    """`name`, or the first of name-2, name-3, ... that is not taken."""
    number, candidate = 1, name
    while candidate in taken:
        number += 1
        candidate = f"{name}-{number}"
    return candidate


def _title(folder: Path) -> str:
    folder = _absolute(folder)
    if folder == _absolute(default_collection()):
        return DEFAULT_TITLE
    name = folder.name.removesuffix(SUFFIX) or folder.name
    if name.casefold() == COMMON:
        name = folder.parent.name or name
    return to_text(os.fsencode(name))


def _absolute(folder: Path) -> Path:
    return existing(Path(os.path.abspath(folder.expanduser())))


def _text(folder: Path) -> str:
    return to_text(os.fsencode(_absolute(folder)))


def _save(entries: tuple[Known, ...]) -> None:
    stored = {"schema": SCHEMA_VERSION, "collections": [asdict(entry) for entry in entries]}
    write_alone(registry_file(), json.dumps(stored, indent=2, ensure_ascii=False) + "\n")


@contextmanager
def _writing() -> Iterator[None]:
    """Hold the list's write lock; waits for others, who hold it only briefly."""
    folder = data_folder()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with turn(folder / "collections.lock"):
            yield
    except OSError as error:
        raise RegistryError(
            f"The list of collections in {folder} cannot be written ({error.strerror}); change "
            "its permissions."
        ) from error
