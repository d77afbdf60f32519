"""Photos that show the same picture, or nearly: found once, kept beside the collection, and used to
fold an answer.

    found = Duplicates.open(folder) or find(Collection.open(folder))
    folded = found.fold(results.keys, "same")  # the first of each group, and how many it stands for

Exact copies are one photo already (`Hit.paths`). Two tiers are told apart: "same" is a picture
saved again, at another size, a little cropped or brightened; "similar" is the next shot of the same
scene besides. Turned and mirrored pictures are neither. How they are found: see
`search/duplicates/pairs.py`.

`duplicates.npz` can be deleted at any time. Photos are named by content, so what was found of them
stays true: the next `find` compares only new photos, with each other and with all.

Letters: N photos that were looked at, M pairs, G groups.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from indexer.collection import Collection
from indexer.errors import explain_full_disk
from indexer.vectors import KeyArray, PointArray, point_array, point_hex, point_keys
from search.duplicates.likeness import DESCRIPTOR
from search.duplicates.pairs import SAME, SIMILAR, Pairs, Progress, Survey, best_of_groups, silent
from tips_model.atomic import replacing
from tips_model.untrusted import read_arrays

Ints = npt.NDArray[np.int64]
Tier = Literal["same", "similar"]
TIERS: tuple[Tier, ...] = ("same", "similar")
FILE = "duplicates.npz"
VERSION = 1


class Folded(NamedTuple):
    """A ranking without repetitions: `kept` (K,) its places that stay, in order, and `more` (K,)
    how many later places each stands for.
    """

    kept: Ints
    more: Ints


class Groups(NamedTuple):
    """G groups, largest first: `rows` of `Duplicates.ids`, the best photo of each group first, and
    `starts` (G,) where each group begins.
    """

    rows: Ints
    starts: Ints

    def split(self) -> list[Ints]:
        """The rows of each group."""
        return np.split(self.rows, self.starts[1:]) if len(self.starts) else []


@dataclass(frozen=True)
class Duplicates:
    """What was found: `ids` (N,) S16, the bytes of photo ids; `rank` (N,), lower is better (more
    pixels, then more bytes); `best` (N,) a tier, the row of the best photo of each photo's group,
    its own where it is alone.

    `revision` is the catalog's at that time. Photos that are gone since may still be named.
    `descriptors` and `pairs` are what the next search begins from.
    """

    ids: PointArray
    rank: Ints
    best: dict[Tier, Ints]
    revision: int
    descriptors: npt.NDArray[np.float16]
    pairs: Pairs

    @classmethod
    def open(cls, collection: Collection | str | Path) -> Duplicates | None:
        """What was found last in this collection; None when nothing was, or with another version or
        model. Raises `CollectionError` when there is no collection.
        """
        opened = collection if isinstance(collection, Collection) else Collection.open(collection)
        kept = _read(opened.data_folder / FILE)
        if str(kept.get("key")) != _key(opened):
            return None
        return cls(
            kept["ids"],
            kept["rank"].astype(np.int64),
            {tier: kept[f"best_{tier}"].astype(np.int64) for tier in TIERS},
            int(kept["revision"]),
            kept["descriptors"],
            Pairs(*(kept[f"pairs_{name}"].astype(np.int64) for name in Pairs._fields)),
        )

    @classmethod
    def nothing(cls) -> Duplicates:
        """What is known before the first search."""
        none = np.zeros(0, np.int64)
        waves = np.zeros((0, DESCRIPTOR), np.float16)
        return cls(point_array([]), none, dict.fromkeys(TIERS, none), 0, waves, Pairs.none())

    def groups(self, tier: Tier) -> Groups:
        """All groups of two photos or more."""
        best = self.best[tier]
        sizes = np.bincount(best, minlength=len(best))
        rows = np.flatnonzero(sizes[best] > 1)
        order = np.lexsort((self.rank[rows], self.rank[best[rows]], -sizes[best[rows]]))
        rows = rows[order]
        first = np.flatnonzero(np.diff(best[rows], prepend=-1))
        return Groups(rows, first)

    def hex(self, rows: Ints) -> list[str]:
        """The ids of rows as the catalog has them, 32 hex characters."""
        return point_hex(self.ids[rows])

    def group_of(self, keys: KeyArray, tier: Tier) -> Ints:
        """The number of each photo's group, (K,): the row of its best photo; -1 for a photo that
        was not looked at. Photos alone have a group of their own.
        """
        rows = self._rows(keys)
        return np.where(rows < 0, -1, self.best[tier][rows]) if len(self.ids) else rows

    def fold(self, keys: KeyArray, tier: Tier) -> Folded:
        """The first of each group in a ranking of photos (K,), and what it stands for."""
        groups = self.group_of(keys, tier)
        own = np.where(groups < 0, len(self.ids) + np.arange(len(groups)), groups)
        _, first, counts = np.unique(own, return_index=True, return_counts=True)
        order = np.argsort(first)
        return Folded(first[order], counts[order] - 1)

    @cached_property
    def _sorted(self) -> tuple[KeyArray, Ints]:
        keys = point_keys(self.ids)
        order = np.argsort(keys)
        return keys[order], order

    def _rows(self, keys: KeyArray) -> Ints:
        """The row of each key, -1 where there is none."""
        known, order = self._sorted
        if not len(known):
            return np.full(len(keys), -1, np.int64)
        place = np.minimum(np.searchsorted(known, keys), len(known) - 1)
        return np.where(known[place] == keys, order[place], -1)


def find(collection: Collection, *, progress: Progress = silent, device: str = "cpu") -> Duplicates:
    """Look at all photos that were not looked at yet, and keep what is found in the collection's
    folder. Raises `DiskError` or `OSError` when nothing can be written there.

    Takes some bytes a photo of memory and about 5 KB a photo of disk meanwhile; every pair of
    vectors is multiplied once in its life (`docs/benchmarks.md`).
    """
    catalog = collection.catalog()
    kept = Duplicates.open(collection)
    revision = catalog.revision
    if kept is not None and kept.revision == revision:
        return kept
    with (
        explain_full_disk(collection.folder),
        Survey(collection, catalog, device, progress) as survey,
    ):
        known = Duplicates.nothing() if kept is None else kept
        pairs = known.pairs.moved(survey.read(known.ids, known.descriptors))
        pairs = pairs.joined(survey.judge(*survey.candidates()))
        same = best_of_groups(pairs.least(SAME), survey.rank, survey.agree(SAME))
        # Of photos that are the same, the best one speaks for all: so the tiers are nested.
        between = pairs.least(SIMILAR).moved(same)
        similar = best_of_groups(between, survey.rank, survey.agree(SIMILAR))[same]
        found = Duplicates(
            survey.ids,
            survey.rank,
            {"same": same, "similar": similar},
            revision,
            survey.descriptors,
            pairs,
        )
        _write(collection, found)
    return found


def _write(collection: Collection, found: Duplicates) -> None:
    arrays: dict[str, npt.NDArray[np.generic]] = {
        "key": np.array(_key(collection)),
        "revision": np.array(found.revision),
        "ids": found.ids,
        "rank": found.rank.astype(np.int32),
        "descriptors": found.descriptors,
        **{f"best_{tier}": rows.astype(np.int32) for tier, rows in found.best.items()},
        **{f"pairs_{name}": rows.astype(np.int32) for name, rows in found.pairs._asdict().items()},
    }
    with replacing(collection.data_folder / FILE) as file:
        np.savez(file, allow_pickle=False, **arrays)


def _key(collection: Collection) -> str:
    parts = (str(VERSION), collection.model.model_id)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _read(path: Path) -> dict[str, Any]:
    """The arrays of the file; nothing when there is none or it is damaged, since all of it can be
    made again.
    """
    try:
        return read_arrays(path)
    except (OSError, ValueError):
        return {}
