"""The kinds of faults: each function strikes a world so many times."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.fault_process import Child, Ended, Strike, StrikeKind, run, tips
from bench.fault_world import COMMANDS, World, links, spoil

LEAST_LIMIT = 4096  # bytes; what a command prints goes to a file as well
FIRST_CALLS = 250  # an index run makes more
READS_OF_DECODERS = 8  # of a decoding process, in which to stop it: a few photos


def named(number: int) -> Iterator[str]:
    """So many commands, each as often as `COMMANDS` says, spread."""
    ring = [name for name, often in COMMANDS.items() for _ in range(often)]
    for i in range(number):
        yield ring[(i * 7) % len(ring)]


def random_kills(world: World, number: int) -> None:
    """SIGKILL at a random moment."""
    for name in named(number):
        after = float(world.rng.uniform(0, world.usual(name).seconds))
        world.strike(
            "kill",
            name,
            lambda do, _, after=after: run(do, kill_after=after),
            lambda ended: ended.outcome != "finished",
        )


def at_calls(kind: str, strike: StrikeKind) -> Callable[[World, int], None]:
    """The n-th call, n spread evenly over each command."""

    def faults(world: World, number: int) -> None:
        places: Counter[str] = Counter()
        totals = Counter(named(number))
        for name in named(number):
            share = (places[name] + float(world.rng.uniform())) / totals[name]
            places[name] += 1
            nth = 1 + int(share * world.usual(name).calls)

            def do(command: Callable[[], Any], folder: Path, nth: int = nth) -> Ended:
                return run(command, strike=Strike(strike, nth, folder))

            def struck(ended: Ended, nth: int = nth) -> bool:
                return ended.seen is None or ended.seen >= nth

            world.strike(kind, name, do, struck)

    return faults


def file_limits(world: World, number: int) -> None:
    """No file may grow beyond a limit, up to the largest file that there is."""
    for place, name in enumerate(named(number)):
        sizes = [path.stat().st_size for path in world.collection.rglob("*") if path.is_file()]
        limit = int(LEAST_LIMIT * (max(sizes) / LEAST_LIMIT) ** ((place + 0.5) / number))
        world.strike("file-limit", name, lambda do, _, n=limit: run(do, file_limit=n))


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """An ext4 file system of 512 MB in `folder`, of a file beside it."""
    image = folder.with_suffix(".img")
    folder.mkdir()
    with image.open("wb") as file:
        file.truncate(1 << 29)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)
        image.unlink()


@contextmanager
def filled(disk: Path, free: int) -> Iterator[None]:
    """The disk is full but for so many bytes."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(1 << 16)):
                pass
        except OSError:
            file.truncate(max(file.tell() - free, 0))
    try:
        yield
    finally:
        filler.unlink()


def full_disks(world: World, number: int) -> None:
    """A disk with little room, and then with enough: the same command finishes."""
    if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
        print(
            "NOT ROOT, or no mkfs.ext4: no small disk is mounted; see file-limit", file=sys.stderr
        )
        return
    disk, usual = world.base / "disk", world.collection
    with small_disk(disk):
        world.collection = disk / "living.tips"
        run(world.index(world.collection))
        names = [name for name in named(2 * number) if name != "create"]
        for place, name in enumerate(names[:number]):
            free = int(4096 * (40_000 ** (place / number)))  # 4 KB to 160 MB

            def do(command: Callable[[], Any], _: Path, free: int = free) -> Ended:
                with filled(disk, free):
                    return run(command)

            world.strike("full-disk", name, do)
        world.collection = usual


def stopped(world: World, strike: Strike, meanwhile: Callable[[], None]) -> tuple[Ended, bool]:
    """Index, stop at a look at a photo or folder, do something, and go on; also whether it came to
    that.
    """
    child = Child(world.index(world.collection), strike=strike)
    first = True
    # Each of its processes stops once; the first of them decides.
    while (pid := child.stopped()) is not None:
        if first:
            meanwhile()
        first = False
        child.go_on(pid)
    return child.end(), not first


def photos_change(world: World, number: int) -> None:
    """A photo changes while it is looked for by the walk, or read by a decoder."""
    calls = world.looks
    for place in range(number):
        world.library.change()
        inherited = place % 3 != 0
        most = READS_OF_DECODERS if inherited else calls
        nth = 1 + int((place + float(world.rng.uniform())) / number * most)
        strike = Strike("stop", nth, world.library.folder, "reads", inherited)

        def meanwhile() -> None:
            files = world.library.files()
            new = max(files, key=lambda path: path.stat().st_ctime_ns)
            other = files[int(world.rng.integers(len(files)))]
            world.library.disturb(new if world.rng.uniform() < 0.5 else other)

        ended, struck = stopped(world, strike, meanwhile)
        if struck:
            world.check("photo", "index", world.collection, ended, world.library.contents())
        else:
            world.miss("photo", "index")


