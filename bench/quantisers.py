"""What storage and codes cost and find: one flat shard of region vectors per way of keeping them.

    python bench/quantisers.py SOURCE --points 200000 --width 768 --out docs

SOURCE is a collection of `nano`; vectors and texts are made from it as in `bench/scale.py`. For
each kind of storage and codes: seconds to build, bytes per vector, and for 100 and 1,000 hits at
several oversamplings the milliseconds of a search and the share of the exact best that it returns.
The same for graphs (HNSW) of two sizes. Writes `quantisers-WIDTH.json` and `.png`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import qdrant_edge as edge
from scale import disk_bytes, machine
from scale_collection import Array, Source, open_model
from scale_measure import quantiles, texts

from search.templates import PLAIN, expand

BLOCK = 1024  # points of one call
STORAGES = ("Float16", "Turbo8", "Uint8")
CODES = ("none", "bits 1", "bits 2", "bits 4", "bits 8", "int8", "binary")
OVERSAMPLING = (1.0, 2.0, 3.0, 8.0)
GRAPHS = ((16, 100), (32, 200))  # m, ef_construct


def config(width: int, storage: str, codes: str, graph: tuple[int, int] | None) -> edge.EdgeConfig:
    """One segment, no write-ahead log."""
    memory = edge.Memory.Pinned
    quantisation: Any = None
    if codes.startswith("bits"):
        bits = getattr(edge.TurboQuantBitSize, "Bits" + codes.removeprefix("bits "))
        quantisation = edge.TurboQuantQuantizationConfig(bits=bits, memory=memory)
    elif codes == "int8":
        quantisation = edge.ScalarQuantizationConfig(type=edge.ScalarType.Int8, memory=memory)
    elif codes == "binary":
        quantisation = edge.BinaryQuantizationConfig(memory=memory)
    m, construct = graph or (0, 16)
    return edge.EdgeConfig(
        vectors=edge.EdgeVectorParams(
            size=width,
            distance=edge.Distance.Cosine,
            datatype=getattr(edge.VectorStorageDatatype, storage),
        ),
        hnsw_config=edge.HnswIndexConfig(
            m=m, ef_construct=construct, full_scan_threshold=10_000, payload_m=m
        ),
        quantization_config=quantisation,
        optimizers=edge.EdgeOptimizersConfig(
            default_segment_number=1, max_segment_size=2**31, indexing_threshold=1
        ),
        wal_enabled=False,
    )


def build(folder: Path, vectors: Array, settings: edge.EdgeConfig) -> tuple[edge.EdgeShard, float]:
    """A shard of the vectors, and the seconds that it took."""
    began = time.perf_counter()
    folder.mkdir()
    shard = edge.EdgeShard.create(str(folder), settings)
    for start in range(0, len(vectors), BLOCK):
        rows = range(start, min(start + BLOCK, len(vectors)))
        points = [edge.Point(i, vectors[i], {}) for i in rows]
        shard.update(edge.UpdateOperation.upsert_points(points))
    shard.optimize()
    shard.flush()
    return shard, time.perf_counter() - began


def ask(shard: edge.EdgeShard, query: Array, limit: int, oversampling: float) -> list[int]:
    """The ids of the nearest points."""
    codes = edge.QuantizationSearchParams(rescore=True, oversampling=oversampling)
    request = edge.QueryRequest(
        limit=limit,
        query=edge.Query.Nearest(query),
        params=edge.SearchParams(quantization=codes, hnsw_ef=limit),
    )
    return [hit.id for hit in shard.query(request)]


def measure(
    vectors: Array, queries: Array, truth: Any, storage: str, codes: str, graph: Any = None
) -> dict[str, Any]:
    """One way of keeping the vectors."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "shard")
        shard, seconds = build(folder, vectors, config(vectors.shape[1], storage, codes, graph))
        parts = folder.glob("segments/*/vector_*")
        size = sum(disk_bytes(part) for part in parts) / len(vectors)
        ways = {}
        for limit in (100, 1000):
            for oversampling in OVERSAMPLING if codes != "none" else OVERSAMPLING[:1]:
                took, recalls = [], []
                for query, best in zip(queries, truth, strict=True):
                    began = time.perf_counter()
                    found = ask(shard, query, limit, oversampling)
                    took.append(time.perf_counter() - began)
                    recalls.append(np.isin(best[:limit], found).mean())
                ways[f"{limit} hits, oversampling {oversampling:g}"] = {
                    **quantiles(took),
                    "recall": round(float(np.mean(recalls)), 4),
                }
        shard.close()
    named = f"{storage}, {codes}" + (f", graph {graph}" if graph else "")
    return {
        "way": named,
        "build_seconds": round(seconds, 1),
        "bytes_per_vector": round(size),
        "searches": ways,
    }


def plot(result: dict[str, Any], path: Path) -> None:
    """What of the best 100 is lost against the bytes of a vector; a mark for each oversampling."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axis = plt.subplots(figsize=(12, 6))
    for number, way in enumerate(result["ways"]):
        cells = [cell for name, cell in way["searches"].items() if name.startswith("100 ")]
        label = f"{way['way']}: built in {way['build_seconds']} s"
        lost = [max(1 - cell["recall"], 1e-4) for cell in cells]
        axis.plot(
            [way["bytes_per_vector"]] * len(cells),
            lost,
            marker="os^Dv"[number // 10],
            color=f"C{number % 10}",
            label=label,
        )
    axis.set_yscale("log")
    axis.axhline(0.02, color="grey", linestyle=":")
    axis.set_xlabel(f"bytes per vector, of {result['points']:,} x {result['width']}")
    axis.set_ylabel("1 - recall@100, from above: oversampling 1, 2, 3, 8")
    axis.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))
    axis.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main() -> None:
    """Measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("source", type=Path, help="a collection of nano")
    parser.add_argument("--points", type=int, default=200_000)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--queries", type=int, default=60)
    parser.add_argument("--storages", nargs="+", default=STORAGES, choices=STORAGES)
    parser.add_argument("--codes", nargs="+", default=CODES, choices=CODES)
    parser.add_argument("--graphs", action="store_true", help="also HNSW; takes minutes")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    source, width = Source(arguments.source, 16, arguments.width), arguments.width
    vectors = np.concatenate(
        [source.region_block(n) for n in range(-(-arguments.points // source.block_regions))]
    )[: arguments.points]
    embedder = open_model(width)
    sentences = [expand(text, PLAIN)[0] for text in texts(arguments.queries)]
    queries = embedder.embed_texts(sentences)
    truth = np.argsort(-queries @ vectors.T, axis=1)[:, :1000]
    ways = [(storage, codes, None) for storage in arguments.storages for codes in arguments.codes]
    if arguments.graphs:
        ways += [("Float16", "bits 4", graph) for graph in GRAPHS]
    result: dict[str, Any] = {"points": len(vectors), "width": width, "machine": machine()}
    result["ways"] = []
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / f"quantisers-{width}.json"
    for way in ways:
        result["ways"].append(measure(vectors, queries, truth, *way))
        print(json.dumps(result["ways"][-1]), flush=True)
        path.write_text(json.dumps(result, indent=2) + "\n")
    plot(result, path.with_suffix(".png"))


if __name__ == "__main__":
    main()
