"""A living collection, the commands on it, and what is checked after each fault."""

from __future__ import annotations

import os
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bench.fault_checks import inspect, settled
from bench.fault_library import Library
from bench.fault_process import Ended, Strike, run, tips

MODEL = "nano"
EXPECTED = {
    "kill": ("killed", "finished"),
    "kill-at": ("killed", "finished"),
    "torn": ("killed", "finished"),
    "two-writers": ("finished", "sentence"),
    "rot": ("finished",),
}
"""How a command may end under a fault; others than these: with a sentence, or well."""
COMMANDS = {"index": 6, "create": 2, "rebuild": 3, "repair": 2, "search": 1, "duplicates": 1}
"""How often each is struck: of 15 faults of a kind, so many."""


@dataclass(frozen=True)
class Usual:
    """A command that nothing strikes: its calls, as the shim counts them, and its seconds."""

    calls: int
    seconds: float


@dataclass
class Tally:
    """What became of the faults of one kind. missed: those that came too late, not counted."""

    faults: int = 0
    missed: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    commands: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


@dataclass
class World:
    """One library and its collection, and what the commands on it are. read: readers are at it."""

    base: Path
    rng: np.random.Generator
    embedder: Any
    read: bool = False
    verbose: bool = False
    tally: dict[str, Tally] = field(default_factory=dict)
    measured: dict[str, Usual] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.library = Library(self.base / "photos", self.rng)
        self.collection = self.base / "living.tips"
        self.fresh = self.base / "fresh.tips"
        ended = run(self.index(self.collection))
        assert ended.outcome == "finished", ended.output

    # The commands, as functions for a child.

    def index(self, folder: Path, *options: object) -> Callable[[], None]:
        """`tips index` with small commits."""
        return lambda: tips(
            "index", self.library.folder, "-c", folder, "--model", MODEL, "--batch-size", 3,
            "--json", *options,
        )  # fmt: skip

    def command(self, name: str, folder: Path) -> Callable[[], Any]:
        """What a child runs."""
        if name in ("index", "create"):
            return self.index(folder)
        if name == "rebuild":
            return lambda: tips("rebuild", "-c", folder, "--json")
        if name == "repair":
            return lambda: tips("verify", "--repair", "-c", folder)
        if name == "duplicates":
            return lambda: tips("duplicates", "-c", folder, "--json")
        return lambda: self._search(folder)

    def _search(self, folder: Path) -> int:
        from search.searcher import Searcher
        from tips_model.errors import TipsError

        try:
            with Searcher.open(folder, embedder=self.embedder) as searcher:
                return len(searcher.images("a red house", all=True).hits)
        except TipsError as error:
            print(error)
            sys.exit(2)

    def prepare(self, name: str, folder: Path) -> None:
        """Give the command something to do."""
        if name == "index":
            self.library.change()
        elif name == "create":
            shutil.rmtree(folder, ignore_errors=True)
        elif name == "repair":
            spoil(folder, np.random.default_rng(int(self.rng.integers(2**31))))
        elif name == "search":
            (folder / "calibration.npz").unlink(missing_ok=True)  # it is made and written anew
        elif name == "duplicates":
            (folder / "duplicates.npz").unlink(missing_ok=True)

    # One fault.

    def strike(
        self,
        kind: str,
        name: str,
        do: Callable[[Callable[[], Any], Path], Ended],
        struck: Callable[[Ended], bool] = lambda ended: True,
    ) -> None:
        """Prepare, let `do` run the command under a fault, and check everything. struck: whether
        the fault came before the command's end.
        """
        folder = self.fresh if name == "create" else self.collection
        self.prepare(name, folder)
        before = self.library.contents()
        ended = do(self.command(name, folder), folder)
        if struck(ended):
            self.check(kind, name, folder, ended, before)
        else:
            self.miss(kind, name)

    def miss(self, kind: str, name: str) -> None:
        """A fault came too late: no fault; but what the command left must be in order, too."""
        self.tally.setdefault(kind, Tally()).missed += 1
        if name in ("repair", "rebuild"):
            run(self.index(self.collection))

    def check(
        self,
        kind: str,
        name: str,
        folder: Path,
        ended: Ended,
        before: dict[str, str],
        *,
        problems: list[str] | None = None,
    ) -> None:
        """Note the outcome, look, run the command again, look closely."""
        tally = self.tally.setdefault(kind, Tally())
        tally.faults += 1
        tally.outcomes[ended.outcome] += 1
        tally.commands[name] += 1
        problems = list(problems or ())
        if ended.outcome not in EXPECTED.get(kind, ("sentence", "finished")):
            problems.append(f"{ended.outcome} ({ended.code}): {ended.output[-1200:]}")
        if name != "repair":
            looked = run(lambda: inspect(folder))
            problems += looked.value["problems"] if looked.value else [looked.output[-1200:]]
        if self.library.contents() != before:
            problems.append("photos were written")
        again = run(self.command(name, folder))
        if again.outcome != "finished":
            problems.append(f"again: {again.outcome} ({again.code}): {again.output[-1200:]}")
        if name not in ("create", "index"):
            run(self.index(folder))  # what else changed meanwhile
        problems += self.settle(folder)
        self._note(kind, name, ended, problems)

    def settle(self, folder: Path) -> list[str]:
        """What is wrong now that all is done."""
        contents = self.library.contents()
        looked = run(lambda: settled(folder, contents, read=self.read))
        return looked.value if looked.value is not None else [looked.output[-1200:]]

    def _note(self, kind: str, name: str, ended: Ended, problems: list[str]) -> None:
        tally = self.tally[kind]
        where = f"{kind} {name} #{tally.faults}"
        tally.problems += [f"{where}: {problem}" for problem in problems]
        if self.verbose or problems:
            said = " ".join(ended.output.split())[-160:]
            print(f"{where}: {ended.outcome} {ended.seconds:.1f} s | {said}", file=sys.stderr)
            for problem in problems:
                print(f"    PROBLEM {problem}", file=sys.stderr, flush=True)

    def usual(self, name: str) -> Usual:
        """What the command does when nothing strikes; measured once."""
        if name not in self.measured:
            folder = self.fresh if name == "create" else self.collection
            self.prepare(name, folder)
            ended = run(self.command(name, folder), strike=Strike("count", 0, folder))
            assert ended.outcome == "finished", ended.output
            self.measured[name] = Usual(ended.seen or 0, ended.seconds)
        return self.measured[name]

    @cached_property
    def looks(self) -> int:
        """How often the walk of an index run looks at photos and folders, about."""
        self.library.change()
        strike = Strike("count", 0, self.library.folder, "reads")
        return run(self.index(self.collection), strike=strike).seen or 1


