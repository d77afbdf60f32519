"""How much room a folder takes."""

from __future__ import annotations

import os
from pathlib import Path

BLOCK = 512  # bytes; what `st_blocks` counts in, whatever the file system


def disk_bytes(folder: Path) -> int:
    """Bytes on the disk of everything in a folder; 0 when it is not there."""
    total = 0
    for inner, _, names in os.walk(folder):
        for name in names:
            try:
                # Blocks, as files of the vectors have holes: twenty times their bytes by size.
                total += os.lstat(os.path.join(inner, name)).st_blocks * BLOCK
            except FileNotFoundError:
                continue  # a writer has just replaced it
    return total
