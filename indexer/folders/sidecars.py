"""Find the files beside a photo that say more about it: XMP sidecars, and Google Takeout's JSON.

A photo's *stamp* is a number made of the sizes and times of its sidecars, 0 without any: it tells
when they have to be read again.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b

import polars as pl

from indexer.folders.paths import to_bytes, to_text
from indexer.folders.storage import Entry, entries, is_url
from indexer.names import folded

SIDECARS = (b".xmp", b".json")
"""How the names of files beside a photo end, in lower case."""
Entries = Mapping[str, "os.DirEntry[bytes] | Entry"]
_DETAILS = ".supplemental-metadata"
_LONGEST = 46  # characters of the name of Takeout's JSON, without its ending
_COPY = re.compile(r"\(\d+\)$")
_EDITED = (
    *("-edited", "-effects", "-smile", "-mix", "-edytowane", "-bearbeitet", "-bewerkt"),
    *("-modificato", "-modifié", "-ha editado", "-editado", "-editada", "-editat", "-redigert"),
    *("-redigeret", "-redigerad", "-muokattu", "-upraveno", "-編集済み", "-已修改", "-수정됨"),
)
"""How Takeout names an edited copy, which has the JSON of its original."""


def key(name: bytes) -> str:
    """A file name for comparing."""
    return folded(to_text(name))


def is_sidecar(name: bytes) -> bool:
    """Whether a file can be a sidecar by its name."""
    return name[-5:].lower().endswith(SIDECARS)


def sidecar_names(photo: str) -> tuple[Iterator[str], Iterator[str]]:
    """The `key`s that sidecars of a photo with this key may have: XMP, which may all be there, and
    Takeout's JSON, of which the first is meant.
    """
    stem = photo.rpartition(".")[0]
    return iter((f"{photo}.xmp", f"{stem}.xmp")), _takeout(photo)


def _takeout(photo: str) -> Iterator[str]:
    """`a.jpg.json`, `a.jpg.supplemental-metadata.json`, shortened, and `a.jpg(1).json` for
    `a(1).jpg`; then those of the original of an edited copy.
    """
    stem, _, ending = photo.rpartition(".")
    yield from _details(photo, "")
    copy = _COPY.search(stem)
    number = copy[0] if copy else ""
    plain = stem.removesuffix(number)
    if number:
        yield from _details(f"{plain}.{ending}", number)
    yield f"{stem}.json"
    for mark in _EDITED:
        if plain.endswith(mark):
            yield from _takeout(f"{plain.removesuffix(mark)}{number}.{ending}")


def _details(photo: str, number: str) -> Iterator[str]:
    yield f"{photo}{number}.json"
    whole = photo + _DETAILS
    for length in range(len(whole), len(photo), -1):
        yield f"{whole[:length]}{number}.json"
    if len(photo) > _LONGEST:
        yield f"{photo[:_LONGEST]}{number}.json"


def sidecars_of(photo: bytes, beside: Entries) -> tuple[list[str], int]:
    """The paths of a photo's sidecars, the most telling first, and its stamp.

    photo: its name. beside: `key` -> entry of the possible sidecars in its folder.
    """
    xmp, takeout = sidecar_names(key(photo))
    found = [beside[name] for name in xmp if name in beside]
    found += [beside[name] for name in takeout if name in beside][:1]
    paths, facts = list[str](), list[tuple[int, int]]()
    for entry in found:
        try:
            stat = entry.stat()
        except OSError:  # gone meanwhile
            continue
        paths.append(to_text(entry.path))
        facts.append((stat.st_size, stat.st_mtime_ns))
    return paths, _stamp(facts)


def _stamp(facts: Iterable[tuple[int, int]]) -> int:
    """Without names, so that a photo that is renamed with its sidecars keeps it."""
    ordered = sorted(facts)
    if not ordered:
        return 0
    return int.from_bytes(blake2b(repr(ordered).encode(), digest_size=7).digest()) or 1


def with_sidecars(files: pl.DataFrame) -> pl.DataFrame:
    """Files as of `scan.FILE_SCHEMA` whose `sidecars` and `stamp` are looked up; reads each folder
    once.
    """
    folders: dict[bytes, Entries] = {}
    paths, stamps = list[list[str]](), list[int]()
    for path in files["path"].to_list():
        folder, name = os.path.split(to_bytes(path))
        if folder not in folders:
            folders[folder] = _beside(folder)
        found, stamp = sidecars_of(name, folders[folder])
        paths.append(found)
        stamps.append(stamp)
    return files.with_columns(
        sidecars=pl.Series(paths, dtype=pl.List(pl.String)), stamp=pl.Series(stamps, dtype=pl.Int64)
    )


def _beside(folder: bytes) -> Entries:
    text = to_text(folder)
    try:
        if is_url(text):
            return {key(entry.name): entry for entry in entries(text) if is_sidecar(entry.name)}
        with os.scandir(folder) as found:
            return {key(entry.name): entry for entry in found if is_sidecar(entry.name)}
    except OSError:  # the files themselves cannot be read then, and say so
        return {}
