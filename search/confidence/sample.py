"""Draw a random sample of a collection, calibrate on it, and cache both beside the collection.

The sample is the photos with the smallest ids. Ids are content hashes, so this is a uniform sample,
the same on every machine, and a growing collection changes only a few of them. `calibration.npz`
caches the inputs (the unrelated texts' vectors, which need the model, and the sample); refitting
the laws takes a fraction of a second.
"""

from __future__ import annotations

import hashlib
import heapq
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from indexer.vectors import KINDS, REGION_VECTOR, Kind, VectorStore
from search.arrays import Array
from search.confidence.calibration import Calibration, Sample, asked
from search.query_encoder import QueryEncoder
from search.templates import PLAIN, expand
from search.word_lists import word_list
from tips_model.atomic import replacing
from tips_model.templates import TEMPLATES
from tips_model.untrusted import read_arrays

if TYPE_CHECKING:
    from indexer.catalog.table import Catalog

SAMPLE_PHOTOS = 512
CHANGED = 0.1
"""The whole collection is searched again when it has grown or shrunk by this fraction."""
FILE = "calibration.npz"
VERSION = 2


class EmptySampleError(Exception):
    """The collection has no photo with vectors."""


def calibrate(
    folder: Path, catalog: Catalog, store: VectorStore, encoder: QueryEncoder
) -> Calibration:
    """The calibration of the store's current state: from `folder`'s file when it is valid, else
    computed and written there.

    Raises `EmptySampleError` when there is nothing to sample.
    """
    info = encoder.embedder.info
    texts_key = _key(info.model_id, *word_list("unrelated"))
    state_key = _key(texts_key, str(store.revision))
    kept = _read(folder / FILE, info.dim)
    kept_key = str(kept.get("texts_key"))
    if kept_key == texts_key:
        photo_texts, region_texts = kept["photo_texts"], kept["region_texts"]
    else:
        photo_texts, region_texts = unrelated_texts(encoder)
    if str(kept.get("state_key")) == state_key:
        sample = Sample(
            kept["photos"].astype(np.float32),
            kept["regions"].astype(np.float32),
            kept["starts"],
            int(kept["population"]),
            _tops(kept),
        )
    else:
        sample = draw_sample(catalog, info.retrieval_head, store.count("images"))
        measured_at = int(kept.get("tops_population", 0)) if texts_key == kept_key else 0
        tops = None
        if sample.population > len(sample.photos):
            near = abs(sample.population - measured_at) <= CHANGED * measured_at
            tops = _tops(kept) if near else None
            if tops is None:
                tops = ask_all(store, info.retrieval_head, photo_texts, region_texts)
                measured_at = sample.population
        sample = replace(sample, tops=tops)
        _write(
            folder / FILE,
            **{f"tops_{kind}": values for kind, values in (tops or {}).items()},
            tops_population=np.array(measured_at),
            texts_key=np.array(texts_key),
            state_key=np.array(state_key),
            photo_texts=photo_texts,
            region_texts=region_texts,
            photos=sample.photos.astype(np.float16),
            regions=sample.regions.astype(np.float16),
            starts=sample.starts,
            population=np.array(sample.population),
        )
    return Calibration(sample, photo_texts, region_texts)


def ask_all(
    store: VectorStore, head: str, photo_texts: Array, region_texts: Array
) -> dict[Kind, Array]:
    """The maximum cosines over the whole collection with the texts selected by `asked`."""
    rows = asked(len(photo_texts))
    sides: tuple[tuple[Kind, Array, str], ...] = (
        ("images", photo_texts, head),
        ("regions", region_texts, REGION_VECTOR),
    )
    tops: dict[Kind, Array] = {}
    for kind, texts, using in sides:
        found = store.search(kind, texts[rows], using=using, limit=1)
        tops[kind] = np.array([hits.scores[0] for hits in found], np.float32)
    return tops


def _tops(kept: dict[str, Any]) -> dict[Kind, Array] | None:
    return {kind: kept[f"tops_{kind}"] for kind in KINDS} if "tops_images" in kept else None


