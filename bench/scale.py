"""How search behaves as a collection grows: latency by stage, recall, memory, disk, publishing.

    python bench/scale.py FOLDER --images 10000 100000 --regions 16 --width 128 --out docs

FOLDER keeps the collections (`bench/scale_collection.py` says what is in them); what was begun or
built there is used again. For texts to photos and texts to places, without a filter and with
filters that leave 10 % and 1 % of the photos, --out gets `scale.json` and `scale.png`: 50 % and
95 % quantiles of the milliseconds that a search of 20 hits takes, by stage; how many of the 100
nearest vectors by exact products the store returns; how many of the first 100 photos are those that
exact products of all photos and regions give. In the same run: numpy and FAISS (`pip install
faiss-cpu`) on the whole matrix in float32, if it fits into memory. Entries of other sizes in
`scale.json` stay.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from scale_collection import SOURCE_PHOTOS, add, build, make_source
from scale_measure import measure
from scale_reference import reference


def machine() -> str:
    """Processor, cores and memory."""
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0))
    return f"{names[0] if names else platform.machine()}, {cores} cores, {memory:.0f} GB"


def disk_bytes(folder: Path) -> int:
    """What the files take, holes left out."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


def vector_bytes(folder: Path) -> int:
    """What vectors and codes of regions take."""
    parts = (folder / "vectors").glob("shard-regions-*/segments/*/vector_storage-*")
    return sum(disk_bytes(part) for part in parts)


def run(folder: Path, source: Path, images: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Build one collection and measure it."""
    regions, width = arguments.regions, arguments.width
    place = folder / f"{images}x{regions}x{width}"
    collection = build(place, source, images, regions, width)
    times = json.loads((place / "build.json").read_text())
    # A process of its own, so that its memory is what searching takes.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        found = pool.submit(measure, place, width, arguments.queries).result()
    result: dict[str, Any] = {
        "images": images,
        "regions": images * regions,
        "regions_per_image": regions,
        "width": width,
        "machine": machine(),
        "load_average": os.getloadavg()[0],
        **times,
        "published_points_per_second": images * (regions + 1) / times["publish_seconds"],
        "publish_1000_seconds": add(collection, source, regions, 1000),
        "vectors_megabytes": disk_bytes(place / "vectors") / 1e6,
        "catalog_megabytes": disk_bytes(place / "catalog") / 1e6,
        "region_vector_bytes_per_image": vector_bytes(place) / images,
        **found["figures"],
    }
    result |= reference(place, found, timed=arguments.reference)
    return result


def plot(entries: list[dict[str, Any]], path: Path) -> None:
    """Stages of each search at each size, and totals against size."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, (stages, recall) = plt.subplots(
        1, 2, figsize=(14, 1.5 + 0.28 * 6 * len(entries)), width_ratios=[3, 1], sharey=True
    )
    names: list[str] = []
    colours: dict[str, str] = {}
    for entry in entries:
        for search, by_filter in entry["searches"].items():
            for filter, cell in by_filter.items():
                names.append(
                    f"{entry['images']:,} x {entry['regions_per_image']}, {entry['width']} wide: "
                    f"{search}, {filter}"
                )
                left = 0.0
                for number, (stage, quantiles) in enumerate(cell["stages"].items()):
                    if stage == "text encoding":
                        continue
                    colour = colours.setdefault(stage, f"C{number}")
                    stages.barh(names[-1], quantiles["p50"], left=left, color=colour)
                    left += quantiles["p50"]
                stages.plot(cell["after encoding"]["p95"], names[-1], "k|", markersize=10)
                recall.plot(cell["recall@100"], names[-1], "o", color="C0")
    for stage, colour in colours.items():
        stages.barh(names[:1], 0, color=colour, label=stage)
    stages.plot([], [], "k|", markersize=10, label="95 % of all searches")
    stages.invert_yaxis()
    stages.set_xlabel("milliseconds after text encoding: medians of stages, and 95 % line")
    stages.legend()
    recall.set_xlabel("recall@100 of vectors")
    recall.axvline(0.98, color="grey", linestyle=":")
    for axis in (stages, recall):
        axis.grid(axis="x", alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main() -> None:
    """Build, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="where collections are kept")
    parser.add_argument("--images", type=int, nargs="+", default=[10_000], help="sizes")
    parser.add_argument("--regions", type=int, default=16, help="regions per image")
    parser.add_argument("--width", type=int, default=128, help="of the vectors; nano has 128")
    parser.add_argument("--queries", type=int, default=200, help="texts that are asked")
    parser.add_argument("--source", type=Path, help="a collection of nano; else scenes are drawn")
    parser.add_argument(
        "--reference", action=argparse.BooleanOptionalAction, default=True, help="numpy and FAISS"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of scale.json and .png")
    arguments = parser.parse_args()
    folder = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    source = arguments.source or make_source(folder / "source", SOURCE_PHOTOS)
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "scale.json"
    for images in arguments.images:
        result = run(folder, source, images, arguments)
        entries = json.loads(path.read_text()) if path.exists() else []
        key = ("images", "regions_per_image", "width")
        kept = [e for e in entries if any(e[name] != result[name] for name in key)]
        entries = sorted([*kept, result], key=lambda e: tuple(e[name] for name in reversed(key)))
        path.write_text(json.dumps(entries, indent=2) + "\n")
        print(json.dumps(result, indent=2))
        plot(entries, path.with_suffix(".png"))


if __name__ == "__main__":
    np.set_printoptions(precision=3)
    main()
