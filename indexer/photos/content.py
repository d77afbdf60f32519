"""Read a photo file once: hash its bytes as the identity, and decode the same bytes."""

from __future__ import annotations

import os
import time
from hashlib import blake2b
from io import BytesIO
from stat import S_ISREG
from typing import BinaryIO, NamedTuple

from indexer.errors import DecodeError
from indexer.folders import storage
from indexer.folders.paths import to_bytes
from indexer.photos.limits import MAX_BYTES

IN_MEMORY_LIMIT = (
    256 * 2**20
)  # bytes; a larger file is hashed as a stream and decoded from the disk
_CHUNK = 2**20
_TICK = 20_000_000  # ns; the file system clock advances in steps of 1 to 10 ms


def content_id(stream: BinaryIO) -> str:
    """BLAKE2b (16 bytes) of the rest of the stream, as 32 hex characters."""
    digest = blake2b(digest_size=16)
    while chunk := stream.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def unreadable_id(path: str) -> str:
    """The id of a file whose content is unreadable, derived from its path."""
    return blake2b(to_bytes(path), digest_size=16, person=b"unreadable path").hexdigest()


class Identity(NamedTuple):
    """The identity of a file when it was read: the id of its content, and its facts when opened."""

    id: str
    size: int
    mtime_ns: int
    ctime_ns: int


def read_content(path: str, max_bytes: int = MAX_BYTES) -> tuple[Identity, BinaryIO] | None:
    """Read a file, never writing: its identity and a seekable stream of its bytes; None when it is
    gone. Raises `DecodeError` when it is unreadable or larger than `max_bytes`.

    The facts are taken before the bytes: after a concurrent write, the next run sees other facts
    and reads again. The caller closes the stream.
    """
    name = to_bytes(path)
    try:
        # Opening a named pipe would block until someone writes to it.
        opened = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        if os.path.islink(name):
            raise DecodeError("a broken link") from None
        return None
    except OSError as error:
        raise DecodeError(f"not readable: {error.strerror}") from error
    file = open(opened, "rb", buffering=0)  # noqa: SIM115  (large files stay open for the caller)
    try:
        facts = _settled_facts(file)
        if not S_ISREG(facts.st_mode):
            raise DecodeError("not a file")
        if facts.st_size > max_bytes:
            raise DecodeError(too_large(facts.st_size, max_bytes))
        stream: BinaryIO = file
        if facts.st_size <= IN_MEMORY_LIMIT:
            with file:
                stream = BytesIO(file.read())
        identity = content_id(stream)
        stream.seek(0)
    except OSError as error:
        file.close()
        raise DecodeError(f"not readable: {error.strerror}") from error
    except DecodeError:
        file.close()
        raise
    return Identity(identity, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns), stream


def read_remote(url: str, max_bytes: int = MAX_BYTES) -> tuple[Identity, bytes] | None:
    """Read a file from object storage; None when it is gone.

    Raises `DecodeError` when it is larger than `max_bytes`, and `StorageError` when the storage is
    unreadable, which says nothing about the photo. The facts are taken before the bytes.
    """
    try:
        facts = storage.facts(url)
        if facts.st_size > max_bytes:
            raise DecodeError(too_large(facts.st_size, max_bytes))
        data = storage.read(url)
    except FileNotFoundError:
        return None
    key = content_id(BytesIO(data))
    return Identity(key, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns), data


def too_large(size: int, limit: int) -> str:
    """The reason for a file larger than `limit` bytes."""
    return f"{size / 1e6:,.0f} MB exceed the limit of {limit / 1e6:,.0f} MB"


def _settled_facts(file: BinaryIO) -> os.stat_result:
    """The facts of an open file, once none of its times is the present moment: a later write then
    changes them, even if the size stays the same.
    """
    facts = os.fstat(file.fileno())
    young = _TICK - (time.time_ns() - facts.st_ctime_ns)
    if 0 < young <= _TICK:
        time.sleep(young / 1e9)
        facts = os.fstat(file.fileno())
    return facts