def roots_go(world: World, number: int) -> None:
    """The root goes away in the middle of a run, and comes back after it."""
    calls = world.looks
    root, away = world.library.folder, world.base / "away"
    for place in range(number):
        nth = 1 + int((place + float(world.rng.uniform())) / number * calls)
        world.library.change()
        contents = world.library.contents()
        before = links(world.collection)

        def meanwhile(empty: bool = bool(place % 2)) -> None:
            root.rename(away)
            if empty:  # as a mount point without its disk
                root.mkdir()

        strike = Strike("stop", nth, root, "reads", bool(place % 3 == 2))
        ended, struck = stopped(world, strike, meanwhile)
        after = links(world.collection)
        if away.exists():
            if root.exists():
                root.rmdir()
            away.rename(root)
        lost = [
            path for path, key in before.items() if contents.get(path) == key != after.get(path)
        ]
        problems = [f"forgotten while the root was away: {lost}"] if lost else []
        if struck:
            world.check("root-gone", "index", world.collection, ended, contents, problems=problems)
        else:
            world.miss("root-gone", "index")


def two_writers(world: World, number: int) -> None:
    """A second command on a collection that is being written: told by whom, or waits."""
    folder = world.collection
    others: list[Callable[[], Any]] = [
        world.index(folder),
        world.command("rebuild", folder),
        lambda: tips("verify", "--repair", "-c", folder),
        world.index(folder, "--wait=0.3"),
        world.index(folder, "--wait"),
        world.index(folder, "--wait"),
    ]
    for place in range(number):
        way = place % len(others)
        world.library.change()
        contents = world.library.contents()
        nth = 5 + int(world.rng.integers(FIRST_CALLS))
        first = Child(world.index(folder), strike=Strike("stop", nth, folder))
        problems = [] if first.stopped() else ["the first was not stopped"]
        second = Child(others[way])
        if way == 4:  # the second waits for the first to end, or to die
            second.says("Waiting")
            first.go_on()
        elif way == 5:
            second.says("Waiting")
            first.kill()
        ended = second.end()
        first.go_on()
        other = first.end()
        if way < 4:
            told = f"process {first.pid} on "
            if ended.outcome != "sentence" or told not in ended.output:
                problems.append(f"the second: {ended.outcome}: {ended.output[-500:]}")
        elif ended.outcome != "finished":
            problems.append(f"the second, which waits: {ended.outcome}: {ended.output[-500:]}")
        if other.outcome != ("killed" if way == 5 else "finished"):
            problems.append(f"the first: {other.outcome}: {other.output[-500:]}")
        world.check("two-writers", "index", folder, ended, contents, problems=problems)


def rot(world: World, number: int) -> None:
    """Bits of the vectors flip, files of theirs are cut or gone: it is found, and repaired."""
    for _ in range(number):
        folder = world.collection
        harm = spoil(folder, world.rng)
        problems = []
        looked = run(lambda folder=folder: tips("verify", "-c", folder))
        if (looked.code, looked.outcome) != (1, "finished") and not harm.healed:
            said = f"{looked.outcome}: {looked.output[-900:]}"
            problems.append(f"verify does not find {harm}: {said}")
        # Whatever is done with the damage: an answer or a sentence.
        world.library.change()
        for name in ("search", "index"):
            ended = run(world.command(name, folder))
            if ended.outcome not in ("finished", "sentence"):
                problems.append(f"{name} after {harm}: {ended.outcome}: {ended.output[-1500:]}")
        contents = world.library.contents()
        ended = run(world.command("repair", folder))
        world.check("rot", "repair", folder, ended, contents, problems=problems)


KINDS: dict[str, Callable[[World, int], None]] = {
    "kill": random_kills,
    "kill-at": at_calls("kill-at", "kill"),
    "torn": at_calls("torn", "torn"),
    "io-error": at_calls("io-error", "fail"),
    "no-space": at_calls("no-space", "full"),
    "full-disk": full_disks,
    "file-limit": file_limits,
    "root-gone": roots_go,
    "photo": photos_change,
    "two-writers": two_writers,
    "rot": rot,
}
NEED_SHIM = ("kill-at", "torn", "io-error", "no-space", "root-gone", "photo", "two-writers")
