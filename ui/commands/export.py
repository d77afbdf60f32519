"""`tips export`: all search results as tables, COCO annotations or copies."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from search.query import ImageTerm
from search.request import Request, Sort
from ui.commands.search import NOTHING_FOUND, open_searcher
from ui.formatting import counted, shown
from ui.options import collection_option, device_option, field_option, image_option
from ui.render import nothing_found, say

if TYPE_CHECKING:
    from indexer.collection import Collection
    from search.export.formats import Format
    from search.hits import Results

STDOUT = Path("-")
FILE = click.Path(dir_okay=False, allow_dash=True, path_type=Path)


@dataclass(frozen=True, slots=True)
class Targets:
    """What to write, None to skip; `-` is stdout. `root`: see `search.export.coco`."""

    csv: Path | None = None
    json: Path | None = None
    coco: Path | None = None
    zip: Path | None = None
    copy: Path | None = None
    root: Path | None = None

    def named(self) -> dict[str, Path]:
        """The files and the folder to write, by option."""
        every = {name: getattr(self, name) for name in ("csv", "json", "coco", "zip", "copy")}
        return {f"--{name}": path for name, path in every.items() if path is not None}


@click.command()
@click.argument("text", nargs=-1)
@image_option
@click.option("--csv", type=FILE, metavar="FILE", help="Write a table of the hits.")
@click.option("--json", type=FILE, metavar="FILE", help="Write what `tips search --json` prints.")
@click.option(
    "--coco",
    type=FILE,
    metavar="FILE",
    help="Write the places found as COCO annotations: boxes, and masks as run lengths.",
)
@click.option(
    "--root",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Make file names in --coco relative to DIR.  [default: absolute]",
)
@click.option("--zip", type=FILE, metavar="FILE", help="Write copies of the photos to a zip file.")
@click.option(
    "--copy",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Copy the photos to DIR, a new or empty folder outside the indexed ones.",
)
@click.option("--places", is_flag=True, help="Rank by places, as `tips regions` does.")
@click.option(
    "--refine",
    is_flag=True,
    help="Recompute the places from the photos for tighter boxes; takes one or more model passes "
    "per photo.",
)
@click.option(
    "-n",
    "--limit",
    type=click.IntRange(1),
    metavar="N",
    help="At most N photos.  [default: all clear matches]",
)
@field_option("filter")
@field_option("all")
@field_option("sort")
@field_option("seed")
@click.option("--force", is_flag=True, help="Overwrite existing files, but never photos.")
@device_option
@collection_option
@click.pass_context
def export(
    ctx: click.Context,
    text: tuple[str, ...],
    images: tuple[Path, ...],
    csv: Path | None,
    json: Path | None,
    coco: Path | None,
    root: Path | None,
    zip: Path | None,
    copy: Path | None,
    places: bool,
    refine: bool,
    limit: int | None,
    filter: str,
    all: bool,
    sort: Sort,
    seed: int,
    force: bool,
    device: str,
    collection: Path,
) -> None:
    """Write all photos that show TEXT to files: several forms at once, `-` for stdout.

    TEXT is read as by `tips search`. The photos themselves are only read; one that cannot be read
    any more is named in MISSING.txt among the copies. Exit code 1 when nothing is found; then
    nothing is written.

    \b
    Example:
      tips export "red umbrella" --csv hits.csv --zip hits.zip
      tips export "dog left of a car" --places --coco dogs.json --root ~/Pictures
      tips export "sunset" --filter date:2023 -n 50 --copy ~/sunsets
    """
    from search.export.formats import pages_of

    targets = Targets(csv, json, coco, zip, copy, root)
    check_targets(targets, collection, force=force)
    searcher = open_searcher(collection, device)

    asked = Request(
        words=" ".join(text),
        pictures=tuple(map(ImageTerm, images)),
        by="places" if places else "photos",
        refine=refine,
        filter=filter,
        all=all,
        sort=sort,
        seed=seed,
    )

    def page(size: int, offset: int) -> Results:
        return searcher.search(asked.model_copy(update={"limit": size, "offset": offset}))

    pages = pages_of(page, limit=limit, all=all)
    first = next(pages)
    for note in first.notes:
        say(note)
    if not first.hits:
        say(nothing_found(first))
        ctx.exit(NOTHING_FOUND)
    write(first, pages, targets)


def write(first: Results, rest: Iterator[Results], targets: Targets) -> None:
    """Write the hits of all pages in one pass, and report what was written. Files are renamed into
    place once all of them are complete.
    """
    from search.export.files import FolderCopies, ZipFormat

    formats = _formats(first, targets)
    copies = None if targets.copy is None else FolderCopies(targets.copy)
    count = 0
    with ExitStack() as stack:
        files = [(stack.enter_context(_opened(path)), format) for path, format in formats]
        for file, format in files:
            file.writelines(format.head())
        for hit in (hit for page in chain([first], rest) for hit in page.hits):
            count += 1
            for file, format in files:
                file.writelines(format.hit(hit))
            if copies is not None:
                copies.add(hit)
        for file, format in files:
            file.writelines(format.tail())
        if copies is not None:
            copies.close()
    written = [shown(os.fspath(path)) for path in targets.named().values() if path != STDOUT]
    if written:
        say(f"{counted(count, 'photo')} to {', '.join(written)}")
    copiers = (copies, *(format for _, format in formats))
    missing = [len(c.missing) for c in copiers if isinstance(c, FolderCopies | ZipFormat)]
    if any(missing):
        lacking = counted(max(missing), "photo")
        say(f"{lacking} could not be copied; MISSING.txt among the copies says why.")


def _formats(first: Results, targets: Targets) -> list[tuple[Path, Format]]:
    """The files to write, each with its writer."""
    from search.export.coco import CocoFormat
    from search.export.files import ZipFormat
    from search.export.formats import CsvFormat, JsonFormat

    formats: list[tuple[Path, Format]] = []
    if targets.csv is not None:
        formats.append((targets.csv, CsvFormat()))
    if targets.json is not None:
        formats.append((targets.json, JsonFormat(first.query, first.model, first.total)))
    if targets.coco is not None:
        root = None if targets.root is None else _text(targets.root)
        formats.append((targets.coco, CocoFormat(first.query, root)))
    if targets.zip is not None:
        formats.append((targets.zip, ZipFormat()))
    return formats


def check_targets(targets: Targets, collection: Path, *, force: bool) -> None:
    """Check the targets before the search, so that nothing is overwritten by mistake. Raises
    `click.UsageError`, and `CollectionError` when there is no collection.
    """
    from indexer.collection import Collection

    named = targets.named()
    if not named:
        raise click.UsageError("Choose what to write: --csv, --json, --coco, --zip or --copy.")
    if targets.root is not None and targets.coco is None:
        raise click.UsageError("--root needs --coco.")
    to_stdout = [option for option, path in named.items() if path == STDOUT]
    if len(to_stdout) > 1:
        raise click.UsageError(f"Only one of {' and '.join(to_stdout)} can go to stdout.")
    opened = Collection.open(collection)
    for option, path in named.items():
        if path == STDOUT:
            if option in ("--zip", "--copy"):
                raise click.BadParameter("copies cannot go to stdout.", param_hint=option)
        else:
            _check_target(option, path, opened, force=force)
    places = [_real(path) for path in named.values() if path != STDOUT]
    if len(set(places)) < len(places):
        raise click.UsageError("Each format needs its own file.")


def _check_target(option: str, path: Path, collection: Collection, *, force: bool) -> None:
    from indexer.folders.paths import is_under, to_bytes

    def inside(folder: str) -> bool:
        return is_under(_real(path), _real(Path(os.fsdecode(to_bytes(folder)))))

    def refuse(sentence: str) -> None:
        raise click.BadParameter(f"{shown(_text(path))} {sentence}", param_hint=option)

    indexed = any(inside(root) for root in collection.roots)
    if inside(_text(collection.folder)):
        refuse("is inside the folder of the collection.")
    if option == "--copy":
        if indexed:
            refuse("is in an indexed folder, where the copies would be indexed too.")
        if path.is_dir() and any(path.iterdir()) and not force:
            refuse("is not empty; --force writes to it anyway.")
    elif os.path.lexists(path):
        if indexed:
            refuse("exists among the indexed photos, which are never overwritten.")
        if not force:
            refuse("exists; --force overwrites it.")


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """A file that appears once it is complete, or stdout."""
    from tips_model.atomic import replacing

    if path == STDOUT:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    else:
        with replacing(path) as file:
            yield file


def _text(path: Path) -> str:
    """The absolute path in its reversible text form; links are not resolved, as in `indexer`."""
    from indexer.folders.paths import to_text

    return to_text(os.path.abspath(os.fsencode(path)))


def _real(path: Path) -> str:
    """A path with symbolic links resolved, in text form."""
    return _text(Path(os.path.realpath(path.parent), path.name))
