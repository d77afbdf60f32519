"""Safe parsing of untrusted JSON and npz files: no code runs, and every problem is a ValueError."""

import json
import lzma
import zipfile
import zlib
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError

T = TypeVar("T")
Text = Annotated[str, Field(strict=True, min_length=1)]
Number = Annotated[int, Field(strict=True, ge=0)]
MOST_EXPANDED = 100
"""Largest expansion of an archive: numbers compress to about half, not to nothing."""


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text. Raises ValueError, also for nesting beyond Python's recursion
    limit."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def read_as(kind: type[T], value: object) -> T:
    """Parsed JSON as a dataclass or another type that pydantic knows. Raises ValueError that names
    the first field that does not fit."""
    try:
        checked: T = _adapter(kind).validate_python(value)  # type: ignore[arg-type]  # it is hashable
    except ValidationError as error:
        first = error.errors()[0]
        found = None if first["type"] == "missing" else first["input"]
        name = ".".join(map(str, first["loc"])) or "its content"
        raise ValueError(f"{name} cannot be {str(found)[:60]!r}") from error
    return checked


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an npz file. Raises OSError, or ValueError for an invalid file, for pickled
    objects, and for an archive that would expand too much."""
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
            if unpacked > MOST_EXPANDED * path.stat().st_size:
                raise ValueError(f"it holds {unpacked:,} bytes")
            with np.load(file, allow_pickle=False) as arrays:
                # np.array: a member that is not an array is returned as bytes.
                return {key: np.array(arrays[key]) for key in arrays.files}
    except (OSError, ValueError):
        raise
    except _BROKEN as error:
        raise ValueError(str(error) or type(error).__name__) from error


# Errors that the zip reader, its decompressors and the array header parser raise for hostile
# bytes: an encrypted member is a RuntimeError, an unknown method a NotImplementedError.
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    KeyError,
    TypeError,
    SyntaxError,
    MemoryError,
    OverflowError,
    RuntimeError,
)
