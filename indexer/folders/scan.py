"""Walk folders and list the photos in them: names, sizes and times. No photo is opened."""

from __future__ import annotations

import itertools
import os
import stat
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import polars as pl

from indexer.errors import RootError
from indexer.folders.devices import Device, device_of
from indexer.folders.ignore import (
    EXTENSIONS,
    IGNORE_FILE,
    NO_MEDIA,
    IgnoreRules,
    extension,
    skips_folder,
)
from indexer.folders.paths import is_under, to_bytes, to_text
from indexer.folders.roots import as_root
from indexer.folders.scope import Scope
from indexer.folders.sidecars import Entries, is_sidecar, key, sidecar_names, sidecars_of
from indexer.folders.storage import Entry, entries, is_url, read

FILE_SCHEMA = pl.Schema(
    [
        ("path", pl.String()),
        ("root", pl.String()),
        ("size", pl.Int64()),
        ("mtime_ns", pl.Int64()),
        ("ctime_ns", pl.Int64()),
        ("stamp", pl.Int64()),
        ("sidecars", pl.List(pl.String)),
    ]
)
"""One photo file: text path and root (see `paths`), bytes, the two times in nanoseconds since 1970,
and the stamp and paths of its sidecars (see `sidecars`)."""


class Problem(NamedTuple):
    """A folder or file that could not be read."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class ScanResult:
    """files: a frame of `FILE_SCHEMA`, sorted by folder. missing_roots: roots that do not exist, or
    are empty folders (a mount point without its disk). unseen: unreadable folders; nothing is known
    about their contents. left_out: how many files of each ending (".mov", "" for none) are no
    photos by their names, and how many entries are "hidden", "ignored" by rules of the user, in
    the "default" list of folders, or folders with a ".nomedia". devices: the file systems of the
    roots, and of folders on another one than the folder above (see `devices`)."""

    files: pl.DataFrame
    missing_roots: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    scope: Scope | None = None
    left_out: Mapping[str, int] = field(default_factory=dict)
    devices: Mapping[str, Device] = field(default_factory=dict)


def absolute_roots(
    roots: Sequence[str | bytes | os.PathLike[str]], known: Sequence[str] = ()
) -> tuple[str, ...]:
    """User-given roots -> absolute texts, without those inside another one.

    Links are not resolved: paths are shown as the user gave them, but with names as the disk lists
    them and as the `known` roots of a collection spell them (see `roots`). URLs of object storage
    (see `storage`) stay unchanged. Raises `RootError` for a file.
    """
    return minimal_roots({as_root(absolute(root), known) for root in roots})


def absolute(root: str | bytes | os.PathLike[str]) -> str:
    """The absolute text of a user-given root, spelled as it was typed. Raises `RootError` for a
    file.
    """
    text = to_text(os.fsencode(root))
    if is_url(text):
        return text.rstrip("/")
    text = to_text(os.path.abspath(os.fsencode(root)))
    if os.path.isfile(to_bytes(text)):
        raise RootError(f"{text} is a file; give the folder that holds it.")
    return text


def minimal_roots(roots: set[str]) -> tuple[str, ...]:
    """The roots that are not inside another one, sorted."""
    return tuple(
        sorted(
            root
            for root in roots
            if not any(other != root and is_under(root, other) for other in roots)
        )
    )


def scan(
    roots: Sequence[str],
    *,
    ignore: Sequence[str] = (),
    include_hidden: bool = False,
    progress: Callable[[int], None] | None = None,
    within: Scope | None = None,
) -> ScanResult:
    """List the photos below the roots (absolute texts, none inside another).

    `ignore` are gitignore patterns relative to each root, on top of the `.tipsignore` files. Hidden
    files and folders are skipped unless `include_hidden`. Real folders come before links to
    folders, and each folder is read once, so link loops end and a photo keeps its real path.
    `within` restricts the scan to a part of the roots, with the same result there as a full walk;
    it widens at a link to a folder, since only a full walk knows what the link leads to, and from a
    sidecar to its photos.
    """
    walk = _Walk(include_hidden, progress, scope=within)
    for root in roots:
        walk.add_root(root, ignore)
    if within is not None:
        walk.narrow(within)
    walk.run()
    if within is not None and walk.wider:
        wider = Scope(within.paths | walk.wider, within.without)
        return scan(
            roots, ignore=ignore, include_hidden=include_hidden, progress=progress, within=wider
        )
    return walk.result()


class _Folder(NamedTuple):
    """above: the device number of the folder above; None for a start. only: the names to look at in
    the folder; None means all."""

    path: bytes
    root: str
    rules: IgnoreRules | None
    above: int | None = None
    only: frozenset[bytes] | None = None


@dataclass
class _Walk:
    include_hidden: bool
    progress: Callable[[int], None] | None
    scope: Scope | None = None
    pending: deque[_Folder] = field(default_factory=deque)
    links: deque[_Folder] = field(default_factory=deque)
    visited: set[tuple[int, int] | bytes] = field(default_factory=set)
    roots: dict[str, tuple[int, int] | bytes | None] = field(default_factory=dict)
    rows: list[tuple[str, str, int, int, int, int]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    wider: set[str] = field(default_factory=set)
    reached: dict[bytes, _Folder | None] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)
    sidecars: dict[str, list[str]] = field(default_factory=dict)
    devices: dict[str, Device] = field(default_factory=dict)

    def add_root(self, root: str, ignore: Sequence[str]) -> None:
        path = to_bytes(root)
        try:
            empty = not _names(path)
        except (FileNotFoundError, NotADirectoryError):
            empty = True
        except OSError:
            empty = False  # it exists; the walk reports why it is unreadable
        if empty:
            self.missing.append(root)
            return
        rules = (
            IgnoreRules.parse(path, ignore, None, "The list of ignored files") if ignore else None
        )
        try:
            self.roots[root] = _identity(path)
        except OSError:
            self.roots[root] = None
        self.pending.append(_Folder(path, root, rules))

    def narrow(self, scope: Scope) -> None:
        """Walk the parts of the roots inside the scope instead of the roots."""
        starts = list(self.pending)
        self.pending.clear()
        parts = scope.by_folder()
        for start in starts:
            if scope.holds(start.root):
                self.pending.append(start)
                continue
            for folder, names in sorted(parts.items()):
                if is_under(folder, start.root):
                    reached = self._reach(to_bytes(folder), start)
                    if reached is not None:
                        only = frozenset(to_bytes(name) for name in names)
                        self.pending.append(reached._replace(only=only))

    def run(self) -> None:
        while self.pending or self.links:
            folder = self.pending.popleft() if self.pending else self.links.popleft()
            try:
                self._folder(folder)
            except OSError as error:
                self._unreadable(folder.path, error)
            if self.progress:
                self.progress(len(self.rows))
        self._look_for_roots()

    def _look_for_roots(self) -> None:
        """Mark roots that vanished during the walk as missing: files not found may still exist."""
        for root, identity in self.roots.items():
            try:
                same = _identity(to_bytes(root)) == identity and not _empty(to_bytes(root))
            except OSError:
                same = False
            if not same and root not in self.unseen:
                self.missing.append(root)

    def _folder(self, folder: _Folder) -> None:
        identity = _identity(folder.path)
        if identity in self.visited:
            return
        self.visited.add(identity)
        device = identity[0] if isinstance(identity, tuple) else None
        if device is not None and device != folder.above:
            self.devices[to_text(folder.path)] = device_of(folder.path)
        found = _names(folder.path)
        names = {entry.name for entry in found}
        if NO_MEDIA in names:
            self.left_out[to_text(NO_MEDIA)] += 1
            return
        rules = self._rules(folder) if IGNORE_FILE in names else folder.rules
        beside = {
            key(entry.name): entry
            for entry in found
            if is_sidecar(entry.name) and not (rules and rules.ignores(entry.path, False))
        }
        if folder.only is not None:
            self._widen(found, folder.only)
            found = [entry for entry in found if entry.name in folder.only]
        inner: list[_Folder] = []
        for entry in found:
            if not self.include_hidden and entry.name.startswith(b"."):
                self.left_out["hidden"] += entry.name != IGNORE_FILE
                continue
            if self._is_folder(entry):
                if reason := skips_folder(entry.path, folder.root, rules):
                    self.left_out[reason] += 1
                    continue
                below = _Folder(entry.path, folder.root, rules, device)
                if not entry.is_symlink():
                    inner.append(below)
                elif self.scope is None or self.scope.holds(folder.root):
                    self.links.append(below)
                else:
                    self.wider.add(folder.root)
            elif (ending := extension(entry.name)) not in EXTENSIONS:
                self.left_out[ending and f".{ending}"] += 1
            elif rules and rules.ignores(entry.path, is_folder=False):
                self.left_out["ignored"] += 1
            else:
                self._file(entry, folder.root, beside)
        self.pending.extendleft(reversed(inner))

    def _widen(self, found: Sequence[os.DirEntry[bytes] | Entry], only: frozenset[bytes]) -> None:
        """Look at the photos of touched sidecars as well, also of those that are gone."""
        touched = {key(name) for name in only if is_sidecar(name)}
        if not touched:
            return
        for entry in found:
            if extension(entry.name) in EXTENSIONS and entry.name not in only:
                names = itertools.chain(*sidecar_names(key(entry.name)))
                if not touched.isdisjoint(names):
                    self.wider.add(to_text(entry.path))

    def _reach(self, path: bytes, root: _Folder) -> _Folder | None:
        """The folder as a walk from its root reaches it; None where it does not."""
        if path == root.path:
            return root
        if path not in self.reached:
            above = self._reach(os.path.dirname(path), root)
            try:
                self.reached[path] = above and self._step(above, path)
            except (FileNotFoundError, NotADirectoryError):
                self.reached[path] = None
            except OSError as error:
                self._unreadable(path, error)
                self.reached[path] = None
        return self.reached[path]

    def _step(self, above: _Folder, path: bytes) -> _Folder | None:
        name = os.path.basename(path)
        hidden = not self.include_hidden and name.startswith(b".")
        if hidden or not stat.S_ISDIR(os.stat(path).st_mode):
            return None
        if os.path.lexists(os.path.join(above.path, NO_MEDIA)):
            return None
        has_rules = os.path.lexists(os.path.join(above.path, IGNORE_FILE))
        rules = self._rules(above) if has_rules else above.rules
        if skips_folder(path, above.root, rules):
            return None
        return _Folder(path, above.root, rules)

    def _unreadable(self, path: bytes, error: OSError) -> None:
        text = to_text(path)
        self.unseen.append(text)
        self.problems.append(Problem(text, f"folder not readable: {error.strerror}"))

    def _rules(self, folder: _Folder) -> IgnoreRules:
        path = os.path.join(folder.path, IGNORE_FILE)
        text = to_text(_content(path))
        return IgnoreRules.parse(folder.path, text.splitlines(), folder.rules, to_text(path))

    def _is_folder(self, entry: os.DirEntry[bytes] | Entry) -> bool:
        try:
            return entry.is_dir()
        except OSError:  # a link to itself: not a folder, `_file` lists it as is
            return False

    def _file(self, entry: os.DirEntry[bytes] | Entry, root: str, beside: Entries) -> None:
        try:
            facts = entry.stat()
        except OSError:
            # A dangling link: listed with its own facts, so that it becomes a row with a reason.
            try:
                facts = entry.stat(follow_symlinks=False)
            except OSError as error:
                # It existed a moment ago: nothing is certain about the whole folder.
                self.problems.append(Problem(to_text(entry.path), str(error.strerror)))
                folder = to_text(os.path.dirname(entry.path))
                if folder not in self.unseen:
                    self.unseen.append(folder)
                return
        if stat.S_ISREG(facts.st_mode) or stat.S_ISLNK(facts.st_mode):
            path = to_text(entry.path)
            stamp = 0
            if beside:
                sidecars, stamp = sidecars_of(entry.name, beside)
                if sidecars:
                    self.sidecars[path] = sidecars
            self.rows.append(
                (path, root, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, stamp)
            )

    def result(self) -> ScanResult:
        names = [name for name in FILE_SCHEMA if name != "sidecars"]
        files = pl.DataFrame(self.rows, {n: FILE_SCHEMA[n] for n in names}, orient="row")
        beside = {"path": list(self.sidecars), "sidecars": list(self.sidecars.values())}
        files = files.join(
            pl.DataFrame(beside, {n: FILE_SCHEMA[n] for n in beside}),
            on="path",
            how="left",
            maintain_order="left",
        ).with_columns(pl.col("sidecars").fill_null([]))
        used = {path for paths in self.sidecars.values() for path in paths}
        if self.scope is not None:
            files = files.filter(~pl.col("path").is_in(list(self.scope.without)))
        return ScanResult(
            files=files,
            missing_roots=tuple(self.missing),
            unseen=tuple(self.unseen),
            problems=tuple(self.problems),
            scope=self.scope,
            left_out=dict(
                self.left_out - Counter(path[path.rindex(".") :].lower() for path in used)
            ),
            devices=self.devices,
        )


def _names(folder: bytes) -> Sequence[os.DirEntry[bytes] | Entry]:
    """The entries of a folder, sorted by name."""
    text = to_text(folder)
    if is_url(text):
        return entries(text)
    with os.scandir(folder) as found:
        return sorted(found, key=lambda entry: entry.name)


def _empty(folder: bytes) -> bool:
    text = to_text(folder)
    if is_url(text):
        return not entries(text)
    with os.scandir(folder) as found:
        return next(found, None) is None


def _identity(folder: bytes) -> tuple[int, int] | bytes:
    """A key that recognises a folder met again."""
    if is_url(to_text(folder)):
        return folder
    facts = os.stat(folder)
    return facts.st_dev, facts.st_ino


def _content(path: bytes) -> bytes:
    text = to_text(path)
    if is_url(text):
        return read(text)
    with open(path, "rb") as file:
        return file.read()
