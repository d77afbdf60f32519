"""`tips watch`: keep a collection up to date with its folders as files change."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ui.formatting import shown
from ui.index_progress import index_progress
from ui.open_collection import (
    Wanted,
    change_excluded,
    check_first_call,
    model_loader,
    open_or_create,
    remember,
)
from ui.options import (
    Number,
    RootType,
    collection_option,
    device_option,
    exclude_option,
    hidden_option,
    include_option,
    json_option,
    limit_options,
    weights_option,
)
from ui.render import print_json, say

if TYPE_CHECKING:
    from indexer.collection import Collection
    from indexer.photos.limits import Limits
    from indexer.progress import IndexReport
    from tips_model.features import Embedder


@click.command()
@click.argument("paths", nargs=-1, type=RootType(), metavar="[PATH]...")
@click.option("--model", metavar="NAME", help="Model for a new collection, as for `tips index`.")
@weights_option
@exclude_option
@include_option
@hidden_option
@limit_options
@click.option(
    "--poll",
    is_flag=True,
    help="Check all files every 10 seconds instead of waiting for system events: for network "
    "file systems, which send none.",
)
@click.option(
    "--rescan",
    type=Number(0.1),
    default=60.0,
    show_default=True,
    metavar="MINUTES",
    help="Also check everything this often, since events can get lost.",
)
@click.option(
    "--settle",
    type=Number(0.1, 3600),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="Wait until a file has not changed for this long.",
)
@json_option
@device_option
@collection_option
def watch(
    paths: tuple[Path | str, ...],
    model: str | None,
    weights: Path | None,
    exclude: tuple[str, ...],
    include: tuple[str, ...],
    include_hidden: bool,
    limits: Limits,
    poll: bool,
    rescan: float,
    settle: float,
    as_json: bool,
    device: str,
    collection: Path,
) -> None:
    """Index the photos in PATH..., then follow changes as they happen.

    Without PATH, follows all folders of the collection. Runs until Ctrl-C or SIGTERM (exit code 0).
    It keeps running, and says so, while a folder is missing, another process writes the collection,
    or a disk is full. --json prints one line per run.

    \b
    Example:
      tips watch ~/Pictures
      tips watch -c ~/all.tips --rescan 10 --json
      tips watch /mnt/nas/photos --poll
    """
    from indexer.folders.scan import absolute_roots
    from indexer.maintenance.watch import WatchOptions, check_watchable
    from indexer.maintenance.watch import watch as follow
    from indexer.options import IndexOptions

    if paths:
        check_watchable(absolute_roots(paths))
    check_first_call(collection, paths)
    opened, first = open_or_create(collection, Wanted(model=model, weights=weights), device)
    roots = absolute_roots(paths, opened.roots) if paths else ()
    check_known(opened, roots)
    remember(opened.folder)
    change_excluded(opened, exclude, include)
    options = WatchOptions(
        index=IndexOptions(
            include_hidden=include_hidden,
            limits=limits,
        ),
        poll=poll,
        rescan=rescan * 60,
        settle=settle,
    )

    def done(report: IndexReport) -> None:
        if as_json:
            moment = time.strftime("%Y-%m-%dT%H:%M:%S%z")
            print_json({"time": moment, **report.to_dict()}, indent=None)
        else:
            say(f"{_clock()}{report_line(report)}")
        for path, reason in report.problems:
            say(f"{_clock()}{shown(path)}: {reason}", "yellow")

    with ending() as stop, index_progress() as bar:
        follow(
            opened.folder,
            roots,
            kept_model(opened, first, weights, device),
            stop=stop,
            tell=lambda sentence: say(f"{_clock()}{shown(sentence)}", "yellow"),
            done=done,
            options=options,
            progress=bar,
        )
    say("Stopped; the collection is as the last line says.")


def check_known(collection: Collection, roots: Sequence[str]) -> None:
    """Raise `RootError` for a folder that neither exists nor is known to the collection: a typo. A
    known one may come back.
    """
    from indexer.errors import RootError
    from indexer.folders.paths import is_under, to_bytes

    for root in roots:
        known = any(is_under(root, folder) for folder in collection.roots)
        if not known and not os.path.isdir(to_bytes(root)):
            raise RootError(
                f"{shown(root)} is not there, and the collection {collection.folder} does not "
                "know it; name a folder that is there."
            )


def kept_model(
    opened: Collection, first: Callable[[], Embedder], weights: Path | None, device: str
) -> Callable[[Collection], Embedder]:
    """A function that returns a collection's model, loaded once, and again after the collection has
    been switched. `first` loads the model of `opened`.
    """
    known = opened.model.model_id
    held: dict[str, Embedder] = {}

    def load(collection: Collection) -> Embedder:
        model = collection.model
        if model.model_id not in held:
            held.clear()  # only one at a time in memory
            other = model_loader(model.name, model.weights or weights, device)
            held[model.model_id] = first() if model.model_id == known else other()
        return held[model.model_id]

    return load


def report_line(report: IndexReport) -> str:
    """What a run did, in one line: `3 new, 1 moved, 2 unchanged in 0.4 s`."""
    counts = {name: n for name, n in report.counts().items() if name != "embedded"}
    done = ", ".join(f"{count:,} {name}" for name, count in counts.items()) or "nothing to do"
    return f"{done} in {report.seconds:.1f} s"


@contextmanager
def ending() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C or SIGTERM sets; a later one ends the process at once.

    During indexing, the run itself handles Ctrl-C by finishing the work in hand, and SIGTERM does
    the same.
    """
    stop = threading.Event()

    def interrupt(number: int, frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    def terminate(number: int, frame: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, interrupt), signal.signal(signal.SIGTERM, terminate)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before[0])
        signal.signal(signal.SIGTERM, before[1])


def _clock() -> str:
    return time.strftime("%H:%M:%S  ")