def links(folder: Path) -> dict[str, str]:
    """Path -> id, as the catalog says."""

    def look() -> list[tuple[str, str]]:
        from indexer.collection import Collection

        return Collection.open(folder).catalog().files().select("path", "id").rows()

    return dict(run(look).value)


@dataclass(frozen=True)
class Harm:
    """What was done to a file of the vectors, and what it held before."""

    path: Path
    what: str
    before: bytes

    @property
    def healed(self) -> bool:
        """Whether the file is as it was: the engine makes some anew when a reader opens a shard."""
        return self.path.exists() and self.path.read_bytes() == self.before

    def __str__(self) -> str:
        return f"{self.path} {self.what}"


def spoil(folder: Path, rng: np.random.Generator) -> Harm:
    """Damage the vectors of a collection that nobody writes."""
    from indexer.edge.files import lasting_files
    from indexer.edge.manifest import read_manifest

    vectors = folder / "vectors"
    manifest = read_manifest(vectors)
    assert manifest is not None
    shards = [vectors / shard.name for shard in manifest.shards]
    # Readers open shards meanwhile, and the engine then makes files that come and go.
    files = [path for shard in shards for path in sorted(lasting_files(shard))]
    files = [path for path in [*files, vectors / "manifest.json"] if path.stat().st_size]
    path = files[int(rng.integers(len(files)))]
    what = str(rng.choice(["flipped", "cut", "gone"], p=[0.6, 0.2, 0.2]))
    before = path.read_bytes()
    # Most of what the engine preallocates are holes: flip what has been written.
    if what == "flipped":
        with path.open("r+b") as file:
            data = file.read(1 << 16)
            written = np.flatnonzero(np.frombuffer(data, np.uint8))
            place = int(rng.choice(written)) if len(written) else int(rng.integers(len(data)))
            file.seek(place)
            file.write(bytes([data[place] ^ (1 << int(rng.integers(8)))]))
    elif what == "cut":
        os.truncate(path, len(before) // 2)
    else:
        path.unlink()
    return Harm(path, what, before)
