"""The text of `collection.json`, checked: a collection may come from a stranger, or be edited."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from indexer.folders.storage import is_url
from tips_model.foreign import parse_json

_COUNTS = ("shards", "replicas", "write_consistency")  # of `ServerLayout`
_ID = re.compile("[0-9a-f]{32}")
MODELS = "models"
_MOST = 1 << 20  # more than any width, size or number of regions that makes sense


def parse_settings(text: str | bytes) -> dict[str, Any]:
    """The settings, every field of the type it should have; `schema` alone may be anything that a
    later version writes. Raises ValueError that names what is wrong."""
    stored = parse_json(text)
    if not isinstance(stored, dict) or "schema" not in stored:
        raise ValueError("it states no schema")
    return stored


def check_settings(stored: Mapping[str, Any]) -> None:
    """Raise ValueError, naming the field, unless these are settings of this version."""
    _check_part(stored)
    _check("roots", stored.get("roots"), lambda value: value == [] or _are_texts(value))
    _check("id", stored.get("id"), lambda value: value is None or _is_id(value))
    if stored.get("previous") is not None:
        _check_part(_part(stored, "previous"))


def _check_part(stored: Mapping[str, Any]) -> None:
    """What differs from one model to another (see `collection.Collection.part`)."""
    model, regions = _part(stored, "model"), _part(stored, "regions")
    for name in ("name", "model_id", "retrieval_head"):
        _check(f"model.{name}", model.get(name), _is_text)
    _check("model.note", model.get("note", ""), lambda value: isinstance(value, str))
    _check("model.weights", model.get("weights"), lambda value: value is None or _is_text(value))
    for name in ("dim", "patch", "image_size"):
        _check(f"model.{name}", model.get(name), _is_count)
    _check("model.heads", model.get("heads"), _are_texts)
    _check("model.retrieval_head", model["retrieval_head"], model["heads"].__contains__)
    _check("regions.max_regions", regions.get("max_regions"), _is_count)
    _check("regions.tiles", regions.get("tiles", 1), _is_count)
    _check("catalog", stored.get("catalog"), lambda value: value is None or _is_storage(value))
    _check("data", stored.get("data", ""), _is_data)
    engine = _part(stored, "engine")
    _check("engine.kind", engine.get("kind"), _is_text)
    for name, value in engine.items():
        _check(f"engine.{name}", value, _is_count if name in _COUNTS else _is_text)


def _part(stored: Mapping[str, Any], name: str) -> dict[str, Any]:
    part = stored.get(name)
    if not isinstance(part, dict):
        raise ValueError(f"{name} is not a set of fields")
    return part


def _check(name: str, value: object, fits: Callable[[Any], bool]) -> None:
    if not fits(value):
        raise ValueError(f"{name} cannot be {str(value)[:60]!r}")


def _is_text(value: object) -> bool:
    if not isinstance(value, str) or not value:
        return False
    try:
        value.encode()  # JSON may write half of a character
    except UnicodeEncodeError:
        return False
    return True


def _is_data(value: object) -> bool:
    """ "" or models/NAME: what is read as the collection's own must lie in its folder."""
    return value == "" or (
        _is_text(value) and re.fullmatch(rf"{MODELS}/[a-z0-9][a-z0-9-]*", str(value)) is not None
    )


def _is_storage(value: object) -> bool:
    return _is_text(value) and is_url(str(value))


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(_is_text(each) for each in value)


def _is_id(value: object) -> bool:
    return isinstance(value, str) and bool(_ID.fullmatch(value))


def _is_count(value: object) -> bool:
    return type(value) is int and 0 < value <= _MOST
