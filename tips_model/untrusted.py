"""Reading the plain data of files that others wrote: nothing in them is run, and whatever is wrong
with them is one ValueError."""

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
"""An archive may hold so many times its own size: numbers are packed to a half, not to nothing."""


def parse_json(text: str | bytes) -> Any:
    """The value that a JSON text stands for. Raises ValueError, also for what is nested so deep
    that Python gives up."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def read_as(kind: type[T], value: object) -> T:
    """What was read of JSON as a dataclass or another type that pydantic knows. Raises ValueError
    that names the first field that does not fit."""
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
    """All arrays of an npz file. Raises OSError, or ValueError for what is no such file, for
    pickled objects, and for an archive that would not fit on any disk once unpacked."""
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
            if unpacked > MOST_EXPANDED * path.stat().st_size:
                raise ValueError(f"it holds {unpacked:,} bytes")
            with np.load(file, allow_pickle=False) as arrays:
                # np.array: a member that is no array comes as bytes.
                return {key: np.array(arrays[key]) for key in arrays.files}
    except (OSError, ValueError):
        raise
    except _BROKEN as error:
        raise ValueError(str(error) or type(error).__name__) from error


# What the zip reader, its decompressors and the reader of the arrays' headers raise for hostile
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
