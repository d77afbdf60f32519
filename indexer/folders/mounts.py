"""What kind of file system a folder lies on."""

from __future__ import annotations

import os
from pathlib import Path

NETWORK = frozenset(
    [
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "virtiofs"),
        *("drvfs", "fuse.sshfs", "fuse.rclone", "fuse.s3fs", "fuse.gcsfuse", "fuse.glusterfs"),
    ]
)
"""Kinds on which others change files without this machine being told."""
_TABLE = Path("/proc/self/mountinfo")


def kind_of(folder: bytes) -> str | None:
    """The kind of the file system ("ext4", "nfs4", ...); None where the system does not tell."""
    try:
        lines = _TABLE.read_bytes().splitlines()
    except OSError:
        return None
    real = os.path.realpath(folder)
    best, kind = b"", None
    for line in lines:  # the later of two mounts on one place hides the other
        left, _, right = line.partition(b" - ")
        place = left.split(b" ")[4].decode("unicode_escape", "replace").encode("latin-1", "replace")
        inside = real == place or real.startswith(place.rstrip(b"/") + b"/")
        if inside and len(place) >= len(best):
            best, kind = place, right.split(b" ")[0].decode("ascii", "replace")
    return kind


def on_network(folder: bytes) -> str | None:
    """The kind of the file system where it is one of `NETWORK`, else None."""
    kind = kind_of(folder)
    return kind if kind in NETWORK else None
