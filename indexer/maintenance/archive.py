"""The file format of a backup: a zstd-compressed tar that ends with a list of sizes and hashes.

    backup.json       first: a summary of the contents (`Header`)
    collection.json, catalog/..., vectors/...
    manifest.json     last: size and SHA-256 of every file before it

Reading trusts nothing: it refuses names outside of the folder, links and devices, duplicate names
and sizes beyond the header's; a file without its manifest is incomplete.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, ClassVar

import pyarrow as pa
from pydantic import ConfigDict, StrictInt, StrictStr

from indexer.collection import SETTINGS
from indexer.errors import BackupError
from tips_model.untrusted import Number, parse_json, read_as

FORMAT = 1
HEADER, MANIFEST = "backup.json", "manifest.json"
PARTS = (("catalog",), ("vectors",))  # the folders of files
_CHUNK = 1 << 18  # bytes
_MOST_TEXT = 1 << 28  # bytes of the manifest: some two million files
_MOST_HEADERS = 1 << 20  # bytes of tar between two files
ProgressBytes = Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The summary of a backup's contents.

    made: ISO time. name: of the collection's folder. revision: of the catalog. photos: their
    number. vectors: "embedded" when they are in the backup, "none" when they are rebuilt from the
    catalog. files, bytes: their number and total size. stored: their disk usage in bytes, which is
    less for sparse files.
    """

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")
    format: Number = FORMAT
    program: StrictStr
    made: StrictStr
    name: StrictStr
    model: StrictStr
    revision: Number
    photos: Number
    vectors: StrictStr
    files: Number
    bytes: Number
    stored: Number


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a backup: size in bytes and SHA-256 in hex."""

    size: StrictInt
    sha256: StrictStr


def write_archive(
    file: BinaryIO,
    header: Header,
    files: Iterator[tuple[str, Path]],
    progress: ProgressBytes,
) -> dict[str, Entry]:
    """Write a backup of these files (name, path) and return its entries.

    `progress` is called with the bytes read. Raises `OSError`, and `BackupError` for a file that is
    gone or has shrunk.
    """
    entries: dict[str, Entry] = {}
    with (
        pa.CompressedOutputStream(file, "zstd") as stream,
        tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        _add_text(tar, HEADER, asdict(header))
        for name, path in files:
            entries[name] = _add_file(tar, name, path, progress)
        listed = {name: asdict(entry) for name, entry in entries.items()}
        _add_text(tar, MANIFEST, {"files": listed})
    return entries


def _add_text(tar: tarfile.TarFile, name: str, value: dict[str, Any]) -> None:
    raw = json.dumps(value, ensure_ascii=False).encode()
    tar.addfile(_info(name, len(raw)), io.BytesIO(raw))


def _add_file(tar: tarfile.TarFile, name: str, path: Path, progress: ProgressBytes) -> Entry:
    try:
        with open(path, "rb") as source:
            hashed = _Hashed(source, progress)
            size = source.seek(0, io.SEEK_END)
            source.seek(0)
            tar.addfile(_info(name, size), hashed)  # type: ignore[arg-type]
    except FileNotFoundError as error:
        raise BackupError(
            f"{name} was deleted while it was copied; try again when no index run is active."
        ) from error
    return Entry(size, hashed.hexdigest())


def _info(name: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    return info


class _Hashed:
    """A file whose bytes are hashed and counted as they are read."""

    def __init__(self, source: BinaryIO, progress: ProgressBytes) -> None:
        self._source, self._progress = source, progress
        self._hash = hashlib.sha256()

    def read(self, size: int) -> bytes:
        data = self._source.read(size)
        self._hash.update(data)
        self._progress(len(data))
        return data

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


def read_header(path: Path) -> Header:
    """Read a backup's header; raises `BackupError` unless it has this version's format."""
    with _opened(path) as reader:
        return reader.header()


def read_archive(
    path: Path, keep: Callable[[str, Iterator[bytes]], None]
) -> tuple[Header, dict[str, Entry]]:
    """Read a backup from beginning to end, and check every file against its list.

    keep: called with each file's name and its bytes, in chunks, before they are checked; chunks it
    does not read are skipped. Raises `BackupError` naming the damaged file.
    """
    with _opened(path) as reader:
        header = reader.header()
        found, folders, left = dict[str, Entry](), set[str](), header.bytes
        for name, size, pieces in reader.files():
            if name == MANIFEST:
                _compare(path, found, reader.text(name, size, pieces, _MOST_TEXT))
                return header, found
            left -= size
            if left < 0 or len(found) == header.files:
                raise BackupError(f"{path} contains more than its list says, from {name} on.")
            _check_name(path, name, found, folders)
            found[name] = reader.checked(name, size, pieces, keep)
    raise BackupError(f"{path} is incomplete: its list of files is missing.")


def _compare(path: Path, found: dict[str, Entry], manifest: dict[str, Any]) -> None:
    try:
        listed = read_as(dict[str, Entry], manifest.get("files"))
    except ValueError as error:
        raise BackupError(f"{path} is damaged: its list of files cannot be read.") from error
    for name in sorted(listed.keys() | found.keys()):
        if listed.get(name) != found.get(name):
            raise BackupError(f"{path} is damaged: {name} changed since it was written.")


def _check_name(path: Path, name: str, found: dict[str, Entry], folders: set[str]) -> None:
    """Refuse a name that no file of a backup may have. Adds its parents to `folders`."""
    parts = PurePosixPath(name).parts
    plain = "/".join(parts) == name and name.isprintable() and "\\" not in name
    ours = parts[:1] == (SETTINGS,) if len(parts) == 1 else parts[:1] in PARTS
    if not plain or ".." in parts or not ours:
        raise BackupError(
            f"{path} is refused: it contains {name!r}, which is not part of a collection."
        )
    above = {str(folder) for folder in PurePosixPath(name).parents}
    folders |= above
    if name in found or name in folders or above & found.keys():
        raise BackupError(f"{path} is refused: it contains {name!r} twice.")


class _Reader:
    """The files of an open archive, in order; each must be read before the next."""

    def __init__(self, path: Path, tar: tarfile.TarFile, metered: _Metered) -> None:
        self._path, self._tar, self._metered = path, tar, metered
        self._name = ""

    def header(self) -> Header:
        try:
            name, size, pieces = next(self.files())
            data = self.text(name, size, pieces, _MOST_HEADERS) if name == HEADER else {}
            written = data.get("format")
            if written == FORMAT:
                return read_as(Header, data)
        except (StopIteration, ValueError, BackupError) as error:
            raise BackupError(f"{self._path} is not a backup of a collection.") from error
        if written is None:
            raise BackupError(f"{self._path} is not a backup of a collection.")
        raise BackupError(
            f"{self._path} has format {written}, this version reads {FORMAT}; use the version of "
            f"tips-search that wrote it ({data.get('program', 'unknown')})."
        )

    def files(self) -> Iterator[tuple[str, int, Iterator[bytes]]]:
        while True:
            self._metered.allowance = _MOST_HEADERS
            with self._explained():
                member = self._tar.next()
            self._tar.members.clear()  # type: ignore[attr-defined]  # tarfile keeps them all
            if member is None:
                return
            if not member.isreg():
                raise BackupError(
                    f"{self._path} is refused: {member.name!r} is a link or a device, not a file."
                )
            self._name = member.name
            source = self._tar.extractfile(member)
            assert source is not None
            self._metered.allowance = None
            yield member.name, member.size, self._pieces(source)

    def text(self, name: str, size: int, pieces: Iterator[bytes], most: int) -> dict[str, Any]:
        if size > most:
            raise BackupError(f"{self._path} is refused: {name} has {size:,} bytes.")
        try:
            value = parse_json(b"".join(pieces))
        except ValueError as error:
            raise BackupError(f"{self._path} is damaged: {name} cannot be read.") from error
        if not isinstance(value, dict):
            raise BackupError(f"{self._path} is damaged: {name} cannot be read.")
        return value

    def checked(
        self, name: str, size: int, pieces: Iterator[bytes], keep: Callable[..., None]
    ) -> Entry:
        digest = hashlib.sha256()

        def passing() -> Iterator[bytes]:
            for piece in pieces:
                digest.update(piece)
                yield piece

        stream = passing()
        keep(name, stream)
        for _ in stream:
            pass
        return Entry(size, digest.hexdigest())

    def _pieces(self, source: Any) -> Iterator[bytes]:
        while True:
            with self._explained():
                piece = source.read(_CHUNK)
            if not piece:
                return
            yield piece

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (tarfile.TarError, OSError, EOFError) as error:
            where = f"in {self._name}" if self._name else "at its beginning"
            raise BackupError(f"{self._path} is damaged {where}: {_plain(error)}.") from error


class _Metered(io.RawIOBase):
    """A stream of which at most `allowance` bytes may be read at a time (None: any number).

    tarfile reads the headers between two files into memory as a whole, whatever length they claim.
    """

    def __init__(self, source: Any) -> None:
        self._source = source
        self.allowance: int | None = _MOST_HEADERS

    def read(self, size: int = -1) -> bytes:
        data: bytes = self._source.read(size)
        if self.allowance is not None:
            self.allowance -= len(data)
            if self.allowance < 0:
                raise tarfile.ReadError("its headers are too long")
        return data


@contextmanager
def _opened(path: Path) -> Iterator[_Reader]:
    with open(path, "rb") as raw:
        try:
            stream = pa.CompressedInputStream(raw, "zstd")
            metered = _Metered(stream)
            tar = tarfile.open(fileobj=metered, mode="r|")  # noqa: SIM115 (closed below)
        except (tarfile.TarError, OSError, EOFError) as error:
            raise BackupError(f"{path} is not a backup of a collection.") from error
        with closing(stream), tar:
            yield _Reader(path, tar, metered)


def _plain(error: BaseException) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
