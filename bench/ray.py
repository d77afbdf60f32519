"""What Ray costs against the local path, on one machine (JSON).

    python -m bench.ray --photos 800 --rounds 3 --out docs/scale/ray.json

The same JPEGs of 1600 x 1200 through `nano`: in this process, by one actor with all processors, by
two that share them. The ways alternate. rate: photos a second of the indexing stage without its
start; start: seconds until the first photos are embedded (actors start, each imports torch and
loads the model); seconds: the whole run, publishing included.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.pipeline import write_photos
from indexer.cluster.engine import RayWorkers
from indexer.cluster.session import ray_session
from indexer.collection import Collection
from indexer.options import IndexOptions
from indexer.pipeline import index
from indexer.progress import Progress
from tips_model.embedder import open_embedder
from tips_model.features import Embedder

WAYS: dict[str, int] = {"this process": 0, "one actor": 1, "two actors": 2}


class Watch:
    """Notes when the indexing stage began, and when photos were done."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.seen: list[tuple[float, int]] = []

    def __call__(self, progress: Progress) -> None:
        """A `ProgressCallback`."""
        if progress.stage == "index":
            now = time.perf_counter()
            if progress.total is not None and progress.done == 0:
                self.began = now
            elif progress.done:
                self.seen.append((now, progress.done))

    def rates(self) -> dict[str, float]:
        """start (seconds) and rate (photos a second from the first photos on)."""
        (first, before), (last, done) = self.seen[0], self.seen[-1]
        return {"start": first - self.began, "rate": (done - before) / (last - first)}


def run(folder: Path, photos: Path, embedder: Embedder, ray: Any, actors: int) -> dict[str, float]:
    """Index into a new collection, by so many actors (0: in this process)."""
    collection = Collection.create(folder, embedder.info)
    workers = None
    if actors:
        workers = RayWorkers(lambda: ray, collection, collection.model.open, actors=actors)
    watch = Watch()
    options = IndexOptions(window=32, commit_seconds=1e9)
    report = index(collection, [photos], embedder, options=options, progress=watch, workers=workers)
    return {**watch.rates(), "seconds": report.seconds, "embedded": report.embedded}


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=800)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    embedder = open_embedder("nano")
    results: dict[str, list[dict[str, float]]] = {name: [] for name in WAYS}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_photos(folder / "photos", options.photos, 1600, 1200)
        cpus = len(os.sched_getaffinity(0))
        with ray_session("local", num_cpus=cpus, object_store_memory=2**29) as ray:
            for number in range(options.rounds):
                for way, actors in WAYS.items():
                    place = folder / f"{way}-{number}"
                    results[way].append(run(place, folder / "photos", embedder, ray, actors))
    middle = {
        way: {key: statistics.median(one[key] for one in runs) for key in runs[0]}
        for way, runs in results.items()
    }
    facts = {
        "machine": f"{platform.machine()}, {cpus} cores",
        "load_average": os.getloadavg()[0],
        "photos": options.photos,
        "median": middle,
        "runs": results,
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(facts, indent=2) + "\n")
    print(json.dumps(middle, indent=2))


if __name__ == "__main__":
    main()
