"""What killed processes left: files that were to take another's place, and work in progress that
its maker holds as long as it lives."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from tips_model.locks import claim

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


def sweep(folder: Path, pattern: str) -> None:
    """Delete the files and folders of this pattern that nobody holds (`claim`)."""
    for path in folder.glob(pattern):
        try:
            held = claim(path)
        except OSError:  # gone meanwhile, or not ours
            continue
        if held is not None:
            try:
                delete(path)
            finally:
                os.close(held)


def delete(path: Path) -> None:
    """Delete a file, or a folder and all that is in it; nothing when it is not there."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
