"""Parse and validate `collection.json`, which may come from a stranger or be edited by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, Field, ValidationInfo

from indexer.folders.storage import is_url
from tips_model.untrusted import Text, parse_json, read_as

if TYPE_CHECKING:
    from tips_model.features import Embedder

MODELS = "models"
_MOST = 1 << 20  # more than any sensible width, size or number of regions
_Count = Annotated[int, Field(strict=True, gt=0, le=_MOST)]


def _storage(url: str) -> str:
    if not is_url(url):
        raise ValueError("it is not a URL of object storage")
    return url


def _head(name: str, info: ValidationInfo) -> str:
    if name not in info.data.get("heads", (name,)):
        raise ValueError("the model has no such head")
    return name


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelRecord:
    """The model of a collection: the arguments of `open_embedder`, and its `ModelInfo`."""

    name: Text
    weights: Text | None = None
    model_id: Text
    dim: _Count
    heads: Annotated[tuple[Text, ...], Field(min_length=1)]
    retrieval_head: Annotated[Text, AfterValidator(_head)]
    patch: _Count
    image_size: _Count
    note: Annotated[str, Field(strict=True)] = ""

    def open(self, device: str) -> Embedder:
        """Load the model on a device ("cpu", "cuda") with its saved weights: a path that must be
        the same on every machine; None uses each machine's download cache. Raises the `TipsError`s
        of `open_embedder`.
        """
        from tips_model.embedder import open_embedder  # imports torch, which few callers need

        return open_embedder(self.name, weights=self.weights, device=device)


@dataclass(frozen=True, kw_only=True)
class _Regions:
    max_regions: _Count
    tiles: _Count = 1


class _Engine(BaseModel, extra="allow"):
    """The numeric fields of `ServerLayout`; all others are strings."""

    __pydantic_extra__: dict[str, Text]
    kind: Text
    shards: _Count = 1
    replicas: _Count = 1
    write_consistency: _Count = 1


@dataclass(frozen=True, kw_only=True)
class _Part:
    """The settings that differ between models (see `collection.Collection.part`). data: "" or
    models/NAME, as a collection's data must lie in its own folder."""

    model: ModelRecord
    regions: _Regions
    engine: _Engine
    catalog: Annotated[Text, AfterValidator(_storage)] | None = None
    data: Annotated[str, Field(strict=True, pattern=rf"^({MODELS}/[a-z0-9][a-z0-9-]*)?$")] = ""


@dataclass(frozen=True, kw_only=True)
class _Settings(_Part):
    roots: tuple[Text, ...]
    exclude: tuple[Text, ...] = ()
    id: Annotated[str, Field(strict=True, pattern="^[0-9a-f]{32}$")] | None = None
    previous: _Part | None = None


def parse_settings(text: str | bytes) -> dict[str, Any]:
    """Parse the settings; `schema` may be any value that a later version writes. Raises ValueError
    naming the problem."""
    stored = parse_json(text)
    if not isinstance(stored, dict) or "schema" not in stored:
        raise ValueError("it states no schema")
    return stored


def check_settings(stored: dict[str, Any]) -> None:
    """Raise ValueError, naming the field, unless these are valid settings of this version."""
    read_as(_Settings, stored)
