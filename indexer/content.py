"""Read a photo file once: its identity is the hash of its bytes, and the same bytes are decoded."""

from __future__ import annotations

import os
from dataclasses import dataclass
from hashlib import blake2b
from io import BytesIO
from typing import BinaryIO

from indexer.errors import DecodeError
from indexer.paths import to_bytes

IN_MEMORY_LIMIT = (
    256 * 2**20
)  # bytes; a larger file is hashed as a stream and decoded from the disk
_CHUNK = 2**20


def content_id(stream: BinaryIO) -> str:
    """32 hex characters: BLAKE2b (16 bytes) of everything that the stream still holds."""
    digest = blake2b(digest_size=16)
    while chunk := stream.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def unreadable_id(path: str) -> str:
    """The id of a file whose content cannot be had: it stands for the path."""
    return blake2b(to_bytes(path), digest_size=16, person=b"unreadable path").hexdigest()


@dataclass(slots=True)
class Content:
    """An opened photo: its id, its facts at the moment of opening, and a seekable stream of its
    bytes."""

    id: str
    size: int
    mtime_ns: int
    ctime_ns: int
    stream: BinaryIO


def read_content(path: str) -> Content | None:
    """Read a file, never writing; None when it is gone. Raises `DecodeError` when it cannot be
    read.

    The facts are taken before the bytes: if someone writes meanwhile, the next run sees other facts
    and reads again. The caller closes the stream.
    """
    name = to_bytes(path)
    try:
        file = open(name, "rb", buffering=0)  # noqa: SIM115  (large files stay open for the caller)
    except FileNotFoundError:
        if os.path.islink(name):
            raise DecodeError("a link that leads nowhere") from None
        return None
    except OSError as error:
        raise DecodeError(f"not readable: {error.strerror}") from error
    try:
        facts = os.fstat(file.fileno())
        stream: BinaryIO = file
        if facts.st_size <= IN_MEMORY_LIMIT:
            with file:
                stream = BytesIO(file.read())
        identity = content_id(stream)
        stream.seek(0)
    except OSError as error:
        file.close()
        raise DecodeError(f"not readable: {error.strerror}") from error
    return Content(identity, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, stream)
