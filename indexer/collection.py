"""A collection: a folder with the settings, catalog and vectors of some photos, for one model.

collection.json   id, model, region settings, roots, engine
catalog/          the source of truth, LanceDB (see `catalog`); beside it `snapshot` and `devices`
vectors/          the embedded Qdrant shards (see `edge`), built from the catalog
lock              held by the one process that writes
logs/             how runs began and ended (see `run_log`)
models/           catalogs and vectors of other models (see `model_switch`); collection.json names
                  the ones in use, so replacing that file switches from one to another
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from indexer.cleanup import sweep_temporaries
from indexer.engines import open_vectors
from indexer.errors import (
    CollectionError,
    ModelMismatchError,
    explain_full_disk,
    is_disk_full,
)
from indexer.folders.paths import to_text
from indexer.folders.roots import existing
from indexer.folders.scan import minimal_roots
from indexer.folders.snapshot import drop_snapshot
from indexer.settings import ModelRecord, check_settings, parse_settings
from indexer.vectors import VectorStore
from indexer.write_lock import LOCK, NO_PATIENCE, Patience, held
from tips_model.atomic import write_alone

if TYPE_CHECKING:
    from indexer.catalog.table import Catalog
    from tips_model.features import ModelInfo

SCHEMA_VERSION = 1
SWITCHED_VERSION = 2
"""Schema of a collection whose catalog is not directly in its folder: programs that only know
version 1 must not open the catalog they find there."""
SETTINGS = "collection.json"
EMBEDDED: Mapping[str, str] = {"kind": "embedded"}
MAX_REGIONS = 16
"""Regions per photo in a new collection; `MAX_REGIONS_TILED` with tiles. More of them cost accuracy
as well as bytes (docs/regions.md): parts of objects start to score like objects.
"""
MAX_REGIONS_TILED = 32
FEWEST_REGIONS = 8
PATCHES_PER_REGION = 9
"""A coarse grid gets fewer regions: one per this many patches, at least `FEWEST_REGIONS`."""


class Collection:
    """An opened collection. Opening reads one small file; catalog and vectors open on demand."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        """Use `create` or `open`."""
        self.folder = folder
        self.model = ModelRecord(
            **{**settings["model"], "heads": tuple(settings["model"]["heads"])}
        )
        self.max_regions = int(settings["regions"]["max_regions"])
        self.tiles = int(settings["regions"].get("tiles", 1))
        self.roots: tuple[str, ...] = tuple(settings["roots"])
        self.exclude: tuple[str, ...] = tuple(settings.get("exclude", ()))
        """Names of folders that are not indexed."""
        self.engine: dict[str, Any] = dict(settings["engine"])
        self.id: str | None = settings.get("id")
        self.data: str = settings.get("data", "")
        self.previous: dict[str, Any] | None = settings.get("previous")
        self.catalog_url: str | None = settings.get("catalog")
        self.read_only = False
        self.patience = NO_PATIENCE
        """How long `lock` waits for another writer; by default it does not wait."""

    @classmethod
    def create(
        cls,
        folder: str | Path,
        info: ModelInfo,
        *,
        weights: str | None = None,
        engine: Mapping[str, Any] = EMBEDDED,
        max_regions: int | None = None,
        tiles: int = 1,
        collection_id: str | None = None,
        patience: Patience = NO_PATIENCE,
        catalog_url: str | None = None,
    ) -> Collection:
        """Create a collection for photos embedded with this model.

        weights: the argument given to `open_embedder`, so that search can open the same model
        again. max_regions: per photo; None derives it from the number of patches. tiles: windows
        per side in which photos are embedded in addition to the whole (see `tiles`). collection_id:
        from `new_id`, when the engine already uses it in names. patience: how long to wait for
        another process that is creating it. catalog_url: an empty location on object storage for
        the catalog; None uses the folder itself.
        Raises `CollectionError` when the folder already holds a collection, or anything else.
        """
        folder = _path(folder)
        if (folder / SETTINGS).exists():
            raise CollectionError(f"{folder} already contains a collection.")
        with explain_full_disk(folder):
            try:
                # Thumbnails and photo locations are private to the owner by default.
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                # A process killed while creating the collection may have left these.
                own = (LOCK, f"{SETTINGS}.tmp")
                surplus = sorted(e.name for e in folder.iterdir() if e.name not in own)
            except OSError as error:
                if is_disk_full(error):
                    raise
                raise CollectionError(
                    f"{folder} cannot hold a collection ({error.strerror}); choose a writable "
                    "folder."
                ) from error
            if surplus:
                raise CollectionError(
                    f"{folder} is not empty (it contains {to_text(os.fsencode(surplus[0]))}); "
                    "choose a new folder for the collection."
                )
            known = {f.name for f in fields(ModelRecord)} - {"weights"}
            record = {name: getattr(info, name) for name in known}
            collection = cls(
                folder,
                {
                    "model": {**record, "weights": weights},
                    "regions": {
                        "max_regions": max_regions or regions_for(info, tiles),
                        "tiles": tiles,
                    },
                    "roots": (),
                    "engine": engine,
                    "id": collection_id or new_id(),
                    "catalog": catalog_url,
                },
            )
            with held(folder, patience):
                if (folder / SETTINGS).exists():  # another process has just created it
                    raise CollectionError(f"{folder} already contains a collection.")
                if catalog_url is not None:
                    from indexer.catalog.table import check_vacant

                    check_vacant(catalog_url)
                collection._save()
        return collection

    @classmethod
    def open(cls, folder: str | Path) -> Collection:
        """Open a collection; raises `CollectionError` when there is none or it is unreadable."""
        folder = _path(folder)
        try:
            settings = parse_settings((folder / SETTINGS).read_bytes())
            version = settings["schema"]
            if version in (SCHEMA_VERSION, SWITCHED_VERSION):
                check_settings(settings)
                return cls(folder, settings)
        except (FileNotFoundError, NotADirectoryError):
            raise CollectionError(
                f"There is no collection in {folder}; create one with `tips index PHOTOS -c "
                f"{folder}`."
            ) from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CollectionError(
                f"{folder / SETTINGS} cannot be read ({error}); restore it, or index the photos "
                "into a new collection."
            ) from error
        raise CollectionError(
            f"{folder} has format {version}, this version reads {SWITCHED_VERSION} and older; use "
            "the version of tips-search that made it, or index the photos into a new collection."
        )

    @classmethod
    def exists(cls, folder: str | Path) -> bool:
        """Whether the folder holds a collection."""
        return (_path(folder) / SETTINGS).exists()

    @property
    def data_folder(self) -> Path:
        """Where the catalog, the vectors and data derived from them live: the folder itself, or one
        of `models/`."""
        return self.folder / self.data

    @property
    def catalog_folder(self) -> Path:
        """Where the catalog and its companion files live; object storage only holds its table."""
        return self.data_folder / "catalog"

    def catalog(self) -> Catalog:
        """Open the catalog."""
        from indexer.catalog.table import Catalog  # LanceDB takes two seconds to import

        return Catalog(self.catalog_folder, self.model.heads, self.model.dim, url=self.catalog_url)

    @property
    def vectors_folder(self) -> Path:
        """Where the embedded engine's vectors live."""
        return self.data_folder / "vectors"

    def vectors(
        self, read_only: bool = True, engine: Mapping[str, Any] | None = None
    ) -> VectorStore:
        """Open the vectors, in `engine` if given instead of the collection's own; raises
        `VectorError` for an unusable engine.
        """
        return open_vectors(
            self.engine if engine is None else engine,
            self.vectors_folder,
            heads=self.model.heads,
            dim=self.model.dim,
            model_id=self.model.model_id,
            read_only=read_only,
        )

    def check_model(self, info: ModelInfo) -> None:
        """Raise `ModelMismatchError`, naming both, unless this is the collection's model."""
        if info.model_id != self.model.model_id:
            raise ModelMismatchError(
                f"The collection {self.folder} was made with {self.model.name} "
                f"({self.model.model_id}), not with {info.name} ({info.model_id}); use that model, "
                "or index the photos into a new collection."
            )

    def add_roots(self, roots: Sequence[str]) -> None:
        """Add roots (absolute texts); skips those inside another."""
        merged = minimal_roots({*self.roots, *roots})
        if merged != self.roots:
            self.roots = merged
            self._save()

    def ensure_id(self) -> str:
        """The collection's unique id, created and saved if it has none yet."""
        if self.id is None:
            self.id = new_id()
            self._save()
        return self.id

    def use_engine(self, engine: Mapping[str, Any]) -> None:
        """Use this engine for the vectors from now on; they must already be published there (`move`
        does both)."""
        if dict(engine) != self.engine:
            drop_snapshot(self.catalog_folder)
            self.engine = dict(engine)
            self._save()

    def become_own(self, engine: Mapping[str, Any]) -> None:
        """Take a new id and this engine, as a copy must not write to its original's engine. The
        copy keeps its data in its own folder and has none of another model."""
        self.id, self.engine = new_id(), dict(engine)
        self.data, self.previous = "", None
        self._save()

    def part(self) -> dict[str, Any]:
        """The settings that differ between models, as stored in collection.json."""
        return {
            "model": asdict(self.model),
            "regions": {"max_regions": self.max_regions, "tiles": self.tiles},
            "engine": self.engine,
            "data": self.data,
            **({"catalog": self.catalog_url} if self.catalog_url else {}),
        }

    def use_part(self, part: Mapping[str, Any], previous: Mapping[str, Any] | None) -> Collection:
        """Switch to another model's catalog and vectors in one atomic step, keeping `previous` for
        switching back; returns the resulting collection. Requires the lock."""
        settings = {
            **part,
            "id": self.id,
            "roots": self.roots,
            "exclude": self.exclude,
            "previous": previous and dict(previous),
        }
        changed = Collection(self.folder, settings)
        changed._save()
        return changed

    def set_exclude(self, names: Sequence[str]) -> None:
        """Replace the list of names of folders that are not indexed."""
        if tuple(names) != self.exclude:
            self.exclude = tuple(names)
            self._save()

    def forget_roots(self, roots: Sequence[str]) -> None:
        """Remove these folders from the list; the catalog keeps their photos."""
        self.set_roots([root for root in self.roots if root not in roots])

    def set_roots(self, roots: Sequence[str]) -> None:
        """Replace the list of folders (absolute texts)."""
        if tuple(roots) != self.roots:
            self.roots = tuple(roots)
            self._save()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the write lock; raises `CollectionBusyError` naming the holder, and
        `CollectionError` when the folder is not writable or the collection has been switched to
        another model since it was opened. The lock is released when the process ends."""
        if self.read_only:
            raise CollectionError(
                f"{self.model.name} is not the model in use in {self.folder}; `tips switch "
                "--back` returns to it first."
            )
        with held(self.folder, self.patience):
            self._take_up()
            if self.data:
                sweep_temporaries(self.data_folder)
            yield

    def _take_up(self) -> None:
        """Reload what other processes wrote into collection.json, before this one writes it."""
        now = Collection.open(self.folder)
        if (now.data, now.model) != (self.data, self.model):
            raise CollectionError(
                f"The collection {self.folder} was switched to {now.model.name} meanwhile; rerun "
                "the command."
            )
        self.roots, self.engine, self.previous = now.roots, now.engine, now.previous
        self.id, self.exclude = now.id, now.exclude

    def _save(self) -> None:
        part = self.part()
        settings = {
            "schema": SWITCHED_VERSION if self.data or self.previous else SCHEMA_VERSION,
            "id": self.id,
            "model": part["model"],
            "regions": part["regions"],
            "roots": list(self.roots),
            **({"exclude": list(self.exclude)} if self.exclude else {}),
            "engine": self.engine,
            **({"catalog": self.catalog_url} if self.catalog_url else {}),
            **({"data": self.data} if self.data else {}),
            **({"previous": self.previous} if self.previous else {}),
        }
        with explain_full_disk(self.folder):
            write_alone(
                self.folder / SETTINGS, json.dumps(settings, indent=2, ensure_ascii=False) + "\n"
            )


def new_id() -> str:
    """A unique id of 32 hex characters: folders with the same name on two machines must not share a
    server's collections.
    """
    return uuid4().hex


def regions_for(info: ModelInfo, tiles: int = 1) -> int:
    """The maximum number of regions per photo in a new collection with this model."""
    if tiles > 1:
        return MAX_REGIONS_TILED
    patches = (info.image_size // info.patch) ** 2
    return max(FEWEST_REGIONS, min(MAX_REGIONS, patches // PATCHES_PER_REGION))


def _path(folder: str | Path) -> Path:
    return existing(Path(folder).expanduser().absolute())
