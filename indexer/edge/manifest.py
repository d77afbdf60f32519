"""The manifest of the embedded vector store: the shards that make up the published state.

A shard folder is immutable once the manifest names it. Publishing atomically replaces this one
file, so a reader sees the state before or after, and a crash leaves the state before.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from indexer.edge.files import walk_shard
from indexer.vectors import Kind, VectorError
from tips_model.atomic import sync_folder, write_alone
from tips_model.untrusted import Number, Text, parse_json, read_as

MANIFEST = "manifest.json"
FORMAT = 2  # 2: wide vectors in Turbo8
ENGINE = "qdrant-edge-py 0.9.0"  # beta: its storage format is tied to the version


def _folder_name(name: str) -> str:
    """A plain folder name next to the manifest: it is used to open and delete folders."""
    if name in (".", "..") or "/" in name or "\0" in name:
        raise ValueError(f"a shard cannot be called {name!r}")
    return name


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardEntry:
    """One shard: its folder's name, its numbers of points and images, the images dead since, and
    the checksum of its file list (see `checksums.py`)."""

    name: Annotated[Text, AfterValidator(_folder_name)]
    kind: Kind
    points: Number
    images: Annotated[int, Field(strict=True, gt=0)]
    dead: frozenset[Text] = frozenset()
    checksum: Annotated[str, Field(strict=True)] = ""

    def __post_init__(self) -> None:
        if len(self.dead) > self.images:
            raise ValueError("more images are dead than there are")

    def bury(self, image_ids: frozenset[str]) -> ShardEntry:
        """The entry with these images also marked dead."""
        return replace(self, dead=self.dead | image_ids) if image_ids - self.dead else self

    @property
    def live_points(self) -> int:
        """Estimated number of live points: exact while no image is dead."""
        return round(self.points * (1 - self.dead_share))

    @property
    def dead_share(self) -> float:
        """The fraction of its images that are dead, 0..1."""
        return len(self.dead) / self.images


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A published state: the catalog's revision, the model, and the shards (oldest first)."""

    revision: Number
    model_id: Text
    heads: tuple[Text, ...]
    dim: Number
    shards: tuple[ShardEntry, ...]

    def check_same_model(self, other: Manifest) -> None:
        """Raise `VectorError` unless both hold vectors of the same model."""
        if (self.model_id, self.heads, self.dim) != (other.model_id, other.heads, other.dim):
            raise VectorError(
                f"the vector store has vectors of {self.model_id} and not of {other.model_id}; "
                "`tips rebuild` rebuilds it from the catalog"
            )

    def to_json(self) -> str:
        """Serialise to the file's text."""
        shards = [
            {f.name: getattr(shard, f.name) for f in fields(shard)} | {"dead": sorted(shard.dead)}
            for shard in self.shards
        ]
        head = {"format": FORMAT, "engine": ENGINE, "revision": self.revision}
        model = {"model_id": self.model_id, "heads": list(self.heads), "dim": self.dim}
        state = {**head, **model, "shards": shards}
        return json.dumps({**state, "checksum": _checksum(state)})

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """Parse the file's text; raises `VectorError` if this version cannot read it."""
        try:
            data: Mapping[str, Any] = parse_json(text)
            written_by = (data["format"], data["engine"])
            if written_by == (FORMAT, ENGINE):
                state = {name: value for name, value in data.items() if name != "checksum"}
                if data.get("checksum", _checksum(state)) != _checksum(state):
                    raise ValueError("the checksum is another")
                return read_as(cls, data)
        except (ValueError, KeyError, TypeError) as error:
            raise VectorError(
                "the manifest of the vector store is damaged; `tips rebuild` rebuilds it from "
                "the catalog"
            ) from error
        raise VectorError(
            f"the vector store was written by {written_by[1]}, format {written_by[0]}, and this "
            f"version reads {ENGINE}, format {FORMAT}; `tips rebuild` rebuilds it from the "
            "catalog"
        )


def _checksum(state: Mapping[str, Any]) -> str:
    return blake2b(json.dumps(state).encode(), digest_size=16).hexdigest()


def read_manifest(folder: Path) -> Manifest | None:
    """The published state in `folder`; None before the first publish. Raises `VectorError` when it
    is unreadable."""
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
    """Replace the published state, durably: syncs file, rename and folder in this order."""
    write_alone(folder / MANIFEST, manifest.to_json())


def sync_tree(folder: Path) -> None:
    """Sync a shard's folder, all its permanent files, and its name to disk."""
    for inner, names in walk_shard(folder):
        for name in names:
            with (inner / name).open("rb") as file:
                os.fsync(file.fileno())
        sync_folder(inner)
    sync_folder(folder.parent)
