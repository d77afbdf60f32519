"""Switch a collection to another model: build it beside the current one, take over, go back.

models/NAME/            catalog and vectors of another model
models/NAME/collection.json   while it is built: it is a collection of its own then, so building
                        may be stopped, killed and resumed like indexing
models/lock             held by the one process that builds

Searches continue with the current model until `take_over` replaces the collection's own
collection.json in one step. Photos are taken from the current catalog, without walking folders.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from indexer.collection import EMBEDDED, SETTINGS, Collection
from indexer.errors import SwitchError
from indexer.folders.changes import below
from indexer.folders.paths import to_bytes
from indexer.folders.roots import absent, is_gone
from indexer.folders.scan import FILE_SCHEMA, ScanResult
from indexer.folders.sidecars import with_sidecars
from indexer.options import IndexOptions
from indexer.pipeline import index
from indexer.progress import IndexReport, ProgressCallback
from indexer.run_log import recorded
from indexer.settings import MODELS
from indexer.write_lock import held

if TYPE_CHECKING:
    from tips_model.features import Embedder, ModelInfo

_DERIVED = ("calibration.npz", "duplicates.npz")
_PARTS = ("catalog", "vectors", *_DERIVED)


def previous(collection: Collection) -> Collection | None:
    """The collection before the last switch, read-only; None when there is none."""
    if collection.previous is None:
        return None
    before = Collection(collection.folder, {**collection.previous, "roots": collection.roots})
    before.read_only = True
    return before


def following(collection: Collection) -> Collection | None:
    """The model being built, as a collection of its own; None when there is none."""
    taken = {collection.data, (collection.previous or {}).get("data", "")}
    for folder in sorted(collection.folder.glob(f"{MODELS}/*")):
        if f"{MODELS}/{folder.name}" not in taken and Collection.exists(folder):
            return Collection.open(folder)
    return None


@contextmanager
def building(collection: Collection) -> Iterator[None]:
    """Hold the lock for building or dropping models; raises `CollectionBusyError` naming the
    holder."""
    (collection.folder / MODELS).mkdir(exist_ok=True)
    with held(collection.folder / MODELS):
        yield


def begin(
    collection: Collection,
    info: ModelInfo,
    *,
    weights: str | None = None,
    max_regions: int | None = None,
    tiles: int = 1,
) -> Collection:
    """Prepare another model; arguments as for `Collection.create`. Call within `building`.

    Raises `SwitchError` for the current model, and while the previous model is still kept.
    """
    if collection.previous is not None:
        name = collection.previous["model"]["name"]
        raise SwitchError(
            f"The vectors of {name} are kept since the last switch; `tips switch --drop-old` "
            "deletes them, or `tips switch --back` returns to them."
        )
    sweep(collection)
    name = _free_name(collection.folder / MODELS, info.name)
    engine = dict(EMBEDDED)
    if collection.engine.get("kind") == "server":
        engine = {**collection.engine, "prefix": f"{collection.engine['prefix']}-{name}"}
    made = Collection.create(
        collection.folder / MODELS / name,
        info,
        weights=weights,
        engine=engine,
        max_regions=max_regions,
        tiles=tiles,
    )
    now = collection.part()
    if (info.model_id, made.max_regions, made.tiles) == (
        now["model"]["model_id"],
        now["regions"]["max_regions"],
        now["regions"]["tiles"],
    ):
        _remove(made.folder)
        raise SwitchError(f"The collection {collection.folder} is made with {info.name} already.")
    return made


def build(
    collection: Collection,
    other: Collection,
    load: Callable[[], Embedder],
    *,
    options: IndexOptions | None = None,
    progress: ProgressCallback | None = None,
) -> IndexReport:
    """Index into the new model what the current catalog knows. Call within `building`; the
    collection may be searched and written meanwhile."""
    return index(
        other,
        [to_bytes(root) for root in collection.roots],
        load,
        options=options,
        progress=progress,
        find=partial(_listed, collection),
    )


def take_over(
    collection: Collection,
    other: Collection,
    load: Callable[[], Embedder],
    *,
    without_missing: bool = False,
    progress: ProgressCallback | None = None,
) -> Collection:
    """Index the last photos and switch to the built model; returns the resulting collection.

    Raises `CollectionBusyError` while another process writes, and `SwitchError` when photos would
    be lost because their folders are currently missing, unless `without_missing`.
    """
    with collection.lock(), recorded(collection.folder, "switch"):
        build(collection, other, load, progress=progress)
        lost = missing(collection, other)
        if lost and not without_missing:
            raise SwitchError(
                f"{len(lost):,} photos cannot be read now, so {other.model.name} would lack them "
                f"(such as {lost[0]}); reconnect their disk and rerun, or continue without them "
                "(--without-missing)."
            )
        data = f"{MODELS}/{other.folder.name}"
        changed = collection.use_part(other.part() | {"data": data}, collection.part())
        # It is no longer a collection of its own; its settings are in the collection's file.
        (other.folder / SETTINGS).unlink(missing_ok=True)
        return changed


def missing(collection: Collection, other: Collection) -> list[str]:
    """Paths of the current catalog that the other lacks and that are not simply deleted: their
    folder is missing, or they still exist."""
    here, there = collection.catalog().files(), other.catalog().files()
    paths = here.join(there, on="path", how="anti")["path"].unique().sort().to_list()
    away = tuple(root.rstrip("/") + "/" for root in absent(collection.roots))
    return [path for path in paths if path.startswith(away) or not is_gone(path)]


def go_back(collection: Collection) -> Collection:
    """Switch back to the previous model, and keep the current one as the previous."""
    if collection.previous is None:
        raise SwitchError(f"There is no previous model in {collection.folder}.")
    with collection.lock():
        return collection.use_part(collection.previous, collection.part())


def drop_previous(collection: Collection) -> Collection:
    """Delete catalog and vectors of the previous model."""
    before = previous(collection)
    if before is None:
        raise SwitchError(f"There are no vectors of a previous model in {collection.folder}.")
    with collection.lock():
        _drop_server(before)  # first: afterwards their location is unknown
        changed = collection.use_part(collection.part(), None)
        sweep(changed)
        return changed


def cancel(collection: Collection) -> None:
    """Delete the model being built. Call within `building`."""
    other = following(collection)
    if other is None:
        raise SwitchError(f"No model is being built in {collection.folder}.")
    with other.lock():
        _drop_server(other)
        _remove(other.folder)


def leftovers(collection: Collection) -> list[Path]:
    """Files and folders of models that are neither used, kept nor built: left by a process killed
    while deleting."""
    used = {collection.data, (collection.previous or collection.part())["data"]}
    left = [] if "" in used else [collection.folder / name for name in _PARTS]
    for folder in sorted(collection.folder.glob(f"{MODELS}/*/")):
        if f"{MODELS}/{folder.name}" not in used and not Collection.exists(folder):
            left.append(folder)
    return [path for path in left if path.exists()]


def sweep(collection: Collection) -> list[Path]:
    """Delete the leftovers and return them."""
    left = leftovers(collection)
    for path in left:
        _remove(path)
    return left


def _drop_server(view: Collection) -> None:
    """Delete a model's data on a Qdrant server; does nothing for the embedded engine."""
    from indexer.server.store import ServerStore

    store = view.vectors(read_only=False)
    try:
        if isinstance(store, ServerStore):
            store.drop()
    finally:
        store.close()


def _listed(collection: Collection, roots: Sequence[str], **_: Any) -> ScanResult:
    """A replacement for `scan`: the photos that a catalog knows."""
    files = collection.catalog().files()
    latest = files.sort("ctime_ns").unique("path", keep="last", maintain_order=True)
    away = absent(tuple(roots))
    found = with_sidecars(latest.filter(~below(latest["path"], away)))
    return ScanResult(files=found.select(FILE_SCHEMA.names()), missing_roots=away)


def _free_name(folder: Path, model: str) -> str:
    stem = re.sub(r"[^a-z0-9]+", "-", model.lower().rpartition("/")[2]).strip("-") or "model"
    taken = {path.name for path in folder.iterdir()}
    return next(
        name for number in range(1, len(taken) + 2) if (name := f"{stem}-{number}") not in taken
    )


def _remove(path: Path) -> None:
    """Delete a file, or a folder such that it stops being a collection first."""
    if path.is_dir():
        (path / SETTINGS).unlink(missing_ok=True)
        shutil.rmtree(path)
    else:
        path.unlink()
