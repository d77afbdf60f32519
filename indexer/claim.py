"""Work in progress that its maker holds as long as it lives, so that others can tell what a killed
process left.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path


def claim(path: Path) -> int | None:
    """A descriptor that holds a file or folder until it is closed; None when another process holds
    it. Raises `OSError` when it cannot be opened.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def sweep(folder: Path, pattern: str) -> None:
    """Delete the files and folders of this pattern that nobody holds."""
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
