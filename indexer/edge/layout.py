"""How a shard of the embedded store is laid out: a function of its size and of the vectors' width,
without a user's help.

| width | vectors | from `QUANTISE_FROM` points on, codes | bytes a vector | recall@100 |
|-|-|-|-|-|
| below `WIDE` | float16 | TurboQuant, 4 bits | 333 (128 wide) | 0.999 |
| from there on | Turbo8 | TurboQuant, 2 bits | 977 (768 wide) | 0.985 |

Codes are in memory and find candidates, which the vectors, read from disk, rescore; smaller shards
are scanned as they are. Wide vectors are kept in 8 bits a number, whose cosines are off by 0.0003,
so that 16 regions of 768 take less than 16 KB. There is no graph: it takes 20 times as long to
build, finds less, and loses filtered hits unless it has links for every filter. Large shards are
segments of about `SEGMENT_POINTS`, which the engine searches in parallel, and which a merge of
shards leaves as they are. Figures: `bench/quantisers.py`, docs/regions.md.
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
"""Read from the files: in memory they take 500 bytes a point, twice the time to open, and answer no
faster."""


class Layout(NamedTuple):
    """How vectors are kept, and how many candidates by codes are rescored for each hit."""

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
        # m=0 is no graph: a graph without payload links loses filtered hits silently.
        hnsw_config=edge.HnswIndexConfig(
            m=0, ef_construct=16, full_scan_threshold=10_000, payload_m=0
        ),
        quantization_config=codes if quantised else None,
        optimizers=edge.EdgeOptimizersConfig(
            default_segment_number=1,
            # KB, with a margin for segments that were filled a little beyond.
            max_segment_size=SEGMENT_POINTS * dim * layout.bytes_per_number * 5 // 4 // 1024 + 1,
            indexing_threshold=1 if quantised else 0,  # KB; 0 never builds codes
            deleted_threshold=1e-6,
            vacuum_min_vector_number=1,
        ),
        id_tracker_memory=_COLD,
        wal_enabled=False,
    )
