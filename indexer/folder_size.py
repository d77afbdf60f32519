"""The disk space that a folder takes."""

from __future__ import annotations

import os
from pathlib import Path

BLOCK = 512  # bytes; unit of `st_blocks` on every file system


def disk_bytes(folder: Path) -> int:
    """Disk usage of a folder's contents in bytes; 0 when it does not exist."""
    total = 0
    for inner, _, names in os.walk(folder):
        for name in names:
            try:
                # Blocks, as vector files are sparse: their nominal sizes are twenty times larger.
                total += os.lstat(os.path.join(inner, name)).st_blocks * BLOCK
            except FileNotFoundError:
                continue  # a writer has just replaced it
    return total
