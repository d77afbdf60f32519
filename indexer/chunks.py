"""Split an iterable into lists of a fixed size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Consecutive items in lists of `size`; the last may be shorter."""
    rest = iter(items)
    while chunk := [*islice(rest, size)]:
        yield chunk
