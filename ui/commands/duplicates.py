"""`tips duplicates`: groups of photos that show the same or nearly the same picture."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from ui.commands.search import NOTHING_FOUND
from ui.formatting import counted, day, file_size, shown
from ui.options import collection_option, device_option, json_option, pick_device
from ui.render import print_json, print_paths, print_tables, say, talk

if TYPE_CHECKING:
    from indexer.collection import Collection
    from search.duplicates.groups import Tier

Group = list[dict[str, Any]]
EVERY = 10_000_000


@click.command()
@click.option(
    "--similar",
    is_flag=True,
    help="Include further shots of a scene: taken within ten minutes, or without a date.",
)
@click.option(
    "--filter",
    "filter_text",
    metavar="EXPR",
    help="Only photos that match, such as 'camera:canon date:2021 -in:Trash'.",
)
@json_option
@device_option
@collection_option
@click.pass_context
def duplicates(
    ctx: click.Context,
    similar: bool,
    filter_text: str | None,
    as_json: bool,
    device: str,
    collection: Path,
) -> None:
    """List photos that show the same picture, in groups: the largest group first, the best file
    first in each. Exit code 1 if there are none.

    Finds copies, also resaved, resized, slightly cropped or brightened; not rotated or mirrored
    ones. A pipe gets the paths, with an empty line between groups. Nothing is ever deleted. The
    first run checks all photos, later runs only new ones.

    \b
    Example:
      tips duplicates
      tips duplicates --similar --filter date:2023
      tips duplicates --json | jq -r '.groups[] | del(.[0]) | .[].path'
    """
    from indexer.collection import Collection
    from search.duplicates.groups import find

    opened = Collection.open(collection)
    with progress_bar() as progress:
        found = find(opened, progress=progress, device=pick_device(device))
    tier: Tier = "similar" if similar else "same"
    near = [found.hex(rows) for rows in found.groups(tier).split()]
    groups = described(opened, [*near, *copied(opened, near)])
    if filter_text:
        groups = among(groups, fitting(collection, filter_text))
    if as_json:
        print_json({"tier": tier, "groups": [[as_dict(photo) for photo in g] for g in groups]})
    elif sys.stdout.isatty():
        print_groups(groups)
    else:
        for number, group in enumerate(groups):
            if number:
                click.echo()
            print_paths([file["path"] for photo in group for file in photo["files"]])
    if not groups:
        say("No photos show the same picture." if not similar else "No photos are near to others.")
        ctx.exit(NOTHING_FOUND)
    spare = sum(len(photo["files"]) for group in groups for photo in group) - len(groups)
    say(f"{counted(len(groups), 'group')}; {counted(spare, 'file')} besides the best of each")


def copied(collection: Collection, groups: Sequence[Sequence[str]]) -> list[list[str]]:
    """Groups of one id each: photos outside all groups that have several byte-identical files."""
    import polars as pl

    files = collection.catalog().files().filter(pl.col("status") == "ok").group_by("id").len()
    grouped = {key for group in groups for key in group}
    ids = files.filter(pl.col("len") > 1)["id"].sort()
    return [[key] for key in ids if key not in grouped]


def described(collection: Collection, groups: Sequence[Sequence[str]]) -> list[Group]:
    """The facts about the photos of groups, given by ids, without removed photos and without groups
    that have only one file left.
    """
    every = [key for group in groups for key in group]
    columns = ["id", "files", "width", "height", "bytes", "format", "taken"]
    rows = collection.catalog().photos(every, columns).iter_rows(named=True)
    facts = {row["id"]: row for row in rows if row["files"]}
    return _pairs([[facts[key] for key in group if key in facts] for group in groups])


def fitting(collection: Path, filter_text: str) -> set[str]:
    """The ids of the photos that match a filter. Raises `FilterError`."""
    from search.searcher import Searcher

    with Searcher.open(collection) as searcher:
        return {str(key) for key, _ in searcher.facet("image", filter_text, EVERY)}


def among(groups: Sequence[Group], ids: set[str]) -> list[Group]:
    """The groups restricted to these photos."""
    return _pairs([[photo for photo in group if photo["id"] in ids] for group in groups])


def _pairs(groups: Sequence[Group]) -> list[Group]:
    """Groups of two files or more, sorted by number of photos, then of files, largest first."""

    def size(group: Group) -> tuple[int, int]:
        return len(group), sum(len(photo["files"]) for photo in group)

    return sorted((group for group in groups if size(group)[1] > 1), key=size, reverse=True)


def as_dict(photo: dict[str, Any]) -> dict[str, Any]:
    """A photo in JSON form."""
    return {
        "id": photo["id"],
        "path": photo["files"][0]["path"],
        "paths": [file["path"] for file in photo["files"]],
        "width": photo["width"],
        "height": photo["height"],
        "bytes": photo["bytes"],
        "format": photo["format"],
        "taken": photo["taken"].isoformat() if photo["taken"] else None,
    }


def print_groups(groups: Sequence[Group]) -> None:
    """One table on stdout, with the differences between the photos of a group."""
    table = Table(box=None, pad_edge=False, header_style="dim", show_edge=False)
    table.add_column("photo", overflow="fold")
    for name in ("pixels", "size", "type"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("taken")
    for number, group in enumerate(groups):
        if number:
            table.add_row()
        for place, photo in enumerate(group):
            paths = "\n".join(shown(file["path"]) for file in photo["files"])
            table.add_row(
                Text(paths, style="bold" if not place else ""),
                f"{photo['width']} × {photo['height']}",
                file_size(photo["bytes"]),
                (photo["format"] or "").upper(),
                day(photo["taken"]) if photo["taken"] else "",
            )
    print_tables(table)


@contextmanager
def progress_bar() -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar on stderr, removed when done, and the function that advances it."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=talk(), transient=True) as bar:
        task = bar.add_task("", visible=False)

        def move(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total, visible=True)

        yield move
