"""What one new photo costs in a library of many: finding it from its event, and by a full walk.

    python bench/watch.py WORK --files 100000 --json docs/keeping.json

Timed is what a run does until it knows what is new: walk, and compare with what is known. Besides,
how much a catalog grows by many commits of one photo each.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import polars as pl

sys.path.insert(0, str(Path(__file__).parents[1]))  # the tests' rows

from indexer.catalog.table import LINK_SCHEMA, Catalog
from indexer.folder_size import disk_bytes
from indexer.folders.changes import compare
from indexer.folders.scan import ScanResult, scan
from indexer.folders.scope import Scope, touched
from tests.indexer.catalog.catalog_cases import photo, table
from tests.indexer.vector_cases import DIM, HEADS

PER_FOLDER = 500
BASE, SMALL = 3000, 100  # photos at first, and commits of one photo
ROUNDS = 7


def main() -> None:
    """Make the library, then measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path, help="an empty folder")
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    figures = {
        "files": options.files,
        **finding(options.work / "photos", options.files),
        **growing(options.work / "catalog"),
    }
    text = json.dumps(figures, indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")


def finding(folder: Path, files: int) -> dict[str, float]:
    """Milliseconds until one new file of so many is known to be one, medians."""
    for number in range(files):
        path = folder / f"{number // PER_FOLDER:04}" / f"{number:07}.jpg"
        if number % PER_FOLDER == 0:
            path.parent.mkdir(parents=True)
        path.touch()
    root = str(folder)
    walked = scan([root]).files
    known = walked.with_columns(
        id=pl.int_range(pl.len()).cast(pl.String).str.zfill(32), status=pl.lit("ok")
    ).select(LINK_SCHEMA.names())
    new = folder / "0000" / "new.jpg"
    new.touch()
    scope = Scope(touched([str(new)], [root]))

    def all_of_it() -> int:
        return _candidates(scan([root]), known, root)

    def the_event() -> int:
        found = scan([root], within=scope)
        return _candidates(found, scope.links(known, found.files), root)

    return {"event_ms": _median(the_event), "full_walk_ms": _median(all_of_it)}


def _candidates(found: ScanResult, known: pl.DataFrame, root: str) -> int:
    return len(compare(found.files, known, [root]).candidates)


def _median(find: Callable[[], int]) -> float:
    seconds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        assert find() == 1
        seconds.append(time.perf_counter() - began)
    return round(1000 * statistics.median(seconds), 1)


def growing(folder: Path) -> dict[str, float]:
    """Megabytes of a catalog before and after many commits of one photo, and with no old version
    kept."""
    catalog = Catalog(folder, HEADS, DIM)
    catalog.commit(table([photo(number) for number in range(BASE)]))
    sizes = [disk_bytes(folder)]
    for number in range(SMALL):
        catalog.commit(table([photo(BASE + number)]))
        catalog.tidy()
    sizes.append(disk_bytes(folder))
    counts = {"fragments": catalog.fragments(), "versions": catalog.versions()}
    catalog.optimize(timedelta(0))
    sizes.append(disk_bytes(folder))
    names = ("catalog_mb", "catalog_mb_after_small_commits", "catalog_mb_without_old_versions")
    return {name: round(size / 1e6, 2) for name, size in zip(names, sizes, strict=True)} | counts


if __name__ == "__main__":
    main()
