"""The scope of a partial run: the touched paths, and the known links it may change.

A full run walks every folder. A run that follows events walks only the touched folders and must
reach the same state: see `Scope.links` for photos that left a folder without an event.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from indexer.folders.changes import FACTS
from indexer.folders.ignore import IGNORE_FILE, NO_MEDIA
from indexer.folders.paths import folders, is_under, to_bytes, to_text
from indexer.folders.roots import is_gone

_FOLDER_RULES = (to_text(IGNORE_FILE), to_text(NO_MEDIA))


@dataclass(frozen=True, slots=True)
class Scope:
    """Everything at or below `paths` (absolute texts), except the files `without`, which are still
    being written and which the run ignores."""

    paths: frozenset[str]
    without: frozenset[str] = field(default=frozenset())

    def holds(self, folder: str) -> bool:
        """Whether the whole folder is in scope."""
        return not self.paths.isdisjoint((*folders(folder), folder))

    def by_folder(self) -> Mapping[str, frozenset[str]]:
        """The outermost paths: folder -> the names in it that are in scope."""
        names: dict[str, set[str]] = {}
        for path in self.paths:
            folder, _, name = path.rpartition("/")
            if not self.holds(folder or "/"):
                names.setdefault(folder or "/", set()).add(name)
        return {folder: frozenset(inner) for folder, inner in names.items()}

    def links(self, known: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
        """The known links (`snapshot.LINK_SCHEMA`) that a run in this scope may change.

        These are the links in the scope, plus links elsewhere with the size and time of an unknown
        found file whose own file is gone. So a photo moved here from an untouched folder counts as
        moved.
        """
        parents = known.select(parent=pl.col("path").str.replace(r"/[^/]*$", ""))["parent"]
        whole = [folder for folder in parents.unique().to_list() if self.holds(folder or "/")]
        inside = (known["path"].is_in(list(self.paths)) | parents.is_in(whole)) & ~known[
            "path"
        ].is_in(list(self.without))
        here = known.filter(inside)
        fresh = found.join(here, on=["path", *FACTS], how="anti").select("size", "mtime_ns")
        alike = known.filter(~inside).join(fresh.unique(), on=["size", "mtime_ns"], how="semi")
        gone = [path for path in alike["path"].to_list() if is_gone(path)]
        return pl.concat([here, alike.filter(pl.col("path").is_in(gone))])


def touched(paths: Iterable[str], roots: Sequence[str]) -> frozenset[str]:
    """The paths that a run must look at after events for these (absolute texts).

    A path through a link becomes the real one where that lies in a root, as a full run would name
    it, else its whole root. An ignore file stands for its folder. Paths outside of the roots are
    dropped.
    """
    real = {os.path.realpath(to_bytes(root)): root for root in roots}
    places: dict[str, tuple[str, bool] | None] = {}
    result = set[str]()
    for path in paths:
        folder, _, name = path.rpartition("/")
        if path in roots:
            result.add(path)
            continue
        if folder not in places:
            places[folder] = _walked(folder or "/", roots, real)
        place = places[folder]
        if place is not None:
            walked, whole = place
            whole = whole or name in _FOLDER_RULES
            result.add(walked if whole else f"{walked.rstrip('/')}/{name}")
    return frozenset(result)


def _walked(
    folder: str, roots: Sequence[str], real: Mapping[bytes, str]
) -> tuple[str, bool] | None:
    """A folder under the name that a walk gives it, and False; its root and True where only a walk
    can tell; None outside of the roots."""
    root = next((root for root in roots if is_under(folder, root)), None)
    if root is None:
        return None
    resolved = os.path.realpath(to_bytes(folder))
    for start, name in real.items():
        if resolved == start:
            return name, False
        if resolved.startswith(start.rstrip(b"/") + b"/"):
            rest = to_text(resolved[len(start.rstrip(b"/")) :])
            return name.rstrip("/") + rest, False
    return root, True
