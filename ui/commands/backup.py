"""`tips backup` and `tips restore`: a collection to a single file, and back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ui.formatting import counted, file_size, shown
from ui.options import collection_option, json_option
from ui.render import bytes_progress, print_json, say

if TYPE_CHECKING:
    from indexer.maintenance.backup import BackupProgress

STAGES = {"write": "Writing", "check": "Reading it again"}


@click.command()
@click.argument("target", type=click.Path(path_type=Path), metavar="FILE_OR_DIR")
@json_option
@collection_option
def backup(target: Path, as_json: bool, collection: Path) -> None:
    """Back up the collection to a new file FILE_OR_DIR (.tar.zst), or to a dated file in a folder.

    The backup holds the catalog, thumbnails and vectors, not the photos. Indexing and searching
    continue meanwhile. The file gets its name only after it is read back and verified. Vectors on a
    Qdrant server are not in it: a restore makes them from the catalog.

    \b
    Example:
      tips backup /mnt/backups
      tips backup -c ~/all.tips all.tar.zst
    """
    from indexer.collection import Collection
    from indexer.maintenance.backup import backup as write

    with _two_bars() as show:
        report = write(Collection.open(collection), target, show)
    if as_json:
        print_json(report.to_dict())
        return
    what = f"{counted(report.photos, 'photo')}, {file_size(report.size)}"
    say(f"{what} in {report.seconds:.1f} s; verified.")
    click.echo(shown(report.file))


@click.command()
@click.argument(
    "source", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="BACKUP"
)
@click.option("--check", is_flag=True, help="Only read the backup and check it against its hashes.")
@click.option(
    "--no-vectors",
    is_flag=True,
    help="Skip the vectors; `tips rebuild` makes them, also on a server (--qdrant).",
)
@json_option
@collection_option
def restore(source: Path, check: bool, no_vectors: bool, as_json: bool, collection: Path) -> None:
    """Restore a collection from BACKUP to a new or empty folder.

    Every file is checked against its hash; the folder appears once all files are there. Vectors
    that the backup lacks are made from the catalog.

    \b
    Example:
      tips restore all.tar.zst -c ~/restored.tips
      tips restore --check all.tar.zst
    """
    from indexer.maintenance.restore import check as read
    from indexer.maintenance.restore import restore as unpack
    from ui.open_collection import remember

    with _bar("Checking" if check else "Restoring") as show:
        if check:
            header = read(source, show)
        else:
            report = unpack(source, collection, vectors=not no_vectors, progress=show)
    if check:
        if as_json:
            print_json(asdict(header))
        else:
            say(
                f"{shown(str(source))} is intact: {counted(header.photos, 'photo')}, {header.made}."
            )
        return
    remember(Path(report.collection))
    if as_json:
        print_json(report.to_dict())
        return
    if report.rebuilt_because:
        say(f"The vectors were rebuilt: {report.rebuilt_because}.", "yellow")
    say(f"{counted(report.photos, 'photo')} restored in {report.seconds:.1f} s.")
    click.echo(shown(report.collection))


@contextmanager
def _two_bars() -> Iterator[BackupProgress]:
    """A progress bar on stderr for each stage of a backup."""
    with bytes_progress(transient=True) as bar:
        tasks = {stage: bar.add_task(words, start=False) for stage, words in STAGES.items()}

        def show(stage: str, done: int, total: int) -> None:
            bar.start_task(tasks[stage])
            bar.update(tasks[stage], completed=done, total=total)

        yield show


@contextmanager
def _bar(words: str) -> Iterator[Callable[[int, int], None]]:
    with bytes_progress(transient=True) as bar:
        task = bar.add_task(words, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
