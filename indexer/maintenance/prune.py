"""Prune a collection: deleted photos, failures, removed folders, and leftovers of killed processes.
Photo files are never touched.
"""

from __future__ import annotations

from collections.abc import Collection as Container
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from indexer.collection import Collection
from indexer.commit import Ledger
from indexer.edge.manifest import read_manifest
from indexer.edge.shards import PREFIX
from indexer.errors import CollectionError, RootError
from indexer.folders.changes import below, within
from indexer.folders.devices import Away, read_devices
from indexer.folders.devices import away as disks_away
from indexer.folders.paths import is_under
from indexer.folders.roots import absent, is_gone
from indexer.folders.snapshot import write_snapshot
from indexer.maintenance import model_switch
from indexer.publish import publish
from indexer.run_log import recorded
from indexer.vectors import VectorError

if TYPE_CHECKING:
    from indexer.catalog.table import Catalog

_LINK = ("path", "id")
_NO_LINKS = pl.Schema({"path": pl.String, "id": pl.String})


@dataclass(frozen=True, slots=True)
class PruneOptions:
    """What to drop besides deleted photos: failed (rows of unreadable files; the next run reads
    them again), roots (absolute texts of folders to forget), missing_roots (all folders that
    currently do not exist, and files on a disk that is not mounted)."""

    failed: bool = False
    roots: tuple[str, ...] = ()
    missing_roots: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PrunePlan:
    """What would be dropped.

    photos: number in the collection, including failed ones. gone, failed, forgotten: the files of
    each group, (path, id). leaving: ids of photos without remaining files. roots: the folders to
    forget. away: missing folders, of which nothing is dropped. orphans: files and folders that
    nothing refers to. versions: catalog versions on disk.
    """

    photos: int
    gone: pl.DataFrame
    failed: pl.DataFrame
    forgotten: pl.DataFrame
    leaving: frozenset[str] = field(repr=False)
    roots: tuple[str, ...] = ()
    away: tuple[str, ...] = ()
    orphans: tuple[Path, ...] = ()
    versions: int = 0

    @property
    def share(self) -> float:
        """The fraction of the photos that leave, 0..1."""
        return len(self.leaving) / self.photos if self.photos else 0.0

    def links(self) -> pl.DataFrame:
        """All dropped files: (path, id)."""
        return pl.concat([self.gone, self.failed, self.forgotten]).unique()

    def to_dict(self) -> dict[str, Any]:
        """A JSON-serialisable dict: the numbers of files and photos, and the names of folders."""
        return {
            "photos": self.photos,
            "leaving": len(self.leaving),
            "gone": len(self.gone),
            "failed": len(self.failed),
            "forgotten": len(self.forgotten),
            "roots": list(self.roots),
            "away": list(self.away),
            "orphans": [str(path) for path in self.orphans],
            "versions": self.versions,
        }


def plan(collection: Collection, options: PruneOptions) -> PrunePlan:
    """What `prune` would drop now. Raises `RootError` for a folder that is not in the
    collection."""
    catalog = collection.catalog()
    roots = _forgotten(collection.roots, options.roots)
    away = absent(collection.roots)
    if options.missing_roots:
        roots = tuple(sorted({*roots, *away}))
    files = catalog.files().select(_LINK)
    under = below(files["path"], roots)
    here = files.filter(~under & ~below(files["path"], away))
    is_lost = pl.Series([is_gone(path) for path in here["path"]], dtype=pl.Boolean)
    gone = here.filter(is_lost)
    lost = Away()
    if not options.missing_roots:
        remembered = read_devices(collection.catalog_folder)
        lost = disks_away(gone["path"], here.filter(~is_lost)["path"], remembered)
        gone = gone.filter(~within(gone["path"], lost.folders))
    failed = catalog.failures().select(_LINK) if options.failed else pl.DataFrame(schema=_NO_LINKS)
    dropped = pl.concat([gone, failed, files.filter(under)]).unique()
    left = files.join(dropped, on=_LINK, how="anti")["id"].unique()
    counts = catalog.counts()
    return PrunePlan(
        photos=counts["ok"] + counts["failed"],
        gone=gone,
        failed=failed,
        forgotten=files.filter(under),
        leaving=frozenset(dropped["id"]) - frozenset(left),
        roots=roots,
        away=(*(root for root in away if root not in roots), *lost.places),
        orphans=tuple(orphans(collection)),
        versions=catalog.versions(),
    )


def prune(
    collection: Collection, options: PruneOptions, agreed: Container[str] | None = None
) -> PrunePlan:
    """Drop it, and return what was dropped. May be killed at any moment and rerun.

    agreed: ids that may leave; None means all. Raises `CollectionError` when others would leave as
    well, and the errors of `Collection.lock`.
    """
    with collection.lock(), recorded(collection.folder, "prune") as record:
        found = plan(collection, options)
        if agreed is not None and not all(key in agreed for key in found.leaving):
            raise CollectionError(
                "More photos would go than a moment ago; nothing was removed: check again with "
                "`tips prune --dry-run`."
            )
        catalog, store = collection.catalog(), collection.vectors(read_only=False)
        try:
            _drop(catalog, found.links())
            publish(catalog, store)
            with store.writer():  # sweeps up leftovers of killed writers
                pass
        finally:
            store.close()
        collection.forget_roots(found.roots)
        model_switch.sweep(collection)
        for path in found.orphans:
            if path.is_file():
                path.unlink()
        catalog.optimize()
        write_snapshot(collection.catalog_folder, catalog.files())
        record.counts = {"leaving": len(found.leaving), "files": len(found.links())}
        return found


def _drop(catalog: Catalog, links: pl.DataFrame) -> None:
    ledger = Ledger(catalog, pl.DataFrame(schema=_NO_LINKS), False)
    ledger.drop(links.select(_LINK).iter_rows())


def _forgotten(known: Sequence[str], asked: Sequence[str]) -> tuple[str, ...]:
    """The known roots that the user means; raises `RootError`."""
    found: set[str] = set()
    for folder in asked:
        meant = [root for root in known if is_under(root, folder)]
        if not meant:
            around = next((root for root in known if is_under(folder, root)), None)
            if around is not None:
                raise RootError(
                    f"{folder} is a part of {around}, so the next run would index it again; "
                    f"exclude it with a .tipsignore file in {around}, or forget {around}."
                )
            raise RootError(
                f"{folder} is not a folder of this collection; its folders are "
                f"{', '.join(known) or 'none'}."
            )
        found |= set(meant)
    return tuple(sorted(found))


def orphans(collection: Collection) -> list[Path]:
    """Leftovers of killed processes: half-written files, shards that no manifest names, data of
    dropped models."""
    folders = (collection.folder, collection.catalog_folder, collection.data_folder / "vectors")
    found = [path for folder in folders for path in sorted(folder.glob("*.tmp"))]
    if collection.engine["kind"] == "embedded":
        try:
            manifest = read_manifest(folders[2])
        except VectorError:  # `tips rebuild` recreates them, and sweeps
            return found + model_switch.leftovers(collection)
        named = {shard.name for shard in manifest.shards} if manifest else set()
        shards = sorted(folders[2].glob(f"*{PREFIX}*/"))  # including those of an unfinished sweep
        found += [path for path in shards if path.name not in named]
    return found + model_switch.leftovers(collection)
