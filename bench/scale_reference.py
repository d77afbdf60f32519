"""Exact products for `bench/scale.py`: what the store should find, and what numpy and FAISS take.

Letters: N vectors of a kind, P photos, Q queries, D width.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scale_measure import DEPTH, FILTERS, quantiles

from indexer.collection import Collection
from indexer.vectors import (
    Filter,
    Kind,
    Match,
    PointArray,
    image_point_array,
    point_array,
    point_keys,
)
from search.confidence.calibration import Calibration, Direction, both

Array = npt.NDArray[np.float32]
CHUNK = 1 << 16  # vectors
REFERENCE_QUERIES = 50


class Truth:
    """Every vector of the catalog: `points` (N,) and float16 `vectors` (N, D) by kind, and which
    photos pass the filters."""

    def __init__(self, folder: Path) -> None:
        collection = Collection.open(folder)
        head = collection.model.retrieval_head
        self.points: dict[Kind, PointArray] = {}
        self.vectors: dict[Kind, npt.NDArray[np.float16]] = {}
        columns = ["id", "files", "camera", f"vector_{head}", "region_vectors"]
        ids, photos, regions, counts = [], [], [], []
        passing: dict[str, list[npt.NDArray[np.bool_]]] = {label: [] for label in FILTERS}
        for batch in collection.catalog().changed_since(0, columns, batch_rows=4096):
            ids += batch["id"].to_pylist()
            photos.append(_matrix(batch[f"vector_{head}"]))
            regions.append(_matrix(batch["region_vectors"].flatten()))
            counts.append(batch["region_vectors"].value_lengths().to_numpy())
            cameras = np.array(batch["camera"].to_pylist())
            albums = [f[0]["path"].rpartition("/")[0] for f in batch["files"].to_pylist()]
            for label, filter in FILTERS.items():
                passing[label].append(_passes(filter, cameras, np.array(albums)))
        number = np.concatenate(counts)
        keys = point_keys(point_array(ids))
        self.owners = np.repeat(np.arange(len(ids)), number)
        self.starts = np.cumsum(number) - number
        ordinal = (np.arange(len(self.owners)) - self.starts[self.owners] + 1).astype(np.uint8)
        octets = np.zeros((len(self.owners), 16), np.uint8)
        octets[:, :15] = keys.view(np.uint8).reshape(-1, 15)[self.owners]
        octets[:, 15] = ordinal
        self.ids = np.array(ids)
        self.points = {"images": image_point_array(keys), "regions": octets.view("S16").ravel()}
        self.vectors = {"images": np.concatenate(photos), "regions": np.concatenate(regions)}
        self.passing = {label: np.concatenate(parts) for label, parts in passing.items()}

    def rows(self, kind: Kind, label: str) -> npt.NDArray[np.bool_]:
        """Which vectors pass the filter, (N,)."""
        photos = self.passing[label]
        return photos if kind == "images" else photos[self.owners]


def _passes(
    filter: Filter | None, cameras: npt.NDArray[np.str_], albums: npt.NDArray[np.str_]
) -> npt.NDArray[np.bool_]:
    match filter:
        case Match("camera", values):
            return np.isin(cameras, values)
        case Match("folders", values):
            return np.isin(albums, values)
        case _:
            return np.ones(len(cameras), bool)


def _matrix(column: Any) -> npt.NDArray[np.float16]:
    return np.asarray(column.flatten()).reshape(len(column), -1)


class Best:
    """The `DEPTH` greatest products of each query so far, and where they are."""

    def __init__(self, queries: int) -> None:
        self.values = np.full((queries, DEPTH), -np.inf, np.float32)
        self.rows = np.zeros((queries, DEPTH), np.int64)

    def add(self, values: Array, rows: npt.NDArray[np.int64]) -> None:
        """Take in products (Q, n) of the vectors in these rows (n,)."""
        values = np.concatenate([self.values, values], axis=1)
        places = np.concatenate([self.rows, np.broadcast_to(rows, (len(values), len(rows)))], 1)
        best = np.argpartition(-values, DEPTH - 1, axis=1)[:, :DEPTH]
        self.values = np.take_along_axis(values, best, axis=1)
        self.rows = np.take_along_axis(places, best, axis=1)


def scan(truth: Truth, kind: Kind, queries: Array) -> tuple[dict[str, Best], Array]:
    """The nearest vectors under each filter, and each photo's best product (Q, P)."""
    best = {label: Best(len(queries)) for label in FILTERS}
    by_photo = np.empty((len(queries), len(truth.ids)), np.float32)
    photos = max(1, CHUNK // (len(truth.vectors[kind]) // len(truth.ids)))
    for first in range(0, len(truth.ids), photos):
        last = min(first + photos, len(truth.ids))
        if kind == "images":
            start, stop, starts = first, last, np.arange(last - first)
        else:
            start = truth.starts[first]
            stop = truth.starts[last] if last < len(truth.ids) else len(truth.owners)
            starts = truth.starts[first:last] - start
        part = truth.vectors[kind][start:stop].astype(np.float32)
        values = (queries @ part.T) / np.linalg.norm(part, axis=1)
        by_photo[:, first:last] = np.maximum.reduceat(values, starts, axis=1)
        for label, found in best.items():
            rows = np.flatnonzero(truth.rows(kind, label)[start:stop])
            found.add(values[:, rows], rows + start)
    return best, by_photo


def exact_ranking(law: Calibration, photo: Direction, region: Direction, g: Array, r: Array) -> Any:
    """The scores (P,) of all photos from all products."""
    photo_z, region_z = photo.standard(g), region.standard(r)
    return law.score({"both": both(photo_z, region_z)}, picture=False)


def reference(folder: Path, found: dict[str, Any], *, timed: bool) -> dict[str, Any]:
    """Fill the recalls into `found["figures"]`; the times of numpy and FAISS if `timed`."""
    truth, searches = Truth(folder), found["figures"]["searches"]
    by_photo: dict[Kind, Array] = {}
    times: dict[str, Any] = {}
    kinds: tuple[Kind, ...] = ("images", "regions")
    for kind in kinds:
        queries = np.stack([direction.vector for direction in found["directions"][kind]])
        best, by_photo[kind] = scan(truth, kind, queries)
        for label, exact in best.items():
            recalls = []
            for values, rows, points in zip(
                exact.values, exact.rows, found["nearest"][kind][label], strict=True
            ):
                right = truth.points[kind][rows[values > -np.inf]]
                recalls.append(np.isin(right, points).mean())
            cell = searches[kind][label]
            cell["recall@100"] = round(float(np.mean(recalls)), 4)
            cell["least recall@100"] = round(float(np.min(recalls)), 4)
            cell["vector query of 100"] = found["nearest_ms"][kind][label]
        if timed:
            times[kind] = time_references(truth.vectors[kind], truth, kind, queries)
    for label, rankings in found["ranked"].items():
        passing = truth.passing[label]
        shares = []
        for number, ids in enumerate(rankings):
            scores = exact_ranking(
                found["law"],
                found["directions"]["images"][number],
                found["directions"]["regions"][number],
                by_photo["images"][number][passing],
                by_photo["regions"][number][passing],
            )
            right = truth.ids[passing][np.argsort(-scores, kind="stable")[:DEPTH]]
            shares.append(np.isin(right, ids).mean())
        searches["images"][label]["photos@100"] = round(float(np.mean(shares)), 4)
    return {"references": times} if timed else {}


def time_references(
    vectors: npt.NDArray[np.float16], truth: Truth, kind: Kind, queries: Array
) -> dict[str, Any]:
    """Milliseconds of the 100 nearest by numpy and by FAISS, on float32 in memory."""
    import faiss

    index = faiss.IndexFlatIP(vectors.shape[1])
    for start in range(0, len(vectors), CHUNK):
        index.add(vectors[start : start + CHUNK].astype(np.float32))
    # One matrix in memory for both.
    whole = faiss.rev_swig_ptr(index.get_xb(), vectors.size).reshape(vectors.shape)
    result: dict[str, Any] = {}
    for label in FILTERS:
        rows = np.flatnonzero(truth.rows(kind, label))
        result[f"numpy, {label}"] = _time(partial(_by_numpy, whole, rows), queries)
    for label, filter in FILTERS.items():
        chosen = None
        if filter is not None:
            bits = np.packbits(truth.rows(kind, label), bitorder="little")
            chosen = faiss.SearchParameters(sel=faiss.IDSelectorBitmap(bits))
        result[f"FAISS, {label}"] = _time(
            lambda query, chosen=chosen: index.search(query[None], DEPTH, params=chosen), queries
        )
    return result


def _by_numpy(whole: Array, rows: npt.NDArray[np.int64], query: Array) -> None:
    # A tenth is scored with the rest; less is gathered first.
    few = len(rows) * 20 < len(whole)
    values = whole[rows] @ query if few else (whole @ query)[rows]
    top = np.argpartition(-values, min(DEPTH, len(values)) - 1)[:DEPTH]
    top[np.argsort(-values[top])]


def _time(ask: Callable[[Array], Any], queries: Array) -> dict[str, float]:
    took = []
    for query in queries[:REFERENCE_QUERIES]:
        began = time.perf_counter()
        ask(query)
        took.append(time.perf_counter() - began)
    return quantiles(took)
