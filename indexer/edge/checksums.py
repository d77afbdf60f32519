"""Checksums of a sealed shard: its files never change again, so any difference is damage.

The manifest holds the checksum of the list, and the list holds those of the files.
"""

from __future__ import annotations

import json
import os
from hashlib import blake2b
from pathlib import Path

from indexer.edge.files import lasting_files
from tips_model.untrusted import parse_json

LIST = "checksums.json"
_CHUNK = 1 << 20  # bytes


def write_checksums(shard: Path) -> str:
    """List the files of a complete shard; returns the checksum of the list."""
    sums = {str(path.relative_to(shard)): _checksum(path) for path in _files(shard)}
    text = json.dumps(sums, indent=0, sort_keys=True).encode()
    (shard / LIST).write_bytes(text)
    return _digest(text)


def damaged_files(shard: Path, checksum: str) -> list[str]:
    """The files of a shard that are missing or differ from the list; none where `checksum` is ""
    (sealed by a version that wrote no list).
    """
    if not checksum:
        return []
    try:
        text = (shard / LIST).read_bytes()
        sums = parse_json(text)
    except (OSError, ValueError):
        return [LIST]
    if _digest(text) != checksum or not isinstance(sums, dict):
        return [LIST]
    # Only look at files inside the shard, whatever names an untrusted list contains.
    here = {str(path.relative_to(shard)): path for path in _files(shard)}
    return [name for name, sum in sums.items() if name not in here or _look(here[name]) != sum]


def _look(path: Path) -> str | None:
    try:
        return _checksum(path)
    except (OSError, ValueError):
        return None


def _files(shard: Path) -> list[Path]:
    return sorted(path for path in lasting_files(shard) if path.name != LIST)


def _digest(text: bytes) -> str:
    return blake2b(text, digest_size=16).hexdigest()


def _checksum(path: Path) -> str:
    """Covers the size and the nonzero parts: the engine preallocates files that are mostly holes.
    For JSON it covers the content: the engine rewrites that, in any order, whenever it opens a
    shard.
    """
    if path.suffix == ".json":
        return _digest(json.dumps(parse_json(path.read_bytes()), sort_keys=True).encode())
    digest = blake2b(digest_size=16)
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        digest.update(b"%d" % size)
        place = 0
        while place < size:
            try:
                place = os.lseek(file.fileno(), place, os.SEEK_DATA) // _CHUNK * _CHUNK
            except OSError:  # ENXIO: only a hole is left
                break
            file.seek(place)
            chunk = file.read(_CHUNK)
            if chunk.strip(b"\0"):
                digest.update(b"%d:" % place)
                digest.update(chunk)
            place += _CHUNK
    return digest.hexdigest()
