"""Loads the components' scripts and styles from this folder."""

from __future__ import annotations

from pathlib import Path


def text(name: str) -> str:
    """The text of the file `name` in this folder."""
    return (Path(__file__).parent / name).read_text("utf-8")
