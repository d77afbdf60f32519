"""Choose candidate pairs of photos, compare them, and group those that agree.

Candidates are the nearest by a small descriptor of the thumbnail (for pictures saved again) and,
for the next shot of a scene, photos taken within `WINDOW` of each other; undated ones are compared
where the model's vectors of the whole photos are near. The thumbnails' pixels decide
(`search/duplicates/likeness.py`), so that photos of two beaches do not match however near their
vectors are.

A group is the photos that agree with its best one directly: a chain of photos, each near the next,
does not join its ends.

Letters: N photos, M pairs, D width of the model's vectors.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from indexer.vectors import PointArray, point_array, point_hex
from search.duplicates.likeness import (
    DESCRIPTOR,
    SIGNATURE,
    Agreement,
    compare,
    descriptors,
    signature,
)
from search.duplicates.neighbours import near_pairs

if TYPE_CHECKING:
    from indexer.catalog.table import Catalog
    from indexer.collection import Collection

Ints = npt.NDArray[np.int64]
Progress = Callable[[str, int, int], None]
"""Called with the current activity, the amount done, and the total."""
NEITHER, SIMILAR, SAME = 0, 1, 2
NEAR_PICTURE, NEAR_VECTOR = 0.65, 0.6
"""Minimum products of descriptors, and of the model's vectors with their mean subtracted, for
comparing photos.
"""
NEAREST = 8
"""Maximum number of earlier photos of each kind to compare a photo with; the others of a large
group are reached through these.
"""
WINDOW = 600  # seconds between two shots of one scene
NEXT_SHOTS = 6
"""Number of photos taken after a photo to compare it with."""
UNDATED = np.iinfo(np.int64).min
ROWS = 4096
WORKERS = 4


def silent(what: str, done: int, total: int) -> None:
    """A progress callback that does nothing."""


class Pairs(NamedTuple):
    """Photos that agree: rows `first` and `second`, and the `tier`, (M,) each."""

    first: Ints
    second: Ints
    tier: Ints

    @classmethod
    def none(cls) -> Pairs:
        """No pairs."""
        return cls(*np.zeros((3, 0), np.int64))

    def moved(self, rows: Ints) -> Pairs:
        """The pairs at their new `rows`; -1 marks deleted photos."""
        first, second = rows[self.first], rows[self.second]
        there = (first >= 0) & (second >= 0) & (first != second)
        return Pairs(first[there], second[there], self.tier[there])

    def joined(self, others: Pairs) -> Pairs:
        """The union of these pairs and others."""
        return Pairs(*(np.concatenate(both) for both in zip(self, others, strict=True)))

    def least(self, tier: int) -> Pairs:
        """The pairs of at least this tier."""
        return Pairs(*(values[self.tier >= tier] for values in self))


class Survey:
    """The photos of a collection, prepared for comparison. Their signatures are in an anonymous
    file, which vanishes with the process.

    After `read`: `ids` (N,) S16, known ones first; `rank` (N,), 0 the best photo; `taken` (N,)
    seconds or `UNDATED`; `descriptors` (N, W) float16.
    """

    ids: PointArray
    rank: Ints
    taken: Ints
    descriptors: npt.NDArray[np.float16]

    def __init__(
        self, collection: Collection, catalog: Catalog, device: str, progress: Progress
    ) -> None:
        self._collection, self._catalog = collection, catalog
        self._device, self._progress = device, progress
        self._files: list[BinaryIO] = []
        self._known = 0

    def __enter__(self) -> Survey:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for file in self._files:
            file.close()

    def read(self, known: PointArray, kept: npt.NDArray[np.float16]) -> Ints:
        """Read the photos; `kept` (K, W) are the descriptors of the already `known` (K,) ones.
        Returns the new row of each known photo, -1 where it is gone.
        """
        columns = ["id", "status", "taken", "width", "height", "bytes"]
        facts = pa.Table.from_batches(
            [*self._catalog.changed_since(0, columns, ROWS)],
            pa.schema([self._catalog.schema.field(name) for name in columns]),
        )
        facts = facts.filter(pc.equal(facts["status"], "ok"))
        ids = point_array(facts["id"].to_pylist())
        order = np.argsort(ids)
        place = np.searchsorted(ids[order], known)
        place = np.minimum(place, max(len(ids) - 1, 0))
        there = ids[order][place] == known if len(ids) else np.zeros(len(known), bool)
        old = order[place[there]]
        rows = np.concatenate([old, np.setdiff1d(np.arange(len(ids)), old)])
        moved = np.full(len(known), -1, np.int64)
        moved[there] = np.arange(len(old))
        self._known, self.ids = len(old), ids[rows]
        facts = facts.take(rows)
        moments = facts["taken"].cast(pa.timestamp("s"), safe=False).cast(pa.int64())
        self.taken = moments.fill_null(UNDATED).to_numpy()
        width, height, size = (
            facts[name].fill_null(0).to_numpy().astype(np.int64)
            for name in ("width", "height", "bytes")
        )
        self.rank = np.empty(len(rows), np.int64)
        self.rank[np.lexsort((self.ids, -size, -width * height))] = np.arange(len(rows))
        self._signatures = self._scratch((len(rows), SIGNATURE), np.uint8)
        self._seen = np.zeros(len(rows), bool)
        self.descriptors = np.zeros((len(rows), DESCRIPTOR), np.float16)
        self.descriptors[: self._known] = kept[there]
        new = np.arange(self._known, len(rows))
        for done in self._look(new):
            part = new[done]
            self.descriptors[part] = descriptors(self._signatures[part])
            self._progress("reading thumbnails", done.stop, len(new))
        return moved

    def candidates(self) -> tuple[Ints, Ints, npt.NDArray[np.bool_]]:
        """Pairs to compare, each with at least one new photo, and which of them may be similar."""
        total = len(self.ids)
        by_look = near_pairs(
            self.descriptors,
            NEAR_PICTURE,
            most=NEAREST,
            start=self._known,
            device=self._device,
            progress=self._counter("comparing pictures", total - self._known),
        )[:2]
        first, second = (
            np.concatenate(rows)
            for rows in zip(by_look, self._next_shots(), self._near_undated(), strict=True)
        )
        pairs = np.unique(np.maximum(first, second) * total + np.minimum(first, second))
        first, second = pairs // max(total, 1), pairs % max(total, 1)
        return first, second, self._same_time(first, second)

    def judge(self, first: Ints, second: Ints, scenes: npt.NDArray[np.bool_]) -> Pairs:
        """The pairs that agree; only `scenes` may be similar."""
        tiers = np.zeros(len(first), np.int64)
        for start in range(0, len(first), ROWS):
            part = slice(start, start + ROWS)
            for _ in self._look(np.union1d(first[part], second[part])):
                pass
            found = compare(self._signatures[first[part]], self._signatures[second[part]])
            tiers[part] = tiers_of(found, scenes[part])
            self._progress("comparing pixels", min(start + ROWS, len(first)), len(first))
        return Pairs(first, second, tiers).least(SIMILAR)

    def agree(self, tier: int) -> Callable[[Ints, Ints], npt.NDArray[np.bool_]]:
        """A function that tells which pairs of rows agree at this tier or better."""

        def agreeing(first: Ints, second: Ints) -> npt.NDArray[np.bool_]:
            found = self.judge(first, second, self._same_time(first, second)).least(tier)
            return np.isin(
                first * len(self.ids) + second, found.first * len(self.ids) + found.second
            )

        return agreeing

    def _same_time(self, first: Ints, second: Ints) -> npt.NDArray[np.bool_]:
        """Whether pairs can be of one scene: taken within the window, or both undated."""
        dated = (self.taken[first] != UNDATED) & (self.taken[second] != UNDATED)
        neither = (self.taken[first] == UNDATED) & (self.taken[second] == UNDATED)
        apart = np.where(dated, np.abs(self.taken[first] - self.taken[second]), WINDOW + 1)
        return np.asarray(neither | (apart <= WINDOW))

    def _next_shots(self) -> tuple[Ints, Ints]:
        """Pairs of dated photos, at least one new, taken shortly after each other."""
        order = np.argsort(self.taken, kind="stable")
        order = order[self.taken[order] != UNDATED]
        firsts, seconds = [order[:0]], [order[:0]]
        for step in range(1, NEXT_SHOTS + 1):
            first, second = order[:-step], order[step:]
            near = self._same_time(first, second) & (np.maximum(first, second) >= self._known)
            firsts.append(first[near])
            seconds.append(second[near])
        return np.concatenate(firsts), np.concatenate(seconds)

    def _near_undated(self) -> tuple[Ints, Ints]:
        """Pairs of undated photos, at least one new, whose vectors are near."""
        rows = np.flatnonzero(self.taken == UNDATED)
        fresh = int((rows >= self._known).sum())
        if not fresh:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        first, second, _ = near_pairs(
            self._vectors(rows),
            NEAR_VECTOR,
            most=NEAREST,
            start=len(rows) - fresh,
            device=self._device,
            progress=self._counter("comparing vectors", fresh),
        )
        return rows[first], rows[second]

    def _vectors(self, rows: Ints) -> npt.NDArray[np.float16]:
        """The photos' vectors without their mean, at unit length, (len(rows), D)."""
        column = f"vector_{self._collection.model.retrieval_head}"
        place = {key: number for number, key in enumerate(point_hex(self.ids[rows]))}
        vectors = self._scratch((len(rows), self._catalog.dim), np.float16)
        total = np.zeros(self._catalog.dim)
        for batch in self._catalog.changed_since(0, ["id", column], ROWS):
            batch = batch.filter(pc.is_valid(batch[column]))  # skip unreadable photos
            at = np.array([place.get(key, -1) for key in batch["id"].to_pylist()], np.int64)
            values = batch[column].flatten().to_numpy(zero_copy_only=False)
            part = values.reshape(-1, self._catalog.dim)[at >= 0]
            vectors[at[at >= 0]] = part
            total += part.sum(axis=0, dtype=np.float64)
        centre = (total / len(rows)).astype(np.float32)
        for start in range(0, len(rows), ROWS):
            block = vectors[start : start + ROWS].astype(np.float32) - centre
            lengths = np.maximum(np.linalg.norm(block, axis=1, keepdims=True), 1e-6)
            vectors[start : start + ROWS] = block / lengths
        return vectors

    def _look(self, rows: Ints) -> Iterator[slice]:
        """Compute missing signatures of these photos; yields the finished slices of `rows`. A photo
        without a readable thumbnail gets an empty signature, which is similar to none.
        """
        with ThreadPoolExecutor(WORKERS) as pool:
            for start in range(0, len(rows), ROWS // 8):
                part = rows[start : start + ROWS // 8]
                wanted = part[~self._seen[part]]
                if len(wanted):
                    keys = point_hex(self.ids[wanted])
                    found = self._catalog.thumbnails(keys)
                    there = [row for row, key in zip(wanted, keys, strict=True) if key in found]
                    for row, pixels in zip(there, pool.map(signature, found.values()), strict=True):
                        if pixels is not None:
                            self._signatures[row] = pixels
                    self._seen[wanted] = True
                yield slice(start, start + len(part))

    def _counter(self, what: str, total: int) -> Callable[[int], None]:
        done = 0

        def count(rows: int) -> None:
            nonlocal done
            done += rows
            self._progress(what, done, total)

        return count

    def _scratch(self, shape: tuple[int, int], dtype: type[np.generic]) -> npt.NDArray[Any]:
        if not shape[0]:
            return np.zeros(shape, dtype)
        folder = self._collection.folder
        place = folder if os.access(folder, os.W_OK) else None  # None: the system's own
        file = tempfile.TemporaryFile(dir=place)  # noqa: SIM115
        self._files.append(file)
        if hasattr(os, "posix_fallocate"):  # not on macOS
            # Writing to a mapped file without room on the disk would kill the process (SIGBUS).
            os.posix_fallocate(file.fileno(), 0, shape[0] * shape[1] * np.dtype(dtype).itemsize)
        return np.memmap(file, dtype, "w+", shape=shape)


def tiers_of(found: Agreement, scenes: npt.NDArray[np.bool_]) -> Ints:
    """The tier of each pair by its pixel agreement; only `scenes` may be similar.

    A picture saved again agrees even in its worst blocks: an object that moved, came or went makes
    a different picture. Pictures without any detail match nothing.
    """
    same = (
        (found.overlap >= 0.8) & (found.worst >= 0.6) & (found.detail >= 0.8) & (found.tint <= 30)
    )
    similar = scenes & (found.overlap >= 0.55) & (found.detail >= 0.6) & (found.colour <= 25)
    return np.where(same, SAME, np.where(similar, SIMILAR, NEITHER))


def best_of_groups(
    pairs: Pairs, rank: Ints, agree: Callable[[Ints, Ints], npt.NDArray[np.bool_]]
) -> Ints:
    """The row of the best photo of each photo's group, (N,); its own for a single photo.

    In each connected set of photos the best one takes those that agree with it, according to
    `pairs` or else `agree`; then the best of the rest does, and so on.
    """
    count = len(rank)
    best = np.arange(count)
    by_rank = np.argsort(rank)
    while len(pairs.first):
        graph = coo_array(
            (np.ones(len(pairs.first), bool), (pairs.first, pairs.second)), shape=(count, count)
        )
        _, label = connected_components(graph, directed=False)
        chosen = np.full(label.max() + 1, -1, np.int64)
        chosen[label[by_rank[::-1]]] = by_rank[::-1]
        linked = np.unique(np.concatenate([pairs.first, pairs.second]))
        leader = chosen[label[linked]]
        direct = np.concatenate(
            [pairs.first * count + pairs.second, pairs.second * count + pairs.first]
        )
        taken = np.isin(leader * count + linked, direct) | (leader == linked)
        taken[~taken] = agree(leader[~taken], linked[~taken])
        best[linked[taken]] = leader[taken]
        gone = np.zeros(count, bool)
        gone[linked[taken]] = True
        free = ~(gone[pairs.first] | gone[pairs.second])
        pairs = Pairs(*(values[free] for values in pairs))
    return best
