"""Importer for WebDataset: tar shards, and the file folders that img2dataset writes.

Files of one sample share the name up to the first dot of the last path part. The picture has one of
`IMAGE_SUFFIXES`; the web caption is `.txt`, else `caption` in `.json`; synthetic ones are
`synthetic` (text or list) in `.json`.
"""

from __future__ import annotations

import json
import tarfile
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from tips_model.train.importers import Dropped, Item, Pair, texts_of
from tips_model.train.source import DataError

IMAGE_SUFFIXES = frozenset({"jpg", "jpeg", "png", "webp"})
STATISTICS = "_stats.json"
"""File name suffix of img2dataset's own reports."""


def read_shards(places: Sequence[Path]) -> Iterator[Item]:
    """The samples of tar shards; of a folder, those of the shards in it, else of its files.

    A broken shard is read up to the damage and reported once. Keys begin with the shard's name, or
    with its path if another shard has the same name. Raises `DataError` for a folder with neither
    shards nor files of samples.
    """
    shards = [shard for place in places for shard in _shards_of(place)]
    names = Counter(shard.name for shard in shards)
    for shard in shards:
        label = shard.name if names[shard.name] == 1 else str(shard)
        if shard.is_dir():
            yield from _folder(shard, label)
            continue
        try:
            with tarfile.open(shard) as archive:
                yield from _samples(archive, label)
                _check_end(archive)
        except (tarfile.TarError, OSError, EOFError) as error:
            yield Dropped(str(shard), f"shard cannot be read ({type(error).__name__})")


def _shards_of(place: Path) -> list[Path]:
    """A file itself; of a folder the tar files in it, or the folder if there are none."""
    return (sorted(place.rglob("*.tar")) if place.is_dir() else []) or [place]


def _samples(archive: tarfile.TarFile, label: str) -> Iterator[Item]:
    """The samples of an open shard; files of one sample are consecutive."""
    current, files = "", dict[str, bytes]()
    for member in archive:
        if not member.isfile():
            continue
        name, suffix = _split(member.name)
        if name != current and files:
            yield _sample(f"{label}/{current}", files)
            files = {}
        current = name
        stream = archive.extractfile(member)
        assert stream is not None, "a file of a tar has content"
        files[suffix] = stream.read()
    if files:
        yield _sample(f"{label}/{current}", files)


def _check_end(archive: tarfile.TarFile) -> None:
    """Raises `tarfile.ReadError` unless the members are followed by the block of zeros that ends a
    tar.

    The `tarfile` module stops silently at a damaged header, and at the end of a file that was
    truncated between two members.
    """
    assert archive.fileobj is not None
    archive.fileobj.seek(archive.offset)
    if archive.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("no end mark")


def _folder(folder: Path, label: str) -> Iterator[Item]:
    """The samples of files in a folder, at any depth."""
    wanted = IMAGE_SUFFIXES | {"txt", "json"}
    found = False
    for place in sorted({folder, *(path for path in folder.rglob("*") if path.is_dir())}):
        names = [
            path.relative_to(folder).as_posix()
            for path in place.iterdir()
            if path.is_file() and _split(path.name)[1] in wanted
            if not path.name.endswith(STATISTICS)
        ]
        for stem, group in groupby(sorted(names, key=_split), key=lambda name: _split(name)[0]):
            found, key = True, f"{label}/{stem}"
            try:
                files = {_split(name)[1]: (folder / name).read_bytes() for name in group}
            except OSError as error:
                yield Dropped(key, f"file cannot be read ({type(error).__name__})")
                continue
            yield _sample(key, files)
    if not found:
        raise DataError(f"{folder} contains neither tar shards nor pictures with captions.")


def _split(name: str) -> tuple[str, str]:
    """`x/0001.left.JPG` -> (`x/0001`, `left.jpg`)."""
    folder, slash, base = name.rpartition("/")
    stem, _, suffix = base.partition(".")
    return folder + slash + stem, suffix.lower()


def _sample(key: str, files: dict[str, bytes]) -> Item:
    """One sample from its files by suffix."""
    image = next((files[s] for s in files if s in IMAGE_SUFFIXES), None)
    if image is None:
        return Dropped(key, "no picture", corrupt=False)
    try:
        facts = json.loads(files["json"]) if "json" in files else {}
        if not isinstance(facts, dict):
            raise ValueError("the JSON is not an object")
        web = files["txt"].decode("utf-8") if "txt" in files else facts.get("caption") or ""
        if not isinstance(web, str):
            raise ValueError("the caption is not text")
        synthetic = texts_of(facts.get("synthetic"))
    except ValueError as error:
        return Dropped(key, f"captions cannot be read ({type(error).__name__})")
    return Pair(key, image, web, synthetic)
