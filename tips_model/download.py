"""Resumable, checksummed download of one large file: either complete or absent.

Bytes go to NAME.part; an interrupted download resumes with a Range request, guarded by the server's
ETag so that two versions are never joined. A finished file is checked against the stated length
and, if the server states one (Google's does, in x-goog-hash), the md5; then it is renamed into
place.

The authors publish no checksums. Therefore the sha256 of the first download is written to
manifest.json beside the file, and later downloads of the same file must match it: this guards
against damage and silent change, not against a wrong first download.
"""

import base64
import hashlib
import http.client
import json
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any

from tips_model.atomic import replacing
from tips_model.errors import WeightsError
from tips_model.locks import turn
from tips_model.untrusted import parse_json

MANIFEST = "manifest.json"
LOCK = ".lock"
_CHUNK = 1 << 20
_TIMEOUT_SECONDS = 60

# Called with the file's name, the bytes received so far, and the total size if known.
Progress = Callable[[str, int, int | None], None]


class DownloadError(WeightsError):
    """A file could not be downloaded, or does not match its checksum or size."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file and its address."""

    name: str
    url: str


def download(file: RemoteFile, folder: Path, progress: Progress | None = None) -> Path:
    """Download a file into a folder unless a verified copy exists; returns its path.

    An existing file whose size differs from the recorded one is downloaded again. Concurrent
    downloads into one folder take turns. Raises DownloadError.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with turn(folder / LOCK):
            return _download(file, folder, progress)
    except OSError as error:
        raise DownloadError(
            f"{file.name} cannot be written to {folder} ({error.strerror or error}); free some "
            "space or choose another folder with TIPS_CACHE, then rerun."
        ) from error


def damaged(name: str, folder: Path) -> str | None:
    """What is wrong with a downloaded file compared with its recorded size and hash; None if it is
    intact, or was put there by hand. Reads the whole file."""
    record = _read_manifest(folder).get(name)
    if record is None:
        return None
    if (size := (folder / name).stat().st_size) != record["size"]:
        return f"{name} has {size} of {record['size']} bytes"
    if _hashes(folder / name)[0] != record["sha256"]:
        return f"{name} is not what was downloaded"
    return None


def _download(file: RemoteFile, folder: Path, progress: Progress | None) -> Path:
    target = folder / file.name
    record = _read_manifest(folder).get(file.name)
    if target.exists() and (record is None or record["size"] == target.stat().st_size):
        size = target.stat().st_size
        if progress:
            progress(file.name, size, size)
        return target
    part = folder / f"{file.name}.part"
    headers = _transfer(file, part, progress)
    try:
        entry = _check(file, part, headers, record)
    except DownloadError:
        part.unlink()
        raise
    _write_json(folder / MANIFEST, {**_read_manifest(folder), file.name: entry})
    os.replace(part, target)
    _etag_file(part).unlink(missing_ok=True)
    return target


def _transfer(file: RemoteFile, part: Path, progress: Progress | None) -> Message:
    """Download the rest of the file to `part`; returns the response headers."""
    have = part.stat().st_size if part.exists() else 0
    etag = _etag_file(part).read_text() if _etag_file(part).exists() else ""
    try:
        request = urllib.request.Request(file.url)
    except ValueError as error:
        raise DownloadError(
            f"{file.url} is not a valid address ({error}); check TIPS_MIRROR."
        ) from error
    if have and etag:
        request.add_header("Range", f"bytes={have}-")
        request.add_header("If-Range", etag)
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:
            headers: Message = answer.headers
            resumed = answer.status == http.HTTPStatus.PARTIAL_CONTENT
            _etag_file(part).write_text(headers.get("ETag", ""))
            done = have if resumed else 0
            total = _stated_size(headers, resumed)
            with part.open("ab" if resumed else "wb") as output:
                while chunk := _read(file, answer):
                    output.write(chunk)
                    done += len(chunk)
                    if progress:
                        progress(file.name, done, total)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and have:
                if "Content-Range" in error.headers:
                    # The file is already complete and needs checking: only the rename was missed.
                    return error.headers
                part.unlink()  # possibly damaged: the next try starts over
        raise DownloadError(
            f"Could not download {file.name} from {file.url}: the server answered {error.code}."
        ) from error
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError) as error:
        raise _interrupted(file, getattr(error, "reason", None) or error) from error
    if total is not None and done < total:
        raise _interrupted(file, f"the connection closed after {done} of {total} bytes")
    return headers


def _read(file: RemoteFile, answer: http.client.HTTPResponse) -> bytes:
    """The next bytes; errors here come from the connection, not from the disk."""
    try:
        return answer.read(_CHUNK)
    except OSError as error:
        raise _interrupted(file, error) from error


def _interrupted(file: RemoteFile, reason: object) -> DownloadError:
    return DownloadError(
        f"Could not download {file.name} from {file.url} ({reason}); check the connection, then "
        "rerun to resume."
    )


def _check(
    file: RemoteFile, part: Path, headers: Message, record: dict[str, Any] | None
) -> dict[str, Any]:
    """The manifest entry of a complete file; DownloadError if its size or a hash does not match."""
    size = part.stat().st_size
    total = _stated_size(headers, "Content-Range" in headers)
    if total is not None and size != total:
        raise DownloadError(f"{file.name} has {size} bytes, the server promised {total}.")
    sha256, md5 = _hashes(part)
    promised = _stated_md5(headers)
    if promised is not None and promised != md5:
        raise DownloadError(
            f"{file.name} does not have the md5 that the server stated for {file.url}."
        )
    if record is not None and record["sha256"] != sha256:
        raise DownloadError(
            f"{file.name} from {file.url} is not the file that was downloaded before; if the "
            f"change is intended, delete {MANIFEST} next to it and download again."
        )
    return {"url": file.url, "size": size, "sha256": sha256}


def _stated_size(headers: Message, partial: bool) -> int | None:
    """Size of the whole file: from Content-Range in a partial response, else Content-Length."""
    if partial:
        match = re.search(r"/(\d+)$", headers.get("Content-Range", ""))
        return int(match[1]) if match else None
    length = headers.get("Content-Length")
    return int(length) if length is not None else None


def _stated_md5(headers: Message) -> bytes | None:
    """The md5 from x-goog-hash, which is sent once per hash or joined with commas."""
    for header in headers.get_all("x-goog-hash", []):
        for item in header.split(","):
            name, _, value = item.strip().partition("=")
            if name == "md5":
                return base64.b64decode(value)
    return None


def _hashes(path: Path) -> tuple[str, bytes]:
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            sha256.update(chunk)
            md5.update(chunk)
    return sha256.hexdigest(), md5.digest()


def _etag_file(part: Path) -> Path:
    return part.with_name(f"{part.name}.etag")


def _read_manifest(folder: Path) -> dict[str, dict[str, Any]]:
    path = folder / MANIFEST
    if not path.exists():
        return {}
    try:
        return dict(parse_json(path.read_bytes()))
    except ValueError as error:
        raise DownloadError(f"{path} is damaged; delete it and download again.") from error


def _write_json(path: Path, content: dict[str, Any]) -> None:
    with replacing(path) as file:
        file.write((json.dumps(content, indent=2) + "\n").encode())
