"""How a shard of the embedded store is laid out: a function of its size, without a user's help.

| points of a shard | vectors | codes | graph |
|-|-|-|-|
| below `QUANTISE_FROM` | float16, cached | none: a plain scan is as fast, and exact | none |
| from there on | float16, on disk, for rescoring | 4 bits, in memory | none |

Large shards are several segments of at most `SEGMENT_POINTS`, which the engine searches in parallel
on all processors. Measured with `bench/scale.py` and listed in docs/regions.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import qdrant_edge as edge

from indexer.vectors import FieldType

QUANTISE_FROM = 20_000  # points
SEGMENT_POINTS = 65_536
OVERSAMPLING = 2.0
"""Candidates by codes for each hit, rescored with the stored vectors; each segment takes as many,
so that more would only be read for nothing."""
_BYTES_PER_ENTRY = 2  # float16
_COLD = edge.Memory.Cold
PAYLOAD_INDEX: dict[FieldType, Any] = {
    "keyword": edge.KeywordIndexParams(memory=_COLD),
    "integer": edge.IntegerIndexParams(lookup=True, range=True, memory=_COLD),
    "float": edge.FloatIndexParams(memory=_COLD),
    "geo": edge.GeoIndexParams(memory=_COLD),
}
"""Read from the files: in memory they take 500 bytes a point, twice the time to open, and answer no
faster."""


def shard_config(names: Sequence[str], dim: int, *, quantised: bool) -> edge.EdgeConfig:
    """Flat cosine vectors, segments of bounded size, no write-ahead log."""
    vector = edge.EdgeVectorParams(
        size=dim,
        distance=edge.Distance.Cosine,
        datatype=edge.VectorStorageDatatype.Float16,
        memory=_COLD if quantised else edge.Memory.Cached,
    )
    codes = edge.TurboQuantQuantizationConfig(
        bits=edge.TurboQuantBitSize.Bits4, memory=edge.Memory.Pinned
    )
    return edge.EdgeConfig(
        vectors=dict.fromkeys(names, vector),
        # m=0 is no graph: a graph without payload links loses filtered hits silently.
        hnsw_config=edge.HnswIndexConfig(
            m=0, ef_construct=16, full_scan_threshold=10_000, payload_m=0
        ),
        quantization_config=codes if quantised else None,
        optimizers=edge.EdgeOptimizersConfig(
            default_segment_number=1,
            max_segment_size=SEGMENT_POINTS * dim * _BYTES_PER_ENTRY // 1024,  # KB
            indexing_threshold=1 if quantised else 0,  # KB; 0 never builds codes
            deleted_threshold=1e-6,
            vacuum_min_vector_number=1,
        ),
        id_tracker_memory=_COLD,
        wal_enabled=False,
    )
