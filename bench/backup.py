"""What a backup of a collection costs: time, bytes, memory; written, read again, and restored.

    python bench/backup.py --photos 20000 --width 768 --work /tmp/backup

The photos are those of `bench/scale_collection.py`. Each step runs in a process of its own, whose
largest memory is told. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scale_collection import build, make_source

from indexer.collection import Collection
from indexer.maintenance.backup import backup
from indexer.maintenance.pinned_state import pinned
from indexer.maintenance.restore import check, restore
from indexer.maintenance.verify import verify

REGIONS = 16


def sizes(folder: Path) -> dict[str, int]:
    """Bytes on the disk by part of the collection."""
    with pinned(Collection.open(folder)) as state:
        parts: dict[str, int] = {}
        for name, path in state.files:
            part = name.split("/")[0]
            parts[part] = parts.get(part, 0) + path.stat().st_blocks * 512
        return parts


def measured(step: Callable[..., Any], *arguments: object) -> dict[str, Any]:
    """The step's seconds, and its largest memory beyond what the imports take (MB)."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        found: dict[str, Any] = pool.apply(_timed, (step, *arguments))
    return found


def _timed(step: Callable[..., Any], *arguments: object) -> dict[str, Any]:
    started, before = time.monotonic(), _largest()
    step(*arguments)
    seconds = time.monotonic() - started
    return {"seconds": round(seconds, 2), "grown_mb": round(_largest() - before)}


def _largest() -> float:
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale / 1e6


def write(folder: Path, file: Path) -> None:
    """A backup."""
    backup(Collection.open(folder), file)


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=20_000)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--source", type=int, default=300, help="real pictures to make them from")
    parser.add_argument("--work", type=Path, required=True)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    source = make_source(options.work / "source", options.source)
    folder = options.work / f"{options.photos}-{options.width}"
    if not Collection.exists(folder):
        build(folder, source, options.photos, REGIONS, options.width)
    file, back = options.work / "b.tar.zst", options.work / "back"
    file.unlink(missing_ok=True)
    shutil.rmtree(back, ignore_errors=True)
    stored = sizes(folder)
    report = {
        "photos": options.photos,
        "width": options.width,
        "stored": stored,
        "backup": measured(write, folder, file),
        "archive": file.stat().st_size,
        "check": measured(check, file),
        "restore": measured(restore, file, back),
        "agree": verify(Collection.open(back)).vectors_agree,
    }
    report["share"] = round(report["archive"] / sum(stored.values()), 3)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
