"""The collections of a server store: `<prefix>-<kind>-<n>` behind the alias `<prefix>-<kind>`.

The metadata of the collection of images say which model and which revision of the catalog it
shows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from qdrant_client import QdrantClient, models

from indexer.server_client import call
from indexer.vectors import (
    FIELDS,
    KINDS,
    REGION_FIELDS,
    FieldType,
    Kind,
    VectorError,
    vector_names,
)

_SCHEMA: dict[FieldType, models.PayloadSchemaType] = {
    "keyword": models.PayloadSchemaType.KEYWORD,
    "integer": models.PayloadSchemaType.INTEGER,
    "float": models.PayloadSchemaType.FLOAT,
    "geo": models.PayloadSchemaType.GEO,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerState:
    """What the metadata say: the model, its vectors, and the published revision of the catalog."""

    model_id: str
    heads: tuple[str, ...]
    dim: int
    revision: int = 0

    def check_same_model(self, other: ServerState) -> None:
        """Raise `VectorError` unless both hold vectors of one model."""
        if (self.model_id, self.heads, self.dim) != (other.model_id, other.heads, other.dim):
            raise VectorError(
                f"the Qdrant server holds vectors of {self.model_id} and was asked for "
                f"{other.model_id}; `tips rebuild` makes them new from the catalog"
            )

    def to_metadata(self) -> dict[str, Any]:
        """As collection metadata."""
        return {**asdict(self), "heads": list(self.heads)}

    @classmethod
    def from_metadata(cls, data: Mapping[str, Any]) -> ServerState:
        """From collection metadata."""
        return cls(**{**data, "heads": tuple(data["heads"])})


class Collections:
    """The collections of one prefix on one server."""

    def __init__(self, client: QdrantClient, prefix: str) -> None:
        self.client, self.prefix = client, prefix

    def alias(self, kind: Kind) -> str:
        """The name that readers use."""
        return f"{self.prefix}-{kind}"

    def current(self) -> dict[Kind, str]:
        """Kind -> the collection behind its alias; empty when nothing was published."""
        aliases = call(self.client.get_aliases).aliases
        behind = {alias.alias_name: alias.collection_name for alias in aliases}
        return {k: behind[self.alias(k)] for k in KINDS if self.alias(k) in behind}

    def create(self, state: ServerState) -> dict[Kind, str]:
        """New empty collections of the next number, with no alias yet."""
        number = 1 + max((n for _, n in self._all()), default=0)
        created: dict[Kind, str] = {}
        for kind in KINDS:
            name = created[kind] = f"{self.alias(kind)}-{number}"
            self._create_one(name, kind, state)
        return created

    def promote(self, collections: Mapping[Kind, str]) -> None:
        """Move both aliases in one step and drop every other collection of the prefix."""
        old = self.current()
        operations: list[models.AliasOperations] = []
        for kind, name in collections.items():
            alias = self.alias(kind)
            if kind in old:
                drop = models.DeleteAlias(alias_name=alias)
                operations.append(models.DeleteAliasOperation(delete_alias=drop))
            create = models.CreateAlias(collection_name=name, alias_name=alias)
            operations.append(models.CreateAliasOperation(create_alias=create))
        call(lambda: self.client.update_collection_aliases(operations))
        self.drop([name for name, _ in self._all() if name not in collections.values()])

    def drop(self, names: list[str]) -> None:
        """Delete these collections."""
        for name in names:
            call(partial(self.client.delete_collection, name))

    def read_state(self) -> ServerState | None:
        """What the published collection of images says; None when there is none."""
        name = self.current().get("images")
        if name is None:
            return None
        metadata = call(lambda: self.client.get_collection(name)).config.metadata
        if not metadata:
            raise VectorError(
                f"collection {name} on the Qdrant server was not made by this program; "
                "use another prefix"
            )
        return ServerState.from_metadata(metadata)

    def write_state(self, name: str, state: ServerState) -> None:
        """Put the state into the metadata of the collection of images `name`."""
        call(lambda: self.client.update_collection(name, metadata=state.to_metadata()))

    def _all(self) -> list[tuple[str, int]]:
        """(name, number) of every collection of the prefix."""
        pattern = re.compile(rf"{re.escape(self.prefix)}-(?:{'|'.join(KINDS)})-(\d+)")
        names = [c.name for c in call(self.client.get_collections).collections]
        return [(m.string, int(m[1])) for name in names if (m := pattern.fullmatch(name))]

    def _create_one(self, name: str, kind: Kind, state: ServerState) -> None:
        vector = models.VectorParams(
            size=state.dim,
            distance=models.Distance.COSINE,
            datatype=models.Datatype.FLOAT16,
            on_disk=True,
        )
        codes = models.ScalarQuantization(
            scalar=models.ScalarQuantizationConfig(
                type=models.ScalarType.INT8, quantile=0.99, always_ram=True
            )
        )
        call(
            lambda: self.client.create_collection(
                name,
                vectors_config=dict.fromkeys(vector_names(kind, state.heads), vector),
                quantization_config=codes,
                metadata=state.to_metadata(),
            )
        )
        # Before the points: the graph then gets links along the indexed fields.
        fields = FIELDS if kind == "images" else {**FIELDS, **REGION_FIELDS}
        for field, type_ in fields.items():
            schema = _SCHEMA[type_]
            call(
                partial(
                    self.client.create_payload_index, name, field, field_schema=schema, wait=True
                )
            )
