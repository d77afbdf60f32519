"""An opened snapshot of the embedded store: the shards of one published manifest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from indexer.edge.files import ShardError, open_shard, read_ahead
from indexer.edge.manifest import Manifest, read_manifest
from indexer.edge.search import OpenShard
from indexer.vectors import Kind, VectorError


class EdgeState:
    """The open shards of one manifest (None: nothing is published). Thread-safe."""

    def __init__(self, manifest: Manifest | None, shards: Sequence[OpenShard]) -> None:
        self.manifest = manifest
        self._shards = tuple(shards)

    @classmethod
    def open(cls, folder: Path, previous: EdgeState | None = None) -> EdgeState:
        """The newest published state; reuses the shards that `previous` has open."""
        at_hand = {s.entry.name: s.shard for s in previous._shards} if previous else {}
        manifest = read_manifest(folder)
        while True:
            entries = manifest.shards if manifest else ()
            try:
                for entry in entries:
                    if entry.name not in at_hand:
                        at_hand[entry.name] = open_shard(folder / entry.name, entry.points)
            except ShardError as error:
                # A writer may have merged the shard away; then there is a newer manifest.
                newer = read_manifest(folder)
                if newer == manifest:
                    raise VectorError(
                        f"shard {entry.name} of the vector store is damaged or gone ({error}); "
                        "`tips rebuild` rebuilds the store from the catalog"
                    ) from error
                manifest = newer
            else:
                known = {s.entry.name for s in previous._shards} if previous else set()
                read_ahead([folder / e.name for e in entries if e.name not in known])
                return cls(manifest, [OpenShard.of(e, at_hand[e.name]) for e in entries])

    def of(self, kind: Kind) -> Iterator[OpenShard]:
        """The shards with points of this kind."""
        return (part for part in self._shards if part.entry.kind == kind)

    def close(self) -> None:
        """Close every shard."""
        for part in self._shards:
            part.shard.close()
        self._shards = ()
