"""The layout of a server store's collections: shards, replicas, and quantization.

The layout is part of the engine settings in `collection.json`; addresses of nodes, keys and
certificates are not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from indexer.vectors import VectorError

Quantization = Literal["int8", "turbo8", "turbo4", "binary", "none"]
QUANTIZATIONS: tuple[Quantization, ...] = get_args(Quantization)
TURBO: tuple[Quantization, ...] = ("turbo8", "turbo4")

# Candidates per hit found by codes, which are then rescored with the vectors.
_OVERSAMPLING: Mapping[Quantization, float] = {
    "int8": 2.0,
    "turbo8": 2.0,
    "turbo4": 3.0,
    "binary": 4.0,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLayout:
    """The layout of both collections of a store.

    shards: per collection (None: one per node of the cluster). replicas: nodes with a copy of each
    shard. write_consistency: copies that must confirm a write; at most `replicas`. quantization: of
    the codes that are searched.
    Raises `VectorError` for inconsistent numbers.
    """

    shards: int | None = None
    replicas: int = 1
    write_consistency: int = 1
    quantization: Quantization = "int8"

    def __post_init__(self) -> None:
        for name, value in (
            ("shards", self.shards),
            ("replicas", self.replicas),
            ("write consistency", self.write_consistency),
        ):
            if value is not None and (type(value) is not int or value < 1):
                raise VectorError(f"{name} must be 1 or more, not {value!r}")
        if self.write_consistency > self.replicas:
            raise VectorError(
                f"a write cannot wait for {self.write_consistency} copies where there are "
                f"{self.replicas}; use as many replicas, or lower the write consistency"
            )
        if self.quantization not in QUANTIZATIONS:
            raise VectorError(
                f"unknown quantization {self.quantization!r}; use one of {', '.join(QUANTIZATIONS)}"
            )

    @property
    def oversampling(self) -> float | None:
        """Candidates per hit to rescore; None without codes."""
        return _OVERSAMPLING.get(self.quantization)

    def to_settings(self) -> dict[str, Any]:
        """The non-default values, for the engine settings and for metadata."""
        return {name: value for name, value in asdict(self).items() if value != _DEFAULTS[name]}

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> ServerLayout:
        """The layout in engine settings; unrelated keys are ignored.

        Raises `VectorError` when the settings are not from `to_settings`.
        """
        return cls(**{name: settings[name] for name in _DEFAULTS if name in settings})

    def words(self) -> str:
        """A text for users: "3 shards, 2 replicas, int8"."""
        shards = "one shard a node" if self.shards is None else _counted(self.shards, "shard")
        codes = "no quantization" if self.quantization == "none" else self.quantization
        return f"{shards}, {_counted(self.replicas, 'replica')}, {codes}"


_DEFAULTS: Mapping[str, Any] = {field.name: field.default for field in fields(ServerLayout)}


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
