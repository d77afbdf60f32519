"""Commands of `tips data` that work on a training table that is there."""

from __future__ import annotations

from pathlib import Path

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ui.render import say, talk
from ui.words import counted

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command()
@click.argument("table", type=_FOLDER)
@click.option(
    "--model", required=True, type=_FOLDER, help="Folder of a model of sentence-transformers."
)
@click.option(
    "--words", multiple=True, type=_FILE, help="Further words and phrases, one a line; repeatable."
)
@click.option("--device", default="cpu", show_default=True, help="Where the model runs.")
def sentences(table: Path, model: Path, words: tuple[Path, ...], device: str) -> None:
    """Compute a sentence model's vector for each caption and name of TABLE; rerun to resume.

    The vectors go to sentences.parquet in the table's folder. A rerun computes only those that are
    missing.

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
