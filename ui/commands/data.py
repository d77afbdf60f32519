"""`tips data`: import public data formats into training tables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.progress import Progress

from ui.commands.tables import describe, folder, join, sentences, tokenizer
from ui.formatting import counted
from ui.render import say, talk

if TYPE_CHECKING:
    from tips_model.train.boxes import BoxForm, BoxUnit
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
    help="Stop after more than N corrupt items.",
)  # fmt: skip


@click.group()
def data() -> None:
    """Make training tables: pictures with web and synthetic captions.

    Skipped items and the reasons are listed in dropped.csv next to the table.

    \b
    Example:
      tips data shards cc12m/*.tar -o cc12m-table
      tips data coco captions_train2017.json train2017 -o coco-table
      tips data list photos.csv -o photos-table
      tips data parquet photos.parquet -o photos-table --map image=image --map web=caption
      tips data describe photos-table
      tips data sentences photos-table --model all-MiniLM-L6-v2
    """


for command in (describe, sentences, tokenizer, join, folder):
    data.add_command(command)


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
@click.option(
    "--instances", multiple=True, type=_FILE,
    help="Boxes of the same pictures, from COCO or LVIS; repeatable.",
)  # fmt: skip
@_OUT
@_LIMIT
def coco(captions: Path, images: Path, instances: tuple[Path, ...], out: Path, limit: int) -> None:
    """Import a COCO CAPTIONS file with its folder of IMAGES.

    CAPTIONS may also be an instances file; `tips data describe` then makes the captions.

    \b
    Example:
      tips data coco captions_train2017.json train2017 -o coco-table
      tips data coco captions.json train2017 --instances instances.json -o coco-table
      tips data coco lvis_v1_train.json train2017 -o lvis-table
    """
    from tips_model.train.importers import read_coco

    _run(read_coco(captions, images, instances), out, limit)


@data.command("list")
@click.argument("listing", type=_FILE)
@click.option(
    "--images", type=_FOLDER, help="Folder of the pictures; the listing's own if not given."
)
@_OUT
@_LIMIT
def list_(listing: Path, images: Path | None, out: Path, limit: int) -> None:
    """Import a CSV or JSON-lines LISTING with the columns image, caption and, if you have it,
    synthetic.

    \b
    Example:
      tips data list photos.csv -o photos-table
    """
    from tips_model.train.importers import read_list

    _run(read_list(listing, images), out, limit)


@data.command()
@click.argument("files", nargs=-1, required=True, type=_FILE)
@_OUT
@click.option(
    "--map", "mapping", multiple=True, required=True, metavar="PART=COLUMN",
    help="The column (or COLUMN.FIELD) for a part of the row; repeat for each part.",
)  # fmt: skip
@click.option("--label-names", type=_FILE, help="Names for the numbers in labels, one a line.")
@click.option("--box-names", type=_FILE, help="Names for the numbers in box_names, one a line.")
@click.option(
    "--box-form", type=click.Choice(["xyxy", "xywh"]), default="xyxy", show_default=True,
    help="Box form: two corners, or a corner with width and height.",
)  # fmt: skip
@click.option(
    "--box-unit", type=click.Choice(["fraction", "pixel"]), default="fraction", show_default=True,
    help="Size of the picture as stored in its file.",
)  # fmt: skip
@click.option(
    "--images",
    type=_FOLDER,
    help="Folder of pictures given as paths; the Parquet file's own if not given.",
)
@click.option("--where", metavar="SQL", help="Import only rows that meet this condition.")
@_LIMIT
def parquet(
    files: tuple[Path, ...],
    out: Path,
    mapping: tuple[str, ...],
    label_names: Path | None,
    box_names: Path | None,
    box_form: BoxForm,
    box_unit: BoxUnit,
    images: Path | None,
    where: str | None,
    limit: int,
) -> None:
    """Import Parquet FILES with columns of any names.

    Parts: image (bytes, path, or a struct of both), key, web, synthetic, labels, label_scores,
    boxes (flat or nested lists), box_names, box_scores, features (a teacher's vector; bytes are
    int8 numbers). Of a list for web, training draws one text. Names are texts, or numbers from 0
    into a file with a name on each line.

    \b
    Example:
      tips data parquet 0.parquet 1.parquet -o table --map image=image.bytes --map web=caption
      tips data parquet p.parquet -o table --map image=file --map labels=class --label-names n.txt
      tips data parquet p.parquet -o table --map image=file --map boxes=box --map box_names=name
    """
    from tips_model.train.names import listed_names
    from tips_model.train.parquet import ParquetSource

    columns = dict[str, str]()
    for entry in mapping:
        part, _, column = entry.partition("=")
        if not part or not column:
            raise click.BadParameter(f"{entry} is not PART=COLUMN.", param_hint="--map")
        if part in columns:
            raise click.BadParameter(f"{part} is mapped twice.", param_hint="--map")
        columns[part] = column
    source = ParquetSource(
        files,
        columns,
        label_names=None if label_names is None else listed_names(label_names),
        box_names=None if box_names is None else listed_names(box_names),
        form=box_form,
        unit=box_unit,
        images=images,
        where=where,
    )
    _run(iter(source), out, limit)


@data.command("openimages")
@click.argument("boxes", type=_FILE)
@click.argument("classes", type=_FILE)
@click.argument("images", type=_FOLDER)
@_OUT
@_LIMIT
def open_images(boxes: Path, classes: Path, images: Path, out: Path, limit: int) -> None:
    """Import the folder IMAGES of Open Images with its CSV files of BOXES and CLASSES.

    Open Images has no captions; `tips data describe` makes them from the boxes.

    \b
    Example:
      tips data openimages train-annotations-bbox.csv class-descriptions-boxable.csv train -o table
    """
    from tips_model.train.openimages import read_open_images

    _run(read_open_images(boxes, classes, images), out, limit)


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
    if 0 < report.features < report.rows:
        without = report.rows - report.features
        say(f"{counted(without, 'row')} {'has' if without == 1 else 'have'} no features.")
