"""Word lists used by search."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def word_list(name: str) -> tuple[str, ...]:
    """The texts of a list in this folder (such as "unrelated" or "contrast"), in order."""
    lines = (
        files("search.word_lists").joinpath(f"{name}.txt").read_text(encoding="utf-8").splitlines()
    )
    return tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))
