"""Sync the vector store with the catalog: the changes since the last publish, or everything.

Publishing is idempotent and can be interrupted at any moment: points have fixed ids, a commit is
atomic, and the store's revision changes only with a commit. A deleted photo stays in the catalog as
a "removed" row until the store has dropped it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from indexer.catalog.rows import unpack_masks
from indexer.catalog.table import Catalog
from indexer.fields import COLUMNS, point_payload
from indexer.vectors import (
    REGION_VECTOR,
    FloatArray,
    Payload,
    PointBatch,
    VectorStore,
    VectorWriter,
    image_point_id,
    region_point_id,
)

_FACTS = ["status", *COLUMNS]
_REGIONS = ["region_vectors", "region_boxes", "region_masks", "grid_h", "grid_w"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishReport:
    """The result of a publish: photos inserted or replaced, photos removed, and the new
    revision."""

    published: int
    removed: int
    revision: int
    seconds: float


def publish(
    catalog: Catalog,
    store: VectorStore,
    *,
    rebuild: bool = False,
    progress: Callable[[int], None] | None = None,
) -> PublishReport:
    """Bring the store to the catalog's state; `rebuild` fills a new one from the catalog alone.

    `progress` is called with the number of rows done so far. Afterwards the store serves the new
    state.
    """
    started = time.monotonic()
    revision = catalog.revision
    changed = _changes(catalog, 0 if rebuild else store.revision)
    first = next(changed, None)
    published = removed = 0
    if first is not None or rebuild:
        with store.writer(rebuild) as writer:
            for batch in chain([] if first is None else [first], changed):
                ok = batch.filter(pc.equal(batch["status"], "ok"))
                gone = batch.filter(pc.not_equal(batch["status"], "ok"))["id"].to_pylist()
                _put(writer, ok)
                if gone and not rebuild:
                    writer.remove(gone)
                published, removed = published + len(ok), removed + len(gone)
                if progress is not None:
                    progress(published + removed)
            writer.commit(revision)
        store.refresh()
    else:
        store.tidy()
    # Not earlier, but also after a publish that was killed before this line.
    catalog.purge(store.revision)
    seconds = time.monotonic() - started
    return PublishReport(
        published=published, removed=removed, revision=store.revision, seconds=seconds
    )


def columns(catalog: Catalog) -> list[str]:
    """The catalog columns that points are built from."""
    heads = [name for name in catalog.schema.names if name.startswith("vector_")]
    return [*_FACTS, *heads, *_REGIONS]


def _put(writer: VectorWriter, rows: pa.RecordBatch) -> None:
    """Upsert the points of rows with vectors (see `columns`)."""
    if not len(rows):
        return
    images = image_points(rows)
    writer.upsert("images", images)
    regions = _region_points(rows, images.payload)
    if len(regions):
        writer.upsert("regions", regions)


def _changes(catalog: Catalog, revision: int) -> Iterator[pa.RecordBatch]:
    return catalog.changed_since(revision, columns(catalog))


def image_points(rows: pa.RecordBatch) -> PointBatch:
    """The image points of rows with vectors (see `columns`)."""
    facts = [point_payload(row) for row in rows.select(_FACTS).to_pylist()]
    heads = [name for name in rows.schema.names if name.startswith("vector_")]
    vectors = {name.removeprefix("vector_"): _matrix(rows[name]) for name in heads}
    return PointBatch([image_point_id(f["image"]) for f in facts], vectors, facts)


def _region_points(rows: pa.RecordBatch, facts: list[Payload]) -> PointBatch:
    """All regions of all rows, in order."""
    boxes = rows["region_boxes"].to_pylist()
    ids: list[str] = []
    payload: list[Payload] = []
    for fact, row_boxes, area in zip(facts, boxes, _areas(rows, boxes), strict=True):
        for k, box in enumerate(row_boxes):
            ids.append(region_point_id(fact["image"], k))
            payload.append({**fact, "box": box, "area": float(area[k]), "k": k})
    vectors = _matrix(rows["region_vectors"].flatten())
    return PointBatch(ids, {REGION_VECTOR: vectors}, payload)


def _areas(
    rows: pa.RecordBatch, boxes: list[list[list[float]]]
) -> Iterator[npt.NDArray[np.float64]]:
    """For each row the fraction of the picture that each region's mask covers, (R,)."""
    sizes = zip(rows["grid_h"].to_pylist(), rows["grid_w"].to_pylist(), strict=True)
    for packed, row_boxes, (height, width) in zip(
        rows["region_masks"].to_pylist(), boxes, sizes, strict=True
    ):
        yield unpack_masks(packed, len(row_boxes), height, width).mean(axis=(1, 2))


def _matrix(column: pa.FixedSizeListArray) -> FloatArray:
    """(N, D) float32 from a vector column without nulls."""
    flat = column.flatten().to_numpy(zero_copy_only=False)
    return np.asarray(flat, np.float32).reshape(len(column), column.type.list_size)
