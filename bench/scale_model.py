"""Bytes, machines, times and money for collections that nobody here can build (JSON and a plot).

    python -m bench.scale_model --measured docs/scale/scale.json --out docs/scale

Every number that goes in is a field of `Measured` (from a bench in this repository, which the field
names), `Assumed` (from elsewhere, or a guess that says so) or `Setup` (a decision). The formulae
are one function each. `check` holds the small end against the collections of 10,000, 100,000 and
1,000,000 photos that were built and measured; the field values come from the middle one, so the
other two are predictions. tests/test_scale_model.py asserts the tolerances.

Letters: n photos, R regions of a photo, D width of a vector.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from bench.scale_tail import Shard, Tail, fan_out

KB, GB, TB = 1e3, 1e9, 1e12
HOUR, DAY, MONTH = 3600.0, 86_400.0, 730 * 3600.0
SIZES = (10**5, 10**6, 10**7, 10**8, 10**9)


class Width(NamedTuple):
    """What a vector of some width costs: bytes of it in a file, bytes of its code in memory, and
    nanoseconds in which the two cores scan one point."""

    dim: int
    vector: float
    code: float
    scan_ns: float
    recall: float


NARROW = Width(128, 260, 73, 12.2, 0.9965)
"""docs/scale/quantisers-128.json (float16, 4 bits); the scan: scale.json, 100,000 photos, 19.5 ms
for 1.6 million regions."""
WIDE = Width(768, 776, 201, 14.0, 0.9925)
"""docs/scale/quantisers-768.json (Turbo8, 2 bits); the scan: docs/regions.md, 43 ms a search of
places among 1.6 million regions, less the page of 18 and 2 of other work."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """On an AMD EPYC, two cores, 24 GB."""

    narrow: Width = NARROW
    wide: Width = WIDE
    heads: int = 2
    point_bytes: float = 762.0
    """Payload, its indexes and ids of a point: vector files of 100,000 photos less the vectors."""
    row_bytes: float = 5787.0
    """Thumbnail, facts, paths and older versions in a catalog's row: the catalog of 100,000 drawn
    scenes less their vectors, boxes and masks."""
    publish_points: float = 5200.0
    """Points a second that publishing makes searchable: scale.json, 100,000 photos."""
    page_ms: float = 8.27
    page_decade_ms: float = 9.58
    """Reading a page of 20 hits from the catalog at 10,000 photos, and more for every factor of 10:
    scale.json, places, 10,000 and 100,000."""
    work_ms: float = 4.5
    """Grouping, scores and asking twice, besides scan and page: scale.json, 100,000."""
    again: float = 1.18
    """A search asks some shards again (`indexer/edge/search.py`)."""
    heap_base_gb: float = 0.59
    heap_photo_bytes: float = 1500.0
    """Anonymous memory of the whole program: scale.json, opened, 100,000 and 1,000,000."""
    spread: float = 1.23
    """95 % point over median of searches of places: scale.json, 100,000."""
    encode_cpu: float = 0.745
    """Pictures a second of `tipsv2-b14` on one core: docs/benchmarks.md, 1.49 on two."""
    encode_gflop: float = 214.0
    """docs/benchmarks.md."""
    decode: float = 25.0
    """JPEGs of 12 megapixels a second on one core, reduced while decoding: docs/benchmarks.md, 50.3
    on two."""
    ledger_bytes: float = 191.0
    """Of the indexing process for every known file: 119 for the id, 72 for its line in a scan."""
    commit_photos: float = 17_000.0
    """Photos a second that one process commits as fragments of others: 256 in 15 ms."""
    graph_build: float = 485.0
    """Points a second that become a graph (HNSW, m=16): docs/scale/quantisers-128.json."""
    graph_bytes: float = 45.0
    """Of a graph for a point, in the same file."""


@dataclass(frozen=True, kw_only=True)
class Assumed:
    """Not measured here."""

    gpu_tflops: float = 989.0
    """bfloat16 without sparsity of an H100 SXM (NVIDIA's data sheet)."""
    gpu_share: float = 0.4
    """Of which a vision transformer gets: a guess; 0.35 to 0.55 is usual for training."""
    gpu_hour: float = 3.0
    core_hour: float = 0.05
    memory_gb_hour: float = 0.005
    ssd_gb_month: float = 0.08
    object_gb_month: float = 0.023
    get_request: float = 0.4e-6
    """Dollars, rounded list prices of large providers on demand; put in your own."""
    photo_bytes: float = 4e6
    """A photo file of 12 megapixels."""
    thumbnail_bytes: float = 12e3
    """WebP of 320 pixels of a real photo; drawn scenes take less."""
    graph_ms: float = 4.0
    """A search of one shard's graph on one core, with rescoring from SSD and filters: a guess; a
    graph of 100,000 answers in 0.5 (docs/scale/quantisers-128.json)."""
    slow_share: float = 0.002
    slow_factor: float = 10.0
    hedge: float = 2.0
    """Two answers in a thousand are ten times slower (merges, cold pages, neighbours): a guess.
    hedge: a second replica is asked after so many medians."""
    copy_bytes: float = 250e6
    """Bytes a second at which a machine is filled again (2.5 Gbit/s and the disk)."""
    mtbf: float = 0.5 * 365 * DAY
    """Between two failures of a machine: a guess on the safe side."""


@dataclass(frozen=True, kw_only=True)
class Setup:
    """A collection, and the machines for it. grid: patches of a photo. target_ms: for the scan of a
    search. fill: of memory and disk that may be used."""

    regions: int = 16
    wide: bool = True
    grid: int = 1024
    thumbnail: bool = True
    node_cores: int = 16
    node_memory_gb: float = 128.0
    node_disk_gb: float = 3800.0
    replicas: int = 2
    target_ms: float = 200.0
    fill: float = 0.7


MEASURED = Setup(
    wide=False, grid=144, thumbnail=False, node_cores=2, node_memory_gb=24.0, replicas=1
)
"""The collections of scale.json."""
M, A = Measured(), Assumed()


def width(setup: Setup) -> Width:
    """The vectors of a collection."""
    return M.wide if setup.wide else M.narrow


def points(n: float, setup: Setup) -> float:
    """One of the photo and one of each region."""
    return n * (1 + setup.regions)


def vectors_of(n: float, setup: Setup) -> float:
    """Vectors: one of every head and one of every region."""
    return n * (M.heads + setup.regions)


def vector_bytes(n: float, setup: Setup) -> float:
    """The vector store on disk: vectors, codes, and what comes with a point."""
    each = width(setup).vector + width(setup).code
    return vectors_of(n, setup) * each + points(n, setup) * M.point_bytes


def catalog_bytes(n: float, setup: Setup) -> float:
    """The catalog: float16 vectors, boxes (16 bytes), masks (a bit a patch), and the rest."""
    rest = M.row_bytes + (A.thumbnail_bytes if setup.thumbnail else 0.0)
    masks = setup.regions * (16 + setup.grid / 8)
    return n * (2 * width(setup).dim * vectors_of(1, setup) + masks + rest)


def memory_bytes(n: float, setup: Setup) -> float:
    """What must be in memory: codes, and the heap of the program."""
    return vectors_of(n, setup) * width(setup).code + M.heap_base_gb * GB + n * M.heap_photo_bytes


def scan_ms(n: float, setup: Setup, cores: float = 2.0) -> float:
    """Looking at every region's code once; cores share the work."""
    return n * setup.regions * width(setup).scan_ns * 2 / cores / 1e6


def page_ms(n: float) -> float:
    """Reading the rows of the shown hits."""
    return M.page_ms + M.page_decade_ms * max(0.0, math.log10(n / 1e4))


def search_ms(n: float, setup: Setup, cores: float = 2.0) -> float:
    """A search of places by text, the text encoded, on one machine that holds everything in
    memory."""
    return page_ms(n) + M.work_ms + M.again * scan_ms(n, setup, cores)


def publish_seconds(n: float, setup: Setup, cores: float = 2.0) -> float:
    """Making vectors searchable."""
    return points(n, setup) / M.publish_points * 2 / cores


def fits(n: float, setup: Setup) -> bool:
    """Whether the pages of the vector files find room beside what must be in memory; if not, a
    search waits for the disk."""
    room = setup.node_memory_gb * GB - memory_bytes(n, setup)
    return room > vector_bytes(n, setup)


class Comparison(NamedTuple):
    """One modelled figure beside the measured one. within: the tolerance, as a share."""

    what: str
    photos: int
    model: float
    measured: float
    within: float

    @property
    def off(self) -> float:
        """Model over measured, less 1."""
        return self.model / self.measured - 1


TOLERANCES = {
    "vectors GB": 0.03,
    "catalog GB": 0.20,  # how many old versions lie there depends on the hour
    "region vector bytes": 0.03,
    "build seconds": 0.45,  # built beside other work, load averages of 6 to 13
    "anonymous memory GB": 0.35,
    "scan ms": 0.40,  # small collections are not scanned by both cores, large ones in larger pieces
    "search ms": 0.35,
}


def check(collections: Sequence[Mapping[str, Any]]) -> list[Comparison]:
    """The model against measured collections (docs/scale/scale.json), figure by figure."""
    found = []
    for one in collections:
        n, setup = int(one["images"]), MEASURED
        places = one["searches"]["regions"]["all"]
        each = setup.regions * (M.narrow.vector + M.narrow.code)
        pairs = {
            "vectors GB": (vector_bytes(n, setup) / GB, one["vectors_megabytes"] / KB),
            "catalog GB": (catalog_bytes(n, setup) / GB, one["catalog_megabytes"] / KB),
            "region vector bytes": (each, one["region_vector_bytes_per_image"]),
            "build seconds": (publish_seconds(n, setup), one["publish_seconds"]),
            "anonymous memory GB": (
                (M.heap_base_gb * GB + n * M.heap_photo_bytes) / GB,
                one["memory_megabytes"]["opened"]["anonymous"] / KB,
            ),
            "scan ms": (scan_ms(n, setup), places["vector query of 100"]["p50"]),
            "search ms": (search_ms(n, setup), places["after encoding"]["p50"]),
        }
        found += [Comparison(what, n, *pair, TOLERANCES[what]) for what, pair in pairs.items()]
    return found


def nodes(n: float, setup: Setup, *, graph: bool) -> dict[str, int]:
    """Machines that each limit asks for, without replicas; the largest counts."""
    memory = memory_bytes(n, setup) + (points(n, setup) * M.graph_bytes if graph else 0.0)
    scan = 0.0 if graph else scan_ms(n, setup, setup.node_cores) / setup.target_ms
    return {
        "memory": _up(memory / (setup.fill * setup.node_memory_gb * GB)),
        "disk": _up(vector_bytes(n, setup) / (setup.fill * setup.node_disk_gb * GB)),
        "scan": _up(scan),
    }


def encode(n: float) -> dict[str, float]:
    """Embedding photos with `tipsv2-b14`: core-hours and GPU-hours, dollars of each way (decoding
    included), and what fetching the files costs."""
    gpu_rate = A.gpu_tflops * KB * A.gpu_share / M.encode_gflop
    decode_hours = n / M.decode / HOUR
    gpu_hours, cpu_hours = n / gpu_rate / HOUR, n / M.encode_cpu / HOUR
    return {
        "gpu_photos_per_second": gpu_rate,
        "gpu_hours": gpu_hours,
        "decode_core_hours": decode_hours,
        "cores_per_gpu": gpu_rate / M.decode,
        "gpu_dollars": gpu_hours * A.gpu_hour + decode_hours * A.core_hour,
        "cpu_core_hours": cpu_hours + decode_hours,
        "cpu_dollars": (cpu_hours + decode_hours) * A.core_hour,
        "fetch_dollars": n * A.get_request,
        "commit_hours": n / M.commit_photos / HOUR,
    }


def node_month(setup: Setup) -> float:
    """Dollars a month for one machine."""
    hourly = setup.node_cores * A.core_hour + setup.node_memory_gb * A.memory_gb_hour
    return hourly * MONTH / HOUR + setup.node_disk_gb * A.ssd_gb_month


def plan(n: int, setup: Setup) -> dict[str, Any]:
    """Everything about a collection of n photos; "flat" scans all codes, "graph" follows HNSW."""
    ways: dict[str, Any] = {}
    for name in ("flat", "graph"):
        graph = name == "graph"
        limits = nodes(n, setup, graph=graph)
        shards = max(limits.values())
        machines = shards * (setup.replicas if shards > 1 else 1)
        once = A.graph_ms if graph else scan_ms(n / shards, setup, setup.node_cores)
        tail = fan_out(_shard(), shards, replicas=setup.replicas, searches=4000)
        build = points(n, setup) / (M.graph_build if graph else M.publish_points)
        # A scan takes all cores of every machine, a walk through a graph one of them.
        parallel = setup.node_cores if graph else 1
        ways[name] = {
            "limits": limits,
            "shards": shards,
            "machines": machines,
            "dollars_a_month": machines * node_month(setup),
            "shard_ms": once,
            "search_ms": {key: page_ms(n) + M.work_ms + once * x for key, x in _each(tail)},
            "searches_per_second": machines / shards * parallel / (once / KB),
            "build_hours": build * 2 / setup.node_cores / machines / HOUR,
            "refill_hours": vector_bytes(n / shards, setup) / A.copy_bytes / HOUR,
            "outages_a_year": outages(shards, n, setup),
        }
    return {
        "photos": n,
        "points": points(n, setup),
        "vectors_bytes": vector_bytes(n, setup),
        "catalog_bytes": catalog_bytes(n, setup),
        "memory_bytes": memory_bytes(n, setup),
        "photo_bytes": n * A.photo_bytes,
        "indexing_process_bytes": n * M.ledger_bytes,
        "one_machine": {
            "search_ms": search_ms(n, setup, setup.node_cores),
            "fits": fits(n, setup),
        },
        "catalog_dollars_a_month": catalog_bytes(n, setup) / GB * A.object_gb_month,
        "originals_dollars_a_month": n * A.photo_bytes / GB * A.object_gb_month,
        "encode": encode(n),
        **ways,
    }


def outages(shards: int, n: float, setup: Setup) -> float:
    """Times a year that some shard has no replica left: a second machine of a shard fails while the
    first is filled again. Machines fail independently, which those of one rack do not."""
    refill = vector_bytes(n / shards, setup) / A.copy_bytes
    year = 365 * DAY
    if setup.replicas < 2:
        return shards * year / A.mtbf
    # Each of r replicas may be the first; the others fail within the time it takes to fill one.
    rate = setup.replicas / A.mtbf
    for left in range(setup.replicas - 1, 0, -1):
        rate *= left * refill / A.mtbf
    return shards * rate * year


def breaks(setup: Setup) -> list[dict[str, Any]]:
    """What a machine (as `setup` has it) cannot do any more, and from how many photos on."""
    memory = setup.node_memory_gb * GB

    def first(too_much: Any) -> float:
        low, high = 1e3, 1e12
        for _ in range(100):
            middle = math.sqrt(low * high)
            low, high = (low, middle) if too_much(middle) else (middle, high)
        return high

    return [
        {"what": what, "photos": first(too_much)}
        for what, too_much in (
            ("a search of places takes 100 ms",
             lambda n: search_ms(n, setup, setup.node_cores) > 100),
            ("vector files outgrow the page cache", lambda n: not fits(n, setup)),
            ("a search of places takes 1 s",
             lambda n: search_ms(n, setup, setup.node_cores) > 1000),
            ("codes and heap outgrow memory", lambda n: memory_bytes(n, setup) > memory),
            ("the indexing process outgrows memory",
             lambda n: n * M.ledger_bytes > setup.fill * memory),
            ("publishing everything anew takes a day",
             lambda n: publish_seconds(n, setup, setup.node_cores) > DAY),
        )
    ]  # fmt: skip


def _shard() -> Shard:
    return Shard(spread=M.spread, slow_share=A.slow_share, slow_factor=A.slow_factor, hedge=A.hedge)


def _each(tail: Tail) -> list[tuple[str, float]]:
    return list(tail._asdict().items())


def _up(value: float) -> int:
    return max(1, math.ceil(value))


def tails() -> dict[str, dict[str, Tail]]:
    """Fan-outs of some sizes, in medians of one shard, without and with hedged requests."""
    return {
        str(shards): {
            "one replica": fan_out(_shard(), shards, replicas=1, searches=20_000),
            "hedged": fan_out(_shard(), shards, replicas=2, searches=20_000),
        }
        for shards in (1, 4, 16, 64, 256)
    }


def draw(results: Mapping[str, Any], path: Path) -> None:
    """Bytes, the time of a search, and its tail."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 3, figsize=(14, 4), constrained_layout=True)
    sizes = [10 ** (4 + step / 4) for step in range(21)]
    for setup, label in ((MEASURED, "128 wide"), (Setup(), "768 wide")):
        axes[0].plot(sizes, [vector_bytes(n, setup) / GB for n in sizes], label=f"vectors, {label}")
        axes[0].plot(
            sizes, [memory_bytes(n, setup) / GB for n in sizes], "--", label=f"memory, {label}"
        )
    axes[1].plot(sizes, [search_ms(n, MEASURED) for n in sizes], label="2 cores, 128 wide")
    axes[1].plot(sizes, [search_ms(n, Setup(), 16) for n in sizes], label="16 cores, 768 wide")
    for row in results["check"]:
        place = {"vectors GB": axes[0], "search ms": axes[1]}.get(row["what"])
        if place is not None:
            place.plot(row["photos"], row["measured"], "ko")
    for way in ("one replica", "hedged"):
        shards = [int(number) for number in results["tail"]]
        values = [results["tail"][str(number)][way].p99 for number in shards]
        axes[2].plot(shards, values, marker=".", label=f"99 %, {way}")
    titles = ("gigabytes (dots: measured)", "search of places, ms", "slowest shard, in medians")
    for axis, title in zip(axes, titles, strict=True):
        axis.set(xscale="log", title=title)
        axis.legend()
    axes[0].set(yscale="log", xlabel="photos")
    axes[1].set(yscale="log", xlabel="photos")
    axes[2].set(xlabel="shards")
    figure.savefig(path, dpi=110)


def main() -> None:
    """Compute, print, write `model.json` and `model.png`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measured", type=Path, default=Path("docs/scale/scale.json"))
    parser.add_argument("--out", type=Path, default=Path("docs/scale"))
    options = parser.parse_args()
    rows = [
        {**one._asdict(), "off": one.off} for one in check(json.loads(options.measured.read_text()))
    ]
    results = {
        "measured": asdict(M),
        "assumed": asdict(A),
        "setup": asdict(Setup()),
        "check": rows,
        "breaks": {"2 cores, 24 GB": breaks(MEASURED), "16 cores, 128 GB": breaks(Setup())},
        "tail": tails(),
        "plans": [plan(n, Setup()) for n in SIZES],
    }
    options.out.mkdir(parents=True, exist_ok=True)
    draw(results, options.out / "model.png")
    plain = json.loads(json.dumps(results, default=list))
    (options.out / "model.json").write_text(json.dumps(plain, indent=2) + "\n")
    for row in rows:
        print(f"{row['what']:22} {row['photos']:9,} {row['model']:10.2f} {row['measured']:10.2f} "
              f"{row['off']:+.0%} (within {row['within']:.0%})")  # fmt: skip


if __name__ == "__main__":
    main()
