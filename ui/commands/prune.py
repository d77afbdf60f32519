"""`tips prune` and `tips relocate`: remove entries of deleted photos, or move folders' entries."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ui.formatting import counted, shown
from ui.index_progress import index_progress
from ui.options import (
    RootType,
    WaitingCommand,
    collection_option,
    json_option,
    patience_of,
    wait_option,
)
from ui.render import print_json, say

if TYPE_CHECKING:
    from indexer.maintenance.prune import PrunePlan
    from indexer.maintenance.relocate import Relocation

MOST = 0.1
"""The largest share of the photos that may be dropped without confirmation."""


@click.command(cls=WaitingCommand)
@click.option(
    "--root",
    "roots",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="DIR",
    help="Forget this folder and its photos; repeatable.",
)
@click.option(
    "--missing-roots", is_flag=True, help="Forget all folders and disks that are missing now."
)
@click.option(
    "--failed",
    is_flag=True,
    help="Remove entries of unreadable photos; the next run tries them again.",
)
@click.option("--dry-run", is_flag=True, help="Only show what would be removed.")
@click.option(
    "--yes", is_flag=True, help=f"Do not ask for confirmation, even to remove more than {MOST:.0%}."
)
@wait_option
@json_option
@collection_option
def prune(
    roots: tuple[Path, ...],
    missing_roots: bool,
    failed: bool,
    dry_run: bool,
    yes: bool,
    wait: float | None,
    as_json: bool,
    collection: Path,
) -> None:
    """Remove entries of deleted photos, and data that is no longer needed: old versions, leftovers
    of killed processes, data of dropped models.

    Your photos are never touched. Entries of a missing folder, such as an unplugged disk, stay
    unless you say otherwise.

    \b
    Example:
      tips prune --dry-run
      tips prune --root ~/Pictures/Old
      tips prune --missing-roots --failed --yes
    """
    from indexer.collection import Collection
    from indexer.folders.scan import absolute_roots
    from indexer.maintenance.prune import PruneOptions, plan
    from indexer.maintenance.prune import prune as carry_out

    opened = Collection.open(collection)
    opened.patience = patience_of(wait)
    options = PruneOptions(failed, absolute_roots(roots, opened.roots), missing_roots)
    found = plan(opened, options)
    if not dry_run:
        if not yes:
            _ask(found)
        found = carry_out(opened, options, None if yes else found.leaving)
    if as_json:
        print_json({"dry_run": dry_run, **found.to_dict()})
        return
    for line in plan_lines(found, done=not dry_run):
        click.echo(line)


def plan_lines(found: PrunePlan, *, done: bool) -> list[str]:
    """A plan in words, one line per item."""
    verb = "dropped" if done else "would be dropped"
    sorts = {
        "that are gone": found.gone,
        "that cannot be read": found.failed,
        "in forgotten folders": found.forgotten,
    }
    lines = [
        f"{counted(len(links), 'file')} {which}" for which, links in sorts.items() if len(links)
    ]
    lines.append(f"{len(found.leaving):,} of {counted(found.photos, 'photo')} {verb}")
    lines += [f"folder {'forgotten' if done else 'to forget'}: {shown(r)}" for r in found.roots]
    if found.orphans:
        lines.append(f"{counted(len(found.orphans), 'leftover')} {verb}")
    lines += [
        f"{shown(root)} is missing; its photos stay (--missing-roots forgets them)"
        for root in found.away
    ]
    return lines


def _ask(found: PrunePlan) -> None:
    """Continue only if the user confirms so many deletions; raises `click.UsageError` if there is
    no terminal to ask, `click.Abort` for a no.
    """
    if found.share <= MOST:
        return
    many = f"{len(found.leaving):,} of {counted(found.photos, 'photo')}"
    if not sys.stdin.isatty():
        raise click.UsageError(
            f"{many} would be removed from the collection, more than {MOST:.0%}; check with "
            "--dry-run, then confirm with --yes."
        )
    click.confirm(f"{many} would be removed from the collection. Continue?", abort=True, err=True)


@click.command(cls=WaitingCommand)
@click.argument("old", type=RootType())
@click.argument("new", type=RootType())
@click.option("--dry-run", is_flag=True, help="Only show what is in NEW.")
@click.option("--yes", is_flag=True, help="Continue even if files are missing in NEW or differ.")
@wait_option
@json_option
@collection_option
def relocate(
    old: Path | str,
    new: Path | str,
    dry_run: bool,
    yes: bool,
    wait: float | None,
    as_json: bool,
    collection: Path,
) -> None:
    """Tell the collection that the photos of folder OLD are now in folder NEW, for example on
    another disk.

    Rewrites paths and embeds nothing again. First it looks for all names in NEW and compares the
    contents of a sample. Safe to kill; rerun to resume.

    \b
    Example:
      tips relocate /mnt/old-disk/photos /mnt/new-disk/photos
      tips relocate ~/Pictures /srv/pictures --dry-run
    """
    from indexer.collection import Collection
    from indexer.folders.scan import absolute, absolute_roots
    from indexer.maintenance.relocate import look
    from indexer.maintenance.relocate import relocate as carry_out
    from indexer.progress import Meter

    opened = Collection.open(collection)
    opened.patience = patience_of(wait)
    found = look(opened, absolute(old), absolute_roots([new])[0])
    before, after = found.old, found.new
    if found.doubtful and not (yes or dry_run):
        raise click.UsageError(
            f"{'; '.join(doubts(found))}. Nothing was changed; continue with --yes."
        )
    done = 0
    if not dry_run:
        with index_progress() as bar:
            meter = Meter(bar, "publish", found.files)
            done = carry_out(
                opened, before, after, progress=lambda count: meter.add(count - meter.done)
            )
    if as_json:
        print_json({"dry_run": dry_run, **found.to_dict(), "rewritten": done})
        return
    for doubt in doubts(found):
        say(f"{doubt}.", "yellow")
    if dry_run:
        say(f"{found.there:,} of {counted(found.files, 'file')} are in {shown(after)}.")
    else:
        say(
            f"{counted(done, 'path')} now point to {shown(after)}; `tips index` uses them from "
            "now on."
        )


def doubts(found: Relocation) -> list[str]:
    """Warnings to show before a relocation, a sentence each."""
    lines = []
    if found.there < found.files:
        missing = found.files - found.there
        lines.append(
            f"{missing:,} of {counted(found.files, 'file')} are not in {shown(found.new)}, such as "
            f"{shown(found.absent[0])}"
        )
    if found.other:
        lines.append(
            f"{len(found.other)} of the {found.compared} compared files differ, such as "
            f"{shown(found.other[0])}"
        )
    return lines
