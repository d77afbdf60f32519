"""Faults by the hundred: a collection is indexed, rebuilt, repaired and searched while they strike.

    python -m bench.faults --faults 300 --seed 1 --out docs/faults.json

A small library changes as real ones do: photos come, go, move, are copied, edited and touched. Each
command then suffers one fault, and afterwards: readers see a published state whole; the same
command, run again, ends well; catalog, vectors and files agree; nothing is there twice, nothing is
lost, nothing is left over; no photo was written. Two readers query the collection all along. The
faults, by kind:

    kill          SIGKILL at a random moment
    kill-at       SIGKILL before the n-th call that writes, renames, syncs or deletes
    torn          SIGKILL half way through the n-th write
    io-error      the n-th such call fails with EIO
    no-space      the n-th call that takes room, and all later ones, fail with ENOSPC
    full-disk     the collection is on a small file system that fills up (as root)
    file-limit    no file may grow beyond so many bytes (RLIMIT_FSIZE)
    root-gone     the folder of the photos goes away while it is walked or read, and comes back
    photo         a photo is touched, truncated, replaced, overwritten or removed as it is read
    two-writers   another command wants to write meanwhile
    rot           a bit of a shard or of the manifest flips, or a file of theirs is cut or gone

--out writes the counts as JSON; a table goes to stdout. Exit code 1 when anything did not hold. At
calls: for all that go through the C library on paths of the collection (`fault_shim.c`), n is
spread evenly over the whole command.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import shutil
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.fault_process import forget_shim, keep_to_oneself, preload

if TYPE_CHECKING:
    from bench.fault_world import World

SHARES = {  # of the faults of a run
    "kill": 0.15,
    "kill-at": 0.20,
    "torn": 0.08,
    "io-error": 0.20,
    "no-space": 0.10,
    "full-disk": 0.04,
    "file-limit": 0.04,
    "root-gone": 0.04,
    "photo": 0.07,
    "two-writers": 0.03,
    "rot": 0.05,
}


SHORT = ("kill-at", "torn", "io-error", "no-space", "root-gone", "photo", "two-writers", "rot")
IMPORTED = (
    "indexer.catalog.table",
    "indexer.photos.decode",
    "indexer.edge.store",
    "indexer.commit",
    "indexer.regions",
    "indexer.tiles",
    "indexer.maintenance.verify",
    "search.duplicates.groups",
    "search.searcher",
    "ui.cli",
    "ui.commands.duplicates",
)


def import_everything(short: bool = False) -> Any:
    """Load what the forked processes need, with small steps, and return the model. short: with few
    steps.
    """
    import torch

    torch.set_num_threads(1)
    for name in IMPORTED:
        importlib.import_module(name)
    from indexer import pipeline
    from indexer.catalog import table as catalog
    from indexer.edge import compaction
    from indexer.edge import shards as edge_shards
    from tips_model.embedder import open_embedder

    defaults = pipeline.IndexOptions.__init__.__kwdefaults__
    defaults |= {"window": 3, "threads": 1}
    if not short:
        # What happens now and then in a large collection happens often in this small one.
        compaction.FAN = 3
        edge_shards.INDEX_FROM = 90
        catalog.MANY_FRAGMENTS = 6
        defaults |= {"publish_photos": 4, "threads": 2}
    return open_embedder("nano", device="cpu")


def planned(kinds: list[str], faults: int, short: bool) -> Iterator[tuple[str, int]]:
    """The kinds, and how many faults of each."""
    whole = sum(SHARES[kind] for kind in kinds)
    for kind in kinds:
        if not short:
            yield kind, max(1, round(faults * SHARES[kind] / whole))
        elif kind in SHORT:
            yield kind, 1


def report(world: World, readers: dict[str, Any], seed: int, seconds: float) -> dict[str, Any]:
    """The run in figures."""
    kinds = {
        kind: {
            "faults": tally.faults,
            "missed": tally.missed,
            "outcomes": dict(tally.outcomes),
            "commands": dict(tally.commands),
            "problems": tally.problems,
        }
        for kind, tally in world.tally.items()
    }
    return {
        "seed": seed,
        "faults": sum(tally.faults for tally in world.tally.values()),
        "problems": sum(len(tally.problems) for tally in world.tally.values()),
        "seconds": round(seconds),
        "processors": len(os.sched_getaffinity(0)),
        "machine": platform.machine(),
        "calls": {name: usual.calls for name, usual in world.measured.items()},
        "kinds": kinds,
        "readers": readers,
    }


def table(result: dict[str, Any]) -> str:
    """The kinds as lines of Markdown."""
    lines = [
        "| kind | faults | killed | sentence | finished | did not hold |",
        "|---|---|---|---|---|---|",
    ]
    for kind, row in result["kinds"].items():
        outcomes = Counter(row["outcomes"])
        ends = [str(outcomes[name]) for name in ("killed", "sentence", "finished")]
        lines.append(f"| {kind} | {row['faults']} | {' | '.join(ends)} | {len(row['problems'])} |")
    return "\n".join(lines)


def main() -> int:
    """Strike, and say what held."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--faults", type=int, default=300, help="about how many in all")
    parser.add_argument("--kinds", nargs="+", choices=list(SHARES), default=list(SHARES))
    parser.add_argument(
        "--short", action="store_true", help="one fault of each kind that no other stands for"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="a file for the counts, JSON")
    parser.add_argument("--no-readers", action="store_true", help="nobody queries meanwhile")
    parser.add_argument("--verbose", action="store_true", help="a line for each fault")
    arguments = parser.parse_args()
    have_shim = preload()  # may start this program again, so nothing heavy is imported before
    keep_to_oneself()
    warnings.filterwarnings("ignore", message="lancedb fork support")
    base = Path(tempfile.mkdtemp(prefix="tips-faults-"))
    os.environ |= {"XDG_DATA_HOME": str(base / "data"), "OMP_NUM_THREADS": "1"}
    embedder = import_everything(arguments.short)

    import numpy as np

    from bench.fault_kinds import KINDS, NEED_SHIM
    from bench.fault_readers import Readers
    from bench.fault_world import World

    began = time.monotonic()
    try:
        rng = np.random.default_rng(arguments.seed)
        world = World(base, rng, embedder, not arguments.no_readers, arguments.verbose)
        readers = (
            None
            if arguments.no_readers
            else Readers(
                world.collection, base / "readers", embedder, 8.0 if arguments.short else 1.0
            )
        )
        for kind, number in planned(arguments.kinds, arguments.faults, arguments.short):
            if have_shim or kind not in NEED_SHIM:
                KINDS[kind](world, number)
            print(f"{kind} is done after {time.monotonic() - began:.0f} s", file=sys.stderr)
        seen = (
            readers.finish()
            if readers
            else {"answers": 0, "refused": 0, "states": 0, "problems": []}
        )
        result = report(world, seen, arguments.seed, time.monotonic() - began)
    finally:
        shutil.rmtree(base, ignore_errors=True)
        forget_shim()
    if arguments.out:
        arguments.out.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    print(table(result))
    for problem in seen["problems"]:
        print(problem, file=sys.stderr)
    print(
        f"{result['faults']} faults, {result['problems']} did not hold; "
        f"{seen['answers']} answers in {seen['states']} published states, "
        f"{len(seen['problems'])} of them wrong; {result['seconds']} s"
    )
    return 1 if result["problems"] or seen["problems"] else 0


if __name__ == "__main__":
    sys.exit(main())
