"""`tips data` commands that work on an existing training table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ui.formatting import counted
from ui.render import say, talk

if TYPE_CHECKING:
    from tips_model.train.coco_folder import CaptionKind

SHOWN = 5  # keys of broken pictures
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command()
@click.argument("table", type=_FOLDER)
@click.option(
    "--model", required=True, type=_FOLDER, help="Folder of a sentence-transformers model."
)
@click.option(
    "--words",
    multiple=True,
    type=_FILE,
    help="File of more words and phrases, one a line; repeatable.",
)
@click.option("--device", default="cpu", show_default=True, help="Device for the model.")
def sentences(table: Path, model: Path, words: tuple[Path, ...], device: str) -> None:
    """Compute a sentence model's vector for each caption and name of TABLE; rerun to resume.

    Writes sentences.parquet in the table's folder. A rerun computes only missing vectors.

    \b
    Example:
      tips data sentences photos-table --model all-MiniLM-L6-v2
      tips data sentences photos-table --model all-MiniLM-L6-v2 --words nouns.txt
    """
    from tips_model.train.sentences import SentenceModel, embed_sentences

    loaded = SentenceModel(model, device=device)
    columns = (TextColumn("Sentences"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=talk(), transient=True) as progress:
        task = progress.add_task("Sentences", total=None)
        texts, computed = embed_sentences(
            table,
            loaded,
            words=words,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    say(f"Vectors of {counted(texts, 'text')} in {table}, {computed:,} of them new.")


@click.command()
@click.argument("table", type=_FOLDER)
@click.option(
    "--pieces",
    type=click.IntRange(100),
    default=12_000,
    show_default=True,
    help="Largest number of pieces.",
)
def tokenizer(table: Path, pieces: int) -> None:
    """Train a tokenizer on the captions, names and words of TABLE.

    Reads the texts of sentences.parquet (see `tips data sentences`) and writes tokenizer.model to
    the table's folder, where training looks for it.

    \b
    Example:
      tips data tokenizer photos-table --pieces 12000
    """
    from tips_model.train.table_tokenizer import write_tokenizer

    say(f"{counted(write_tokenizer(table, pieces), 'piece')} in {table}.")


@click.command()
@click.argument("tables", nargs=-1, required=True, type=_FOLDER)
@click.option(
    "-o", "--out", required=True, type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the training table.",
)  # fmt: skip
def join(tables: tuple[Path, ...], out: Path) -> None:
    """Join several TABLES into one.

    \b
    Example:
      tips data join photos-table drawn-table -o table
    """
    from tips_model.train.join_tables import join_tables

    say(f"{counted(join_tables(tables, out), 'pair')} in {out}.")


@click.command()
@click.argument("table", type=_FOLDER)
@click.option(
    "--captions", type=click.IntRange(1), default=4, show_default=True, metavar="N",
    help="Most captions per picture.",
)  # fmt: skip
@click.option("--replace", is_flag=True, help="Replace existing synthetic captions.")
@click.option("--seed", type=int, default=0, show_default=True, help="Random seed of the wording.")
@click.option(
    "--min-score", type=click.FloatRange(0, 1), default=0.45, show_default=True, metavar="P",
    help="Skip objects with a lower score.",
)  # fmt: skip
@click.option(
    "--min-label", type=click.FloatRange(0, 1), default=0.3, show_default=True, metavar="P",
    help="Skip picture labels with a lower score.",
)  # fmt: skip
def describe(
    table: Path, captions: int, replace: bool, seed: int, min_score: float, min_label: float
) -> None:
    """Caption the pictures of TABLE from their objects and labels: what, how many, and where.

    Adds them as synthetic captions. Running it again changes nothing.

    \b
    Example:
      tips data describe coco-table
      tips data describe photos-table --captions 6 --min-score 0.6
    """
    from tips_model.train.describe import describe_table

    with Progress(console=talk(), transient=True) as progress:
        task = progress.add_task("Describing", total=None)
        report = describe_table(
            table,
            count=captions,
            seed=seed,
            replace=replace,
            objects_from=min_score,
            labels_from=min_label,
            progress=lambda rows: progress.update(task, completed=rows),
        )
    say(f"{counted(report.captions, 'caption')} for {counted(report.rows, 'picture')} in {table}.")
    if report.without:
        say(f"{counted(report.without, 'picture')} without any caption.")


@click.command()
@click.argument("table", type=_FOLDER)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--min-score", type=click.FloatRange(0, 1), default=0.0, show_default=True, metavar="P",
    help="Skip objects with a lower score.",
)  # fmt: skip
@click.option(
    "--captions", type=click.Choice(["all", "web", "synthetic"]), default="all", show_default=True,
    help="Which annotations to write.",
)  # fmt: skip
def folder(table: Path, folder: Path, min_score: float, captions: CaptionKind) -> None:
    """Write TABLE as a COCO-format FOLDER, for `tips eval` and `tips eval regions`.

    \b
    Example:
      tips data folder val-table val --min-score 0.5 --captions web
    """
    from tips_model.train.coco_folder import write_coco_folder

    with Progress(console=talk(), transient=True) as progress:
        task = progress.add_task("Writing", total=None)
        report = write_coco_folder(
            table,
            folder,
            min_score=min_score,
            captions=captions,
            progress=lambda rows: progress.update(task, completed=rows),
        )
    parts = f"{counted(report.objects, 'object')} and {counted(report.captions, 'caption')}"
    say(f"{counted(report.images, 'photo')} with {parts} in {folder}.")
    if report.broken:
        names = ", ".join(report.broken[:SHOWN]) + (", ..." if len(report.broken) > SHOWN else "")
        say(f"{counted(len(report.broken), 'picture')} cannot be read: {names}.")
