"""Relocate a collection after its photo library moved: rewrite paths without embedding again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from indexer.catalog.rows import FileRef, Link, file_refs
from indexer.collection import Collection
from indexer.errors import DecodeError, RootError
from indexer.folders.changes import below
from indexer.folders.paths import is_under, to_bytes
from indexer.folders.roots import as_known, as_root, identity
from indexer.folders.scan import minimal_roots
from indexer.folders.snapshot import write_snapshot
from indexer.folders.storage import is_url
from indexer.photos.content import read_content
from indexer.publish import publish
from indexer.run_log import recorded

if TYPE_CHECKING:
    from indexer.catalog.table import Catalog

BATCH = 500  # rows per commit; they are rewritten as a whole
SAMPLE = 32  # photos whose content is compared


@dataclass(frozen=True, slots=True, kw_only=True)
class Relocation:
    """The effect of a move, in files.

    files: known below the old folder. there: those found in the new one. absent: the others, the
    first few by name. compared: how many of the found ones were read. other: those of them with
    different content. rewritten: paths changed so far.
    """

    old: str
    new: str
    files: int
    there: int
    absent: tuple[str, ...] = ()
    compared: int = 0
    other: tuple[str, ...] = ()
    rewritten: int = 0

    @property
    def doubtful(self) -> bool:
        """Whether a user should check first: files are missing or different."""
        return self.there < self.files or bool(self.other)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-serialisable dict."""
        return asdict(self)


def look(collection: Collection, old: str, new: str) -> Relocation:
    """Whether the new folder holds the files of the old one (absolute texts): all by name, and a
    sample by content. Its `old` is spelled as the collection does.

    Raises `RootError` when the collection has nothing below `old`, when one of them lies in the
    other, when one is on object storage, or when `new` does not exist.
    """
    for place in filter(is_url, (old, new)):
        raise RootError(
            f"{place} is on object storage, and only local folders can be relocated; run `tips "
            "index` on the new place, which finds moved photos by their content."
        )
    files = collection.catalog().files()
    if os.path.lexists(to_bytes(old)):
        old = as_root(old, collection.roots)
    else:
        known = pl.concat([pl.Series(collection.roots, dtype=pl.String), files["path"]])
        old = as_known(old, known)
    moving = files.filter(below(files["path"], [old]))
    if old == new or is_under(new, old) or is_under(old, new):
        raise RootError(f"{old} and {new} must be different folders, neither inside the other.")
    roots = [root for root in collection.roots if is_under(root, old)]
    if moving.is_empty() and not roots:
        raise RootError(
            f"The collection has no photos in {old}; its folders are "
            f"{', '.join(collection.roots) or 'none'}."
        )
    if identity(new) is None:
        raise RootError(f"{new} does not exist or is empty; nothing was changed.")
    targets = [_moved(path, old, new) for path in moving["path"]]
    here = [os.path.isfile(to_bytes(path)) for path in targets]
    absent = [path for path, is_here in zip(targets, here, strict=True) if not is_here]
    # Ids are hashes, so the smallest ones are a random sample; a file changed since then has
    # another size.
    sample = (
        moving.with_columns(target=pl.Series(targets, dtype=pl.String))
        .filter(pl.Series(here, dtype=pl.Boolean) & (pl.col("status") == "ok"))
        .sort("id")
        .head(SAMPLE)
    )
    other = [
        path for path, key in sample.select("target", "id").iter_rows() if not _holds(path, key)
    ]
    return Relocation(
        old=old,
        new=new,
        files=len(moving),
        there=len(moving) - len(absent),
        absent=tuple(absent[:10]),
        compared=len(sample),
        other=tuple(other),
    )


def relocate(
    collection: Collection,
    old: str,
    new: str,
    *,
    progress: Callable[[int], None] | None = None,
) -> int:
    """Rewrite paths and folders, and publish; returns the number of files rewritten.

    Batches are atomic, and the collection knows both folders until all are done: a killed run is
    resumed by the next, and meanwhile no photo counts as deleted. A file with its old size and time
    in the new place is assumed unchanged; others are read by the next run.
    """
    with collection.lock(), recorded(collection.folder, "relocate") as record:
        added = tuple(
            _moved(root, old, new) if is_under(root, old) else new
            for root in collection.roots
            if is_under(root, old) or is_under(old, root)
        )
        both = minimal_roots({*collection.roots, *added})
        collection.set_roots(both)
        catalog = collection.catalog()
        done = 0
        for links in _links(catalog, old, new, both):
            catalog.commit(None, links)
            catalog.tidy()
            done += sum(len(link.files) for link in links)
            if progress is not None:
                progress(done)
        collection.set_roots([root for root in both if not is_under(root, old)])
        store = collection.vectors(read_only=False)
        try:
            publish(catalog, store)
        finally:
            store.close()
        write_snapshot(collection.catalog_folder, catalog.files())
        record.counts = {"files": done}
        return done


def _links(catalog: Catalog, old: str, new: str, roots: Sequence[str]) -> Iterator[list[Link]]:
    files = catalog.files()
    ids = files.filter(below(files["path"], [old]))["id"].unique().sort()
    for start in range(0, len(ids), BATCH):
        rows = catalog.rows(
            ids[start : start + BATCH].to_list(), ["id", "status", "files", "stamps"]
        )
        links = []
        for row in rows.to_pylist():
            refs = file_refs(row)
            moved = {ref.path: ref for ref in refs if not is_under(ref.path, old)}
            for ref in refs:
                if is_under(ref.path, old):
                    there = _relocated(ref, old, new, roots)
                    moved.setdefault(there.path, there)
            links.append(Link(row["id"], row["status"], tuple(moved.values())))
        yield links


def _relocated(ref: FileRef, old: str, new: str, roots: Sequence[str]) -> FileRef:
    path = _moved(ref.path, old, new)
    root = next((root for root in roots if is_under(path, root)), new)
    try:
        found = os.stat(to_bytes(path))
    except OSError:
        return ref._replace(path=path, root=root)
    if (found.st_size, found.st_mtime_ns) != (ref.size, ref.mtime_ns):
        return ref._replace(path=path, root=root)
    return ref._replace(path=path, root=root, ctime_ns=found.st_ctime_ns)


def _moved(path: str, old: str, new: str) -> str:
    return new.rstrip("/") + path[len(old.rstrip("/")) :]


def _holds(path: str, key: str) -> bool:
    try:
        content = read_content(path)
    except DecodeError:
        return False
    if content is None:
        return False
    identity, stream = content
    stream.close()
    return identity.id == key