def unrelated_texts(encoder: QueryEncoder) -> tuple[Array, Array]:
    """The unrelated texts for comparison with photos and with regions, (T, D) each.

    For regions each text uses one of the templates in turn: the mean over texts then also averages
    the templates, at a ninth of the cost.
    """
    texts = word_list("unrelated")
    templates = TEMPLATES[encoder.embedder.info.prompts]
    photo = encoder.encode([expand(text, PLAIN) for text in texts])
    sentences = [expand(text, templates) for text in texts]
    turns = [[each[i % len(each)]] for i, each in enumerate(sentences)]
    return photo, encoder.encode(turns)


def draw_sample(
    catalog: Catalog, head: str, population: int, photos: int = SAMPLE_PHOTOS
) -> Sample:
    """Vectors of the `photos` photos with the smallest ids among those with vectors. Raises
    `EmptySampleError`.
    """
    ids = heapq.nsmallest(photos, (key for key, sound in catalog.ids().items() if sound))
    column = f"vector_{head}"
    table = catalog.rows(ids, ["id", "status", column, "region_vectors"])
    lengths = pc.fill_null(pc.list_value_length(table["region_vectors"]), 0)
    sound = pc.and_(pc.equal(table["status"], "ok"), pc.greater(lengths, 0))
    table = table.filter(sound).combine_chunks()
    if not len(table):
        raise EmptySampleError
    counts = pc.list_value_length(table["region_vectors"]).to_numpy()
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64)
    return Sample(
        unit_vectors(table[column]),
        unit_vectors(table["region_vectors"].combine_chunks().flatten()),
        starts,
        max(population, len(table)),
    )


def unit_vectors(column: pa.ChunkedArray | pa.Array) -> Array:
    """A column of fixed-size lists -> (N, D) float32 of unit norm (float16 storage rounds the
    norms).
    """
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    vectors = np.asarray(whole.flatten(), np.float32).reshape(len(whole), -1)
    lengths = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return np.asarray(vectors / lengths, np.float32)


def _key(*parts: str) -> str:
    return hashlib.sha256("\n".join((str(VERSION), *parts)).encode()).hexdigest()


def _read(path: Path, dim: int) -> dict[str, Any]:
    """The arrays of the file; empty when it is missing, damaged or not what `_write` makes of
    vectors (N, dim), since everything can be recomputed.
    """
    try:
        kept = read_arrays(path)
    except (OSError, ValueError):
        return {}
    return kept if _fits(kept, dim) else {}


def _fits(kept: dict[str, npt.NDArray[np.generic]], dim: int) -> bool:
    """Whether the arrays form a valid calibration."""
    rows = ("photo_texts", "region_texts", "photos", "regions")
    if not {*rows, "starts", "population"} <= kept.keys():
        return False
    if any(kept[name].ndim != 2 or kept[name].shape[1] != dim for name in rows):
        return False
    texts = len(word_list("unrelated"))
    tops = [kept[name] for kind in KINDS if (name := f"tops_{kind}") in kept]
    numbers = [*(kept[name] for name in rows), *tops]
    if not all(each.dtype.kind == "f" and np.isfinite(each).all() for each in numbers):
        return False
    starts, regions = kept["starts"], len(kept["regions"])
    return (
        len(kept["photo_texts"]) == len(kept["region_texts"]) == texts
        and [each.shape for each in tops] in ([], [asked(texts).shape] * len(KINDS))
        and starts.dtype == np.int64
        and starts.shape == (len(kept["photos"]),)
        and len(starts) > 0
        and int(starts[0]) == 0
        and bool((np.diff(starts, append=regions) > 0).all())
        and kept["population"].shape == ()
        and kept["population"].dtype.kind in "iu"
    )


def _write(path: Path, **arrays: npt.NDArray[np.generic]) -> None:
    """Replace the file by rename. If that fails (permissions, full disk), search still works and
    only starts more slowly.
    """
    if not path.parent.is_dir():
        return
    try:
        with replacing(path) as file:
            np.savez(file, allow_pickle=False, **arrays)
    except OSError:
        return
