"""Linux limits on watched folders (inotify), and whether one is reached."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from pathlib import Path

_LIMITS = Path("/proc/sys/fs/inotify")
_ONLY_FOLDERS, _ATTRIBUTES = 0x01000000, 0x00000004  # of inotify_add_watch


def limit(name: str = "max_user_watches") -> int | None:
    """A system limit: `max_user_watches` or `max_user_instances`; None without inotify."""
    try:
        return int((_LIMITS / name).read_text())
    except (OSError, ValueError):
        return None


def raise_limit() -> str:
    """The command that raises the limit, for messages."""
    return f"sudo sysctl fs.inotify.max_user_watches={max(524_288, 2 * (limit() or 0))}"


def problem() -> str | None:
    """Why watching is impossible here, in words; None when it works or this is not Linux."""
    if sys.platform != "linux":
        return None
    instance = _instance()
    if instance < 0:
        code = ctypes.get_errno()
        if code == errno.EMFILE:
            return f"{limit('max_user_instances')} programs of this user watch folders already"
        return f"this system has no inotify ({os.strerror(code)})"
    os.close(instance)
    return None


def full(folder: bytes) -> bool:
    """Whether a folder cannot be watched because the system's limit is reached."""
    if sys.platform != "linux":
        return False
    instance = _instance()
    if instance < 0:
        return False
    try:
        watched = _libc().inotify_add_watch(instance, folder, _ONLY_FOLDERS | _ATTRIBUTES)
        return watched < 0 and ctypes.get_errno() == errno.ENOSPC
    finally:
        os.close(instance)


def _instance() -> int:
    return int(_libc().inotify_init1(os.O_CLOEXEC))


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
