"""The collections of a server store: `<prefix>-<kind>-<n>` behind the alias `<prefix>-<kind>`.

The metadata of the image collection hold the model, the published catalog revision, and whether a
publish to it is unfinished.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from qdrant_client import QdrantClient, models

from indexer.fields import FIELDS, REGION_FIELDS
from indexer.server.client import WRITE_TRIES, call
from indexer.server.layout import ServerLayout
from indexer.server.models import index_schema, quantization_config
from indexer.vectors import KINDS, Kind, VectorError, vector_names

INDEX_FROM_KB = 20_000  # KB of vectors in a segment above which Qdrant builds a graph: its default
_ABANDONED = 24 * 3600.0  # seconds after which an unfinished build is dropped


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerState:
    """The state in the metadata: the model, its vectors, and the published revision of the catalog.

    layout: of the collections. unfinished: a publish has begun and not ended. begun: when the
    collections were created (seconds since 1970). These three make no difference to a reader.
    """

    model_id: str
    heads: tuple[str, ...]
    dim: int
    revision: int = 0
    layout: ServerLayout = field(default=ServerLayout(), compare=False)
    unfinished: bool = field(default=False, compare=False)
    begun: float = field(default=0.0, compare=False)

    def check_same_model(self, other: ServerState) -> None:
        """Raise `VectorError` unless both hold vectors of the same model."""
        if not self.same_model(other):
            raise VectorError(
                f"the Qdrant server holds vectors of {self.model_id} and not of {other.model_id}; "
                "`tips rebuild` rebuilds them from the catalog"
            )

    def same_model(self, other: ServerState) -> bool:
        """Whether both hold vectors of the same model."""
        return (self.model_id, self.heads, self.dim) == (other.model_id, other.heads, other.dim)

    def to_metadata(self) -> dict[str, Any]:
        """Convert to collection metadata."""
        return {
            "model_id": self.model_id,
            "heads": list(self.heads),
            "dim": self.dim,
            "revision": self.revision,
            "layout": self.layout.to_settings(),
            "unfinished": self.unfinished,
            "begun": self.begun,
        }

    @classmethod
    def from_metadata(cls, data: Mapping[str, Any]) -> ServerState:
        """Parse collection metadata; raises `KeyError` or `TypeError` when they are not ours."""
        return cls(
            model_id=data["model_id"],
            heads=tuple(data["heads"]),
            dim=data["dim"],
            revision=data["revision"],
            layout=ServerLayout.from_settings(data.get("layout", {})),
            unfinished=bool(data.get("unfinished", False)),
            begun=float(data.get("begun", 0.0)),
        )


class Collections:
    """The collections of one prefix on one server."""

    def __init__(self, client: QdrantClient, prefix: str) -> None:
        self.client, self.prefix = client, prefix

    def alias(self, kind: Kind) -> str:
        """The alias that readers use."""
        return f"{self.prefix}-{kind}"

    def current(self) -> dict[Kind, str]:
        """Kind -> the collection behind its alias; empty before the first publish."""
        aliases = call(self.client.get_aliases).aliases
        behind = {alias.alias_name: alias.collection_name for alias in aliases}
        return {k: behind[self.alias(k)] for k in KINDS if self.alias(k) in behind}

    def prepare(self, state: ServerState) -> tuple[dict[Kind, str], bool]:
        """Collections without an alias, to be filled: those that a similar publish left unfinished,
        or new ones with the next number. The second value says whether they already existed.
        """
        number = self._unfinished(state)
        found = number is not None
        if number is None:
            number = 1 + max((n for _, n in self._all()), default=0)
        names: dict[Kind, str] = {kind: f"{self.alias(kind)}-{number}" for kind in KINDS}
        for kind, name in names.items():
            self._create_one(name, kind, state)
        return names, found

    def finish(self, names: Mapping[Kind, str], dim: int) -> None:
        """Let the server build its graphs, postponed during filling, and wait until they are
        done."""
        for name in names.values():
            indexing = models.OptimizersConfigDiff(indexing_threshold=INDEX_FROM_KB)
            call(
                partial(self.client.update_collection, name, optimizers_config=indexing),
                WRITE_TRIES,
            )
        for name in names.values():
            self._wait_until_indexed(name, dim)

    def promote(self, collections: Mapping[Kind, str]) -> None:
        """Switch both aliases in one step and drop all other collections of the prefix."""
        old = self.current()
        operations: list[models.AliasOperations] = []
        for kind, name in collections.items():
            alias = self.alias(kind)
            if kind in old:
                drop = models.DeleteAlias(alias_name=alias)
                operations.append(models.DeleteAliasOperation(delete_alias=drop))
            create = models.CreateAlias(collection_name=name, alias_name=alias)
            operations.append(models.CreateAliasOperation(create_alias=create))
        call(lambda: self.client.update_collection_aliases(operations), WRITE_TRIES)
        self.drop([name for name, _ in self._all() if name not in collections.values()])

    def drop(self, names: Sequence[str]) -> None:
        """Delete these collections."""
        for name in names:
            call(partial(self.client.delete_collection, name), WRITE_TRIES)

    def drop_abandoned(self) -> None:
        """Delete the leftovers of a killed rebuild that has not been resumed for a day."""
        kept = set(self.current().values())
        loose = [(name, number) for name, number in self._all() if name not in kept]
        for number in {number for _, number in loose}:
            images = f"{self.alias('images')}-{number}"
            mine = [name for name, n in loose if n == number]
            state = self._state_of(images)
            # One without the other is left by an interrupted deletion.
            old = state is not None and time.time() - state.begun > _ABANDONED
            if old or images not in mine:
                self.drop(mine)

    def drop_all(self) -> None:
        """Delete every collection of the prefix, including the aliases."""
        self.drop([name for name, _ in self._all()])

    def read_state(self) -> ServerState | None:
        """The state of the published image collection; None when there is none."""
        name = self.current().get("images")
        if name is None:
            return None
        state = self._state_of(name)
        if state is None:
            raise VectorError(
                f"collection {name} on the Qdrant server belongs to another program; use another "
                "prefix"
            )
        return state

    def write_state(self, name: str, state: ServerState) -> None:
        """Write the state into the metadata of the image collection `name`."""
        metadata = state.to_metadata()
        call(lambda: self.client.update_collection(name, metadata=metadata), WRITE_TRIES)

    def _state_of(self, name: str) -> ServerState | None:
        """The state in a collection's metadata; None when it is missing or not ours."""
        if not call(lambda: self.client.collection_exists(name)):
            return None
        metadata = call(lambda: self.client.get_collection(name)).config.metadata
        try:
            return ServerState.from_metadata(metadata or {})
        except (KeyError, TypeError, ValueError, AttributeError, VectorError):
            return None

    def _unfinished(self, wanted: ServerState) -> int | None:
        """The number of the collections that a publish of this model and layout left unfinished."""
        kept = set(self.current().values())
        numbers = sorted({n for name, n in self._all() if name not in kept}, reverse=True)
        for number in numbers:
            images = f"{self.alias('images')}-{number}"
            state = None if images in kept else self._state_of(images)
            if (
                state is not None
                and state.unfinished
                and state.same_model(wanted)
                and state.layout == wanted.layout
            ):
                return number
        return None

    def _all(self) -> list[tuple[str, int]]:
        """(name, number) of every collection of the prefix."""
        pattern = re.compile(rf"{re.escape(self.prefix)}-(?:{'|'.join(KINDS)})-(\d+)")
        names = [c.name for c in call(self.client.get_collections).collections]
        return [(m.string, int(m[1])) for name in names if (m := pattern.fullmatch(name))]

    def _create_one(self, name: str, kind: Kind, state: ServerState) -> None:
        """Create the collection and its payload indexes where they do not exist yet."""
        vector = models.VectorParams(
            size=state.dim,
            distance=models.Distance.COSINE,
            datatype=models.Datatype.FLOAT16,
            on_disk=True,
        )
        layout = state.layout

        def create() -> None:
            # May exist after an attempt whose answer was lost.
            if not self.client.collection_exists(name):
                self.client.create_collection(
                    name,
                    vectors_config=dict.fromkeys(vector_names(kind, state.heads), vector),
                    quantization_config=quantization_config(layout.quantization),
                    # A graph that grows with the points would be rebuilt many times: see `finish`.
                    optimizers_config=models.OptimizersConfigDiff(indexing_threshold=0),
                    shard_number=layout.shards,
                    replication_factor=layout.replicas,
                    write_consistency_factor=layout.write_consistency,
                    metadata=state.to_metadata(),
                )

        call(create, WRITE_TRIES)
        # Before the points, so that the graph gets links along the indexed fields.
        fields = {field_name: field.type for field_name, field in FIELDS.items()}
        if kind == "regions":
            fields |= REGION_FIELDS
        for field_name, type_ in fields.items():
            call(
                partial(
                    self.client.create_payload_index,
                    name,
                    field_name,
                    field_schema=index_schema(type_),
                    wait=True,
                ),
                WRITE_TRIES,
            )

    def _wait_until_indexed(self, name: str, dim: int) -> None:
        """Wait until the server has built all graphs; returns at once for a small collection."""
        pause = 1.0
        while True:
            info = call(lambda: self.client.get_collection(name))
            if info.status == models.CollectionStatus.RED:
                raise VectorError(f"the Qdrant server failed on collection {name}; see its log")
            small = (info.points_count or 0) * dim * 4 <= INDEX_FROM_KB * 1024
            # It takes the server a moment to notice that there is work.
            if small or (pause > 1.0 and info.status != models.CollectionStatus.YELLOW):
                return
            time.sleep(pause)
            pause = min(2 * pause, 10.0)
