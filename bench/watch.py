"""What one new photo costs in a library of many: a run that follows an event, and a full one.

    python -m bench.watch WORK --files 100000 --json docs/keeping.json

The library is files that are no pictures: they are known by name, size and time like photos, and
need no model. Only the new ones are pictures. Also measured: how much the catalog grows by so many
small runs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from functools import partial
from pathlib import Path

from PIL import Image

from indexer.collection import Collection
from indexer.pipeline import index
from indexer.scan import scan
from indexer.scope import Scope, touched
from indexer.size import disk_bytes
from tips_model.embedder import open_embedder

PER_FOLDER = 500


def main() -> None:
    """Make the library, then measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path, help="an empty folder for library and collection")
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--small-runs", type=int, default=100)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    photos = options.work / "photos"
    fill(photos, options.files)
    embedder = open_embedder("nano")
    collection = Collection.create(options.work / "collection", embedder.info)
    began = time.perf_counter()
    report = index(collection, [photos], embedder)
    first = time.perf_counter() - began
    assert report.failed == options.files

    event, full = [], []
    for number in range(options.rounds):
        event.append(one_more(collection, embedder, photos, f"event{number}", whole=False))
        full.append(one_more(collection, embedder, photos, f"full{number}", whole=True))
    before = disk_bytes(collection.catalog_folder)
    for number in range(options.small_runs):
        one_more(collection, embedder, photos, f"small{number}", whole=False)
    catalog = collection.catalog()
    figures = {
        "files": options.files,
        "first_run_seconds": round(first, 1),
        "event_seconds": round(statistics.median(event), 3),
        "full_run_seconds": round(statistics.median(full), 3),
        "small_runs": options.small_runs,
        "catalog_megabytes_before": round(before / 1e6, 1),
        "catalog_megabytes_after": round(disk_bytes(collection.catalog_folder) / 1e6, 1),
        "fragments": catalog.fragments(),
        "versions": catalog.versions(),
    }
    text = json.dumps(figures, indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")


def fill(folder: Path, files: int) -> None:
    """So many files that look like photos by name."""
    for number in range(files):
        path = folder / f"{number // PER_FOLDER:04}" / f"{number:07}.jpg"
        if number % PER_FOLDER == 0:
            path.parent.mkdir(parents=True)
        path.write_bytes(b"no picture %d" % number)


def one_more(
    collection: Collection, embedder: object, photos: Path, name: str, *, whole: bool
) -> float:
    """Seconds to take up one new picture, by a full run or by one that follows its event."""
    path = photos / "0000" / f"{name}.png"
    Image.effect_noise((96, 96), 60 + hash(name) % 40).convert("RGB").save(path)
    scope = Scope(touched([str(path)], collection.roots))
    began = time.perf_counter()
    report = index(
        collection,
        [],
        embedder,  # type: ignore[arg-type]
        find=scan if whole else partial(scan, within=scope),
    )
    assert report.embedded == 1
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
