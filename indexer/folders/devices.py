"""Remember on which file system each folder with photos was, to tell a disk that is away from
photos that were deleted.

A disk that is unplugged leaves its mount point, an ordinary folder, in the middle of a root or as
the root itself. Photos that are gone from a folder which is now on another file system are missing,
not deleted.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from indexer.folders.paths import folders, to_bytes
from indexer.folders.storage import is_url
from tips_model.atomic import write_alone
from tips_model.untrusted import parse_json, read_as

Device = tuple[int, int]
"""The id of a file system (0: it has none) and the number of its device, which may be another after
a restart."""
_NAME = "devices.json"


def device_of(folder: bytes) -> Device:
    """The file system of a folder. Raises `OSError`."""
    return os.statvfs(folder).f_fsid, os.stat(folder).st_dev


def _same(one: Device, other: Device) -> bool:
    """Whether it is one file system."""
    place = 0 if one[0] and other[0] else 1
    return one[place] == other[place]


def read_devices(catalog_folder: Path) -> dict[str, Device]:
    """The remembered file systems: of roots, and of folders below on another one than the folder
    above; empty when nothing is known.
    """
    try:
        text = (catalog_folder / _NAME).read_bytes()
        return read_as(dict[str, Device], parse_json(text))
    except (OSError, ValueError):  # it only protects photos; the next full run writes it again
        return {}


def write_devices(catalog_folder: Path, devices: Mapping[str, Device]) -> None:
    """Remember them, if they are not what is remembered."""
    if devices != read_devices(catalog_folder):
        text = json.dumps(dict(sorted(devices.items())), indent=1)
        write_alone(catalog_folder / _NAME, text + "\n")


@dataclass(frozen=True, slots=True)
class Away:
    """folders: those whose photos are on a disk that is away. places: where it was mounted, with
    the number of photos."""

    folders: frozenset[str] = frozenset()
    places: Mapping[str, int] = field(default_factory=dict)


def away(gone: Iterable[str], there: Iterable[str], remembered: Mapping[str, Device]) -> Away:
    """Which of the files that are gone (absolute texts) are on a disk that is away.

    there: the files that were found. A library that was copied to another disk is not away: more
    of it is there than gone.
    """
    if not remembered:
        return Away()
    present = _Present()
    missing = _by_change(gone, remembered, present)
    if not missing:
        return Away()
    found = _by_change(there, remembered, present)
    lost = [
        change
        for change, counts in missing.items()
        if found.get(change, Counter()).total() < counts.total()
    ]
    places = Counter[str]()
    for place, device in lost:
        places[place] += missing[place, device].total()
    return Away(frozenset(f for change in lost for f in missing[change]), dict(places))


def kept(
    now: Mapping[str, Device], remembered: Mapping[str, Device], lost: Away
) -> dict[str, Device]:
    """What to remember after a full run that saw the file systems `now`: a disk that is away stays
    as it was.
    """
    covering = {_nearest(folder, now) for folder in lost.folders} - remembered.keys()
    seen = {place: device for place, device in now.items() if place not in covering}
    return seen | {place: remembered[place] for place in lost.places}


Change = tuple[str, Device]
"""A remembered folder, and the other file system on which files of it would be now."""


def _by_change(
    files: Iterable[str], remembered: Mapping[str, Device], present: _Present
) -> dict[Change, Counter[str]]:
    """For each change, the folders of the files that it concerns, with their number."""
    counts = Counter(path.rpartition("/")[0] or "/" for path in files)
    result: dict[Change, Counter[str]] = {}
    for folder, count in counts.items():
        place = _nearest(folder, remembered)
        device = present.device(folder) if place and not is_url(folder) else None
        if place and device and not _same(device, remembered[place]):
            result.setdefault((place, device), Counter())[folder] += count
    return result


def _nearest(folder: str, devices: Mapping[str, Device]) -> str:
    """The innermost of these folders that is the folder or above it; "" for none."""
    return next((f for f in (folder, *reversed(folders(folder))) if f in devices), "")


class _Present:
    """The file systems of folders now; of one that is gone, that of the next above."""

    def __init__(self) -> None:
        self._known: dict[str, Device | None] = {}

    def device(self, folder: str) -> Device | None:
        """None where it cannot be told."""
        if folder not in self._known:
            self._known[folder] = self._look(folder)
        return self._known[folder]

    def _look(self, folder: str) -> Device | None:
        try:
            return device_of(to_bytes(folder))
        except (FileNotFoundError, NotADirectoryError):
            above = folder.rpartition("/")[0] or "/"
            return self.device(above) if above != folder else None
        except OSError:
            return None
