"""Backups for tests: a published collection, its files, and archives that nobody should trust."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa

from indexer.collection import EMBEDDED, Collection
from indexer.maintenance.archive import HEADER, MANIFEST, Header
from indexer.publish import publish
from tests.indexer.catalog.catalog_cases import broken, photo, table
from tests.indexer.vector_cases import DIM, HEADS
from tips_model.features import ModelInfo

INFO = ModelInfo(
    name="m",
    model_id="m-1",
    dim=DIM,
    heads=HEADS,
    retrieval_head="web",
    patch=8,
    image_size=96,
    note="",
)


def make_collection(
    folder: Path, photos: int = 6, engine: Mapping[str, Any] = EMBEDDED
) -> Collection:
    """Photos and a broken one, published unless the engine is a server."""
    collection = Collection.create(folder, INFO, engine=engine)
    catalog = collection.catalog()
    catalog.commit(table([*(photo(n) for n in range(photos)), broken(900)]))
    if engine["kind"] == "embedded":
        store = collection.vectors(read_only=False)
        publish(catalog, store)
        store.close()
    return collection


def tree(folder: Path) -> dict[str, str]:
    """The files below a folder and their hashes."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def header(**changes: Any) -> dict[str, Any]:
    """What a backup of two small files says of itself."""
    facts = Header(
        program="p", made="m", name="n", model="m", revision=0, photos=0, vectors="none",
        files=2, bytes=1000, stored=1000,
    )  # fmt: skip
    return {**asdict(facts), **changes}


def forge(
    path: Path,
    members: list[tuple[str | tarfile.TarInfo, bytes]],
    *,
    first: Mapping[str, Any] | bytes | None = None,
    listed: Mapping[str, Any] | None = None,
) -> Path:
    """Write an archive of these members. `first` is its header, `listed` its manifest; True hashes
    unless they are given.
    """
    entries = {
        name if isinstance(name, str) else name.name: {
            "size": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
        }
        for name, data in members
    }
    head = (
        json.dumps(header() if first is None else first).encode()
        if not isinstance(first, bytes)
        else first
    )
    tail = json.dumps({"files": entries} if listed is None else listed).encode()
    with (
        open(path, "wb") as raw,
        pa.CompressedOutputStream(raw, "zstd") as stream,
        tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name, data in [(HEADER, head), *members, (MANIFEST, tail)]:
            info = tarfile.TarInfo(name) if isinstance(name, str) else name
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path
