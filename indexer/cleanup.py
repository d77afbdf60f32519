"""Clean up after killed processes: stale temporary files, and work in progress whose lock is
free."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from tips_model.locks import claim

ABANDONED = 3600.0  # seconds; no writer takes this long for one of them
_NAMES = (".*.part", "*.tmp")


def sweep_temporaries(folder: Path) -> None:
    """Delete temporary files in `folder` that no process can still be writing. Searching also
    writes there, without the lock, so only old files are deleted.
    """
    now = time.time()
    for pattern in _NAMES:
        for path in folder.glob(pattern):
            try:
                if now - path.stat().st_mtime > ABANDONED:
                    path.unlink()
            except FileNotFoundError:  # just renamed to its final name
                continue


def sweep(folder: Path, pattern: str) -> None:
    """Delete the files and folders matching this pattern that no process holds (`claim`)."""
    for path in folder.glob(pattern):
        try:
            held = claim(path)
        except OSError:  # already gone, or not ours
            continue
        if held is not None:
            try:
                delete(path)
            finally:
                os.close(held)


def delete(path: Path) -> None:
    """Delete a file, or a folder with its contents; does nothing when it does not exist."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
