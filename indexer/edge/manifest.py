"""The manifest of the embedded vector store: which shards make up the published state.

A shard folder is never written again once the manifest names it. Publishing is the atomic
replacement of this one file, so a reader sees the state before or after, and a crash leaves the
state before.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

from indexer.edge.files import walk_shard
from indexer.vectors import KINDS, Kind, VectorError
from tips_model.foreign import parse_json

MANIFEST = "manifest.json"
FORMAT = 2  # 2: wide vectors in Turbo8
ENGINE = "qdrant-edge-py 0.9.0"  # beta: its storage format is tied to the version


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardEntry:
    """One shard: its folder's name, the points and images in it, the images dead since, and the
    checksum of its list of files (see `checksums.py`)."""

    name: str
    kind: Kind
    points: int
    images: int
    dead: frozenset[str] = frozenset()
    checksum: str = ""

    def bury(self, image_ids: frozenset[str]) -> ShardEntry:
        """The entry with these images dead as well."""
        return replace(self, dead=self.dead | image_ids) if image_ids - self.dead else self

    @property
    def live_points(self) -> int:
        """About how many points live: exact while nothing is dead."""
        return round(self.points * (1 - self.dead_share))

    @property
    def dead_share(self) -> float:
        """The share of its images that are dead, 0..1."""
        return len(self.dead) / self.images


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A published state: the catalog's revision, the model, and the shards (oldest first)."""

    revision: int = 0
    model_id: str
    heads: tuple[str, ...]
    dim: int
    shards: tuple[ShardEntry, ...] = field(default=())

    def check_same_model(self, other: Manifest) -> None:
        """Raise `VectorError` unless both hold vectors of one model."""
        if (self.model_id, self.heads, self.dim) != (other.model_id, other.heads, other.dim):
            raise VectorError(
                f"the vector store holds vectors of {self.model_id} and was asked for "
                f"{other.model_id}; `tips rebuild` makes it new from the catalog"
            )

    def to_json(self) -> str:
        """The file's text."""
        shards = [
            {
                "name": shard.name,
                "kind": shard.kind,
                "points": shard.points,
                "images": shard.images,
                "dead": sorted(shard.dead),
                "checksum": shard.checksum,
            }
            for shard in self.shards
        ]
        head = {"format": FORMAT, "engine": ENGINE, "revision": self.revision}
        model = {"model_id": self.model_id, "heads": list(self.heads), "dim": self.dim}
        state = {**head, **model, "shards": shards}
        return json.dumps({**state, "checksum": _checksum(state)})

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """The state in the file's text; raises `VectorError` if this version cannot read it."""
        try:
            data: Mapping[str, Any] = parse_json(text)
            written_by = (data["format"], data["engine"])
            if written_by == (FORMAT, ENGINE):
                state = {name: value for name, value in data.items() if name != "checksum"}
                if data.get("checksum", _checksum(state)) != _checksum(state):
                    raise ValueError("the checksum is another")
                return cls(
                    revision=_count(data["revision"]),
                    model_id=_text(data["model_id"]),
                    heads=tuple(map(_text, data["heads"])),
                    dim=_count(data["dim"]),
                    shards=tuple(map(_shard, data["shards"])),
                )
        except (ValueError, KeyError, TypeError) as error:
            raise VectorError(
                "the manifest of the vector store is damaged; `tips rebuild` makes it new "
                "from the catalog"
            ) from error
        raise VectorError(
            f"the vector store was written by {written_by[1]}, format {written_by[0]}, and this "
            f"version reads {ENGINE}, format {FORMAT}; `tips rebuild` makes it new from the catalog"
        )


def _shard(stored: Mapping[str, Any]) -> ShardEntry:
    """An entry as it is stored. Its name must be that of a folder beside the manifest: folders are
    opened, and deleted, by it."""
    name, kind = _text(stored["name"]), _text(stored["kind"])
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise ValueError(f"a shard cannot be called {name!r}")
    if kind not in KINDS:
        raise ValueError(f"{kind!r} is no kind of points")
    dead = frozenset(map(_text, stored["dead"]))
    points, images = _count(stored["points"]), _count(stored["images"])
    if not len(dead) <= images or images == 0:
        raise ValueError("more images are dead than there are")
    checksum = _text(stored.get("checksum", ""))
    return ShardEntry(
        name=name, kind=kind, points=points, images=images, dead=dead, checksum=checksum
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a text")
    value.encode()  # JSON may write half of a character
    return value


def _count(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} is not a count")
    return value


def _checksum(state: Mapping[str, Any]) -> str:
    return blake2b(json.dumps(state).encode(), digest_size=16).hexdigest()


def read_manifest(folder: Path) -> Manifest | None:
    """The published state in `folder`; None when nothing was published yet. Raises `VectorError`
    when it cannot be read."""
    try:
        text = (folder / MANIFEST).read_text()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise VectorError(
            f"the vector store {folder} cannot be read ({error.strerror}); change its permissions"
        ) from error
    return Manifest.from_json(text)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Replace the published state, durably: file, rename and folder are synced in this order."""
    temporary = folder / (MANIFEST + ".tmp")
    with temporary.open("w") as file:
        file.write(manifest.to_json())
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, folder / MANIFEST)
    sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Make a shard's folder, everything lasting in it, and its name durable."""
    for inner, names in walk_shard(folder):
        for name in names:
            with (inner / name).open("rb") as file:
                os.fsync(file.fileno())
        sync_folder(inner)
    sync_folder(folder.parent)
