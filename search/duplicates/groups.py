"""Groups of duplicate and similar photos, stored beside the collection and used to fold answers.

    found = Duplicates.open(folder) or find(Collection.open(folder))
    folded = found.fold(results.keys, "same")  # the first of each group, and how many it stands for

Exact copies are already one photo (`Hit.paths`). There are two tiers: "same" is a picture saved
again, at another size, slightly cropped or brightened; "similar" also includes the next shot of the
same scene. Rotated and mirrored pictures are neither. The method: see `search/duplicates/pairs.py`.

`duplicates.npz` can be deleted at any time. Photos are identified by content, so earlier results
stay valid: the next `find` only compares new photos, with each other and with all.

Letters: N photos examined, M pairs, G groups.
"""

from __future__ import annotations

import hashlib
import os
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
    """A ranking without duplicates: `kept` (K,) its remaining positions, in order, and `more` (K,)
    how many later positions each stands for.
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
    """The result: `ids` (N,) S16, the bytes of photo ids; `rank` (N,), lower is better (more
    pixels, then more bytes); `best` (N,) per tier, the row of the best photo of each photo's group,
    its own if it is alone.

    `revision` is the catalog's at that time. Photos deleted since may still be listed.
    `descriptors` and `pairs` are the starting point of the next search.
    """

    ids: PointArray
    rank: Ints
    best: dict[Tier, Ints]
    revision: int
    descriptors: npt.NDArray[np.float16]
    pairs: Pairs

    @classmethod
    def open(cls, collection: Collection | str | Path) -> Duplicates | None:
        """The last result for this collection; None when there is none, or only from another
        version or model. Raises `CollectionError` when there is no collection.
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
        """The empty result before the first search."""
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
        """The ids of rows as in the catalog, 32 hex characters."""
        return point_hex(self.ids[rows])

    def group_of(self, keys: KeyArray, tier: Tier) -> Ints:
        """The number of each photo's group, (K,): the row of its best photo; -1 for a photo that
        was not examined. A single photo has its own group.
        """
        rows = self._rows(keys)
        return np.where(rows < 0, -1, self.best[tier][rows]) if len(self.ids) else rows

    def fold(self, keys: KeyArray, tier: Tier) -> Folded:
        """The first photo of each group in a ranking of photos (K,), and what it stands for."""
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
    """Examine all new photos, and store the result in the collection's folder, unless it can only
    be read. Raises `DiskError`, and `OSError` without room for temporary files.

    Takes a few bytes of memory and temporarily about 5 KB of disk per photo; every pair of vectors
    is multiplied only once ever (`docs/benchmarks.md`).
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
        # Identical photos are represented by the best one, so the tiers are nested.
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
        if os.access(collection.data_folder, os.W_OK):
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
    """The arrays of the file; empty when it is missing or damaged, since everything can be
    recomputed.
    """
    try:
        return read_arrays(path)
    except (OSError, ValueError):
        return {}
