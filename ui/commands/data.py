"""`tips data`: public formats to training tables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.progress import Progress

from ui.render import say, talk
from ui.words import counted

if TYPE_CHECKING:
    from tips_model.train.importers import ImportReport, Item

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_PLACE = click.Path(exists=True, path_type=Path)
_OUT = click.option(
    "-o", "--out", required=True, type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the training table.",
)  # fmt: skip
_LIMIT = click.option(
    "--limit", type=click.IntRange(0), default=100, show_default=True, metavar="N",
    help="Stop when more than N items are corrupt.",
)  # fmt: skip


@click.group()
def data() -> None:
    """Make training tables: pictures with web and synthetic captions.

    What is left out, and why, goes to dropped.csv beside the table.

    \b
    Example:
      tips data shards cc12m/*.tar -o cc12m-table
      tips data coco captions_train2017.json train2017 -o coco-table
      tips data list photos.csv -o photos-table
    """


@data.command()
@click.argument("shards", nargs=-1, required=True, type=_PLACE)
@_OUT
@_LIMIT
def shards(shards: tuple[Path, ...], out: Path, limit: int) -> None:
    """Import tar SHARDS of WebDataset or img2dataset, or folders of them or of their files.

    \b
    Example:
      tips data shards cc12m/*.tar -o cc12m-table
      tips data shards img2dataset-output -o table
    """
    from tips_model.train.shards import read_shards

    _run(read_shards(shards), out, limit)


@data.command()
@click.argument("captions", type=_FILE)
@click.argument("images", type=_FOLDER)
@_OUT
@_LIMIT
def coco(captions: Path, images: Path, out: Path, limit: int) -> None:
    """Import a CAPTIONS file of COCO with its folder of IMAGES.

    \b
    Example:
      tips data coco captions_train2017.json train2017 -o coco-table
    """
    from tips_model.train.importers import read_coco

    _run(read_coco(captions, images), out, limit)


@data.command("list")
@click.argument("listing", type=_FILE)
@click.option("--images", type=_FOLDER, help="Folder of the pictures; else the list's own.")
@_OUT
@_LIMIT
def list_(listing: Path, images: Path | None, out: Path, limit: int) -> None:
    """Import a CSV or JSON-lines LISTING with the columns image, caption and maybe synthetic.

    \b
    Example:
      tips data list photos.csv -o photos-table
    """
    from tips_model.train.importers import read_list

    _run(read_list(listing, images), out, limit)


def _run(items: Iterator[Item], out: Path, limit: int) -> None:
    from tips_model.train.importers import import_pairs

    with Progress(console=talk(), transient=True) as progress:
        task = progress.add_task("Importing", total=None)
        report = import_pairs(
            items, out, limit=limit, progress=lambda rows: progress.update(task, completed=rows)
        )
    _tell(report, out)


def _tell(report: ImportReport, out: Path) -> None:
    say(f"{counted(report.rows, 'pair')} in {out}.")
    for reason, count in report.summary().iter_rows():
        say(f"Left out {count}: {reason}.")
