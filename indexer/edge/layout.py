"""Storage layout of an embedded shard: vector types and quantization, chosen by size and vector
width.

| width | vectors | from `QUANTISE_FROM` points on, codes | bytes a vector | recall@100 |
|-|-|-|-|-|
| below `WIDE` | float16 | TurboQuant, 4 bits | 333 (128 wide) | 0.999 |
| from there on | Turbo8 | TurboQuant, 2 bits | 977 (768 wide) | 0.985 |

Codes in memory find candidates, which are rescored with the vectors read from disk; smaller shards
are scanned without codes. Wide vectors are stored in 8 bits per number, with cosine errors of
0.0003, so that 16 regions of 768 take less than 16 KB. There is no graph: it takes 20 times as long
to build, has lower recall, and loses filtered hits unless it has links for every filter. Large
shards consist of segments of about `SEGMENT_POINTS`, which the engine searches in parallel, and
which a merge of shards keeps unchanged. Figures: `bench/quantisers.py`, docs/regions.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import qdrant_edge as edge

from indexer.fields import FieldType

QUANTISE_FROM = 20_000  # points
SEGMENT_POINTS = 131_072  # about
WIDE = 512
_COLD = edge.Memory.Cold
PAYLOAD_INDEX: dict[FieldType, Any] = {
    "keyword": edge.KeywordIndexParams(memory=_COLD),
    "integer": edge.IntegerIndexParams(lookup=True, range=True, memory=_COLD),
    "float": edge.FloatIndexParams(memory=_COLD),
    "geo": edge.GeoIndexParams(memory=_COLD),
}
"""Read from disk: in memory they take 500 bytes per point and double the opening time, and queries
are no faster."""


class Layout(NamedTuple):
    """How vectors are stored, and how many candidates per hit are rescored."""

    datatype: edge.VectorStorageDatatype
    bytes_per_number: int
    bits: edge.TurboQuantBitSize
    oversampling: float


_NARROW = Layout(edge.VectorStorageDatatype.Float16, 2, edge.TurboQuantBitSize.Bits4, 2.0)
_WIDE = Layout(edge.VectorStorageDatatype.Turbo8, 1, edge.TurboQuantBitSize.Bits2, 5.0)


def layout_of(dim: int) -> Layout:
    """The layout of vectors of this width."""
    return _WIDE if dim >= WIDE else _NARROW


def shard_config(names: Sequence[str], dim: int, *, quantised: bool) -> edge.EdgeConfig:
    """Flat cosine vectors, segments of bounded size, no write-ahead log."""
    layout = layout_of(dim)
    vector = edge.EdgeVectorParams(
        size=dim,
        distance=edge.Distance.Cosine,
        datatype=layout.datatype,
        memory=_COLD if quantised else edge.Memory.Cached,
    )
    codes = edge.TurboQuantQuantizationConfig(bits=layout.bits, memory=edge.Memory.Pinned)
    return edge.EdgeConfig(
        vectors=dict.fromkeys(names, vector),
        # m=0 disables the graph: one without payload links silently loses filtered hits.
        hnsw_config=edge.HnswIndexConfig(
            m=0, ef_construct=16, full_scan_threshold=10_000, payload_m=0
        ),
        quantization_config=codes if quantised else None,
        optimizers=edge.EdgeOptimizersConfig(
            default_segment_number=1,
            # KB, with a margin for slightly overfull segments.
            max_segment_size=SEGMENT_POINTS * dim * layout.bytes_per_number * 5 // 4 // 1024 + 1,
            indexing_threshold=1 if quantised else 0,  # KB; 0 never builds codes
            deleted_threshold=1e-6,
            vacuum_min_vector_number=1,
        ),
        id_tracker_memory=_COLD,
        wal_enabled=False,
    )
