"""Photos on object storage: folders and files behind a URL, through fsspec.

    s3://bucket/photos   gs://bucket/photos   memory://photos

Keys, endpoints and regions come from the environment variables of the service's own tools. A file's
facts are its size, its modification time in full seconds (listings and single requests differ in
the fraction), and instead of a change time a number derived from the service's content tag (an ETag
or a checksum), 0 if there is none.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, NamedTuple

from indexer.errors import StorageError
from indexer.folders.paths import to_bytes, to_text

_URL = re.compile(r"[a-z][a-z0-9+.-]*://.")
_STAMPS = ("ETag", "etag", "md5Hash", "crc32c", "content_md5", "generation", "checksum")
_TIMES = ("LastModified", "last_modified", "updated", "mtime", "modified", "created")


class Facts(NamedTuple):
    """Metadata of a file, known without reading it; `st_*` as in `os.stat_result`."""

    st_size: int
    st_mtime_ns: int
    st_ctime_ns: int
    st_mode: int = stat.S_IFREG


@dataclass(frozen=True, slots=True)
class Entry:
    """A name in a folder; the part of `os.DirEntry` that scanning needs."""

    name: bytes
    path: bytes
    facts: Facts | None  # None for a folder

    def is_dir(self) -> bool:
        """Whether it is a folder."""
        return self.facts is None

    def is_symlink(self) -> bool:
        """Always False: object storage has no links."""
        return False

    def stat(self, *, follow_symlinks: bool = True) -> Facts:
        """The file's facts."""
        assert self.facts is not None, "a folder has no facts"
        return self.facts


def is_url(path: str) -> bool:
    """Whether a root or a photo's path is on object storage."""
    return _URL.match(path) is not None


def entries(folder: str) -> list[Entry]:
    """The entries of a folder, sorted by name. Raises `FileNotFoundError` and `StorageError`."""
    with _explained(folder):
        system, path = _system(folder)
        found = system.ls(path, detail=True)
    here = []
    for info in found:
        name = info["name"].rstrip("/").rsplit("/", 1)[-1]
        if info["name"].strip("/") == path.strip("/") or not name:
            continue  # a placeholder that some tools create for an empty folder
        raw = to_bytes(name)
        facts = None if info["type"] == "directory" else _facts(info)
        here.append(Entry(raw, to_bytes(folder.rstrip("/")) + b"/" + raw, facts))
    return sorted(here, key=lambda entry: entry.name)


def facts(path: str) -> Facts:
    """A file's current facts. Raises `FileNotFoundError` and `StorageError`."""
    with _explained(path):
        system, inner = _system(path)
        # Some file systems cache listings; this needs the current state.
        system.invalidate_cache(inner)
        return _facts(system.info(inner))


def read(path: str) -> bytes:
    """All bytes of a file. Raises `FileNotFoundError` and `StorageError`."""
    with _explained(path):
        system, inner = _system(path)
        data: bytes = system.cat_file(inner)
        return data


def _system(path: str) -> tuple[Any, str]:
    import fsspec

    system = fsspec.filesystem(path.partition("://")[0])  # fsspec caches its instances
    return system, system._strip_protocol(path)


@contextmanager
def _explained(path: str) -> Iterator[None]:
    scheme = path.partition("://")[0]
    try:
        yield
    except FileNotFoundError:
        raise
    except ImportError as error:
        raise StorageError(
            f"Reading {scheme}:// needs a package that is not installed ({error})."
        ) from error
    except Exception as error:
        # Every service's library has its own errors (botocore, aiohttp ...); none of them says
        # anything about a photo.
        raise StorageError(
            f"{path} cannot be read ({error}); rerun to resume (nothing committed is lost)."
        ) from error


def _facts(info: dict[str, Any]) -> Facts:
    stamp = next((info[name] for name in _STAMPS if info.get(name)), None)
    when = next((info[name] for name in _TIMES if info.get(name)), 0)
    return Facts(int(info["size"] or 0), _seconds(when) * 10**9, _number(stamp))


def _seconds(when: datetime | str | float) -> int:
    if isinstance(when, str):
        when = datetime.fromisoformat(when)
    if isinstance(when, datetime):
        return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp())
    return int(when)


def _number(stamp: object) -> int:
    if stamp is None:
        return 0
    text = to_text(str(stamp).strip('"').encode("utf-8", "replace"))
    return int.from_bytes(blake2b(text.encode(), digest_size=7).digest())
