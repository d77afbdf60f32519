"""Temporary files that killed processes left: files that were to take another's place."""

from __future__ import annotations

import time
from pathlib import Path

ABANDONED = 3600.0  # seconds: nobody writes so long at one of them
_NAMES = (".*.part", "*.tmp")


def sweep_temporaries(folder: Path) -> None:
    """Delete those in `folder` that nobody can be writing any more. Who searches writes there too,
    without the lock, so only old ones go.
    """
    now = time.time()
    for pattern in _NAMES:
        for path in folder.glob(pattern):
            try:
                if now - path.stat().st_mtime > ABANDONED:
                    path.unlink()
            except FileNotFoundError:  # it took its place just now
                continue
