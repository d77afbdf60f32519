"""The file system type of a folder, and whether it is a network mount."""

from __future__ import annotations

import os
from pathlib import Path

NETWORK = frozenset(
    [
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "virtiofs"),
        *("drvfs", "fuse.sshfs", "fuse.rclone", "fuse.s3fs", "fuse.gcsfuse", "fuse.glusterfs"),
    ]
)
"""File systems that others can change without this machine being notified."""
_TABLE = Path("/proc/self/mountinfo")


def kind_of(folder: bytes) -> str | None:
    """The file system type ("ext4", "nfs4", ...); None where the system does not tell."""
    try:
        lines = _TABLE.read_bytes().splitlines()
    except OSError:
        return None
    real = os.path.realpath(folder)
    best, kind = b"", None
    for line in lines:  # of two mounts on one path, the later one hides the other
        left, _, right = line.partition(b" - ")
        place = left.split(b" ")[4].decode("unicode_escape", "replace").encode("latin-1", "replace")
        inside = real == place or real.startswith(place.rstrip(b"/") + b"/")
        if inside and len(place) >= len(best):
            best, kind = place, right.split(b" ")[0].decode("ascii", "replace")
    return kind


def on_network(folder: bytes) -> str | None:
    """The file system type if it is one of `NETWORK`, else None."""
    kind = kind_of(folder)
    return kind if kind in NETWORK else None
