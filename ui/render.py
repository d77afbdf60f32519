"""Terminal output: result tables, plain paths, JSON and progress bars. Names from files are printed
as text, never as markup.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table
from rich.text import Text

from ui.formatting import counted, visible
from ui.formatting import shown as shown_path

if TYPE_CHECKING:
    from search.hits import Hit, Results

PLAIN_WIDTH = 100_000  # no line of a table is longer
SCORE_CELLS = 10  # length of a score bar


def talk() -> Console:
    """The console for everything that is not a result: stderr."""
    return Console(stderr=True)


def say(sentence: str, style: str | None = None) -> None:
    """Print a sentence on stderr literally, whatever brackets its names contain."""
    shown = visible(sentence)  # it may quote names, queries and file contents
    talk().print(shown, style=style, markup=False, highlight=False, soft_wrap=True)


def print_tables(*renderables: RenderableType) -> None:
    """Print tables and texts on stdout: fitted to a terminal, or for a file or another program as
    plain lines of any width, without trailing blanks.
    """
    if sys.stdout.isatty():
        for each in renderables:
            Console().print(each)
        return
    lines = io.StringIO()
    plain = Console(file=lines, width=PLAIN_WIDTH, color_system=None)
    for each in renderables:
        plain.print(each)
    click.echo("\n".join(line.rstrip() for line in lines.getvalue().splitlines()))


def print_json(value: Any, *, indent: int | None = 2) -> None:
    """Print `value` as JSON on stdout; characters that stdout cannot show are escaped as JSON does,
    so nothing is lost.
    """
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(value, indent=indent)
    click.echo(text)


def print_paths(paths: Sequence[str], *, end: bytes = b"\n") -> None:
    """Print the files' real names, byte for byte, on stdout."""
    from indexer.folders.paths import to_bytes

    click.echo(b"".join(to_bytes(path) + end for path in paths), nl=False)


def print_results(
    results: Results, *, as_json: bool, paths_only: bool, print0: bool, with_regions: bool
) -> None:
    """Print hits on stdout: JSON, paths when requested or piped, else a table."""
    for note in results.notes:
        say(note)
    if as_json:
        print_json(results.to_dict())
    elif print0:
        print_paths([hit.path for hit in results.hits], end=b"\0")
    elif paths_only or not sys.stdout.isatty():
        print_paths([hit.path for hit in results.hits])
    elif results.hits:
        print_tables(results_table(results, with_regions=with_regions))
    if not results.hits:
        say(nothing_found(results))


def nothing_found(results: Results) -> str:
    """The sentence for a page without hits, with what to try next."""
    if not results.searched:
        return "No photo matches the filter."
    if results.confident:
        have = counted(results.confident, "photo")
        return f"Only {have} show '{results.query}'; there are no more."
    looked = counted(results.searched, "photo")
    return f"Nothing found for '{results.query}' in {looked}; --all shows weaker matches."


def results_table(results: Results, *, with_regions: bool, folder: Path | None = None) -> Table:
    """One row per photo: rank, score (1 is the line above which a hit counts), path, places.

    Paths inside `folder` are written relative to it.
    """
    table = Table(box=None, pad_edge=False, header_style="dim", show_edge=False)
    table.add_column("#", justify="right", style="dim")
    table.add_column("score", no_wrap=True)
    table.add_column("photo", overflow="fold")
    if with_regions:
        table.add_column("places (left, top, right, bottom in %)")
    for rank, hit in enumerate(results.hits, 1):
        path = Path(hit.path)
        if folder is not None and path.is_relative_to(folder):
            path = path.relative_to(folder)
        row = [Text(str(rank)), _score(hit), Text(shown_path(str(path)))]
        if with_regions:
            row.append(Text("\n".join(_place(region.box, region.score) for region in hit.regions)))
        table.add_row(*row)
    return table


def facts_table(rows: Sequence[tuple[str, str]]) -> Table:
    """Two columns: a label, and its value as plain text."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(Text(name), Text(visible(value)))
    return table


class RateColumn(ProgressColumn):
    """Photos per second."""

    def render(self, task: Task) -> Text:
        """The rate of the task, or a dash while there is none."""
        speed = task.finished_speed or task.speed
        return Text("  -  photos/s" if speed is None else f"{speed:5.1f} photos/s", style="cyan")


def photo_progress() -> Progress:
    """A progress bar on stderr with count, rate and time left; removed when done."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        RateColumn(),
        TimeRemainingColumn(),
        console=talk(),
        transient=True,
    )


def bytes_progress(*, transient: bool = False) -> Progress:
    """A progress bar on stderr for bytes, with their rate."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=talk(),
        transient=transient,
    )


def _score(hit: Hit) -> Text:
    filled = round(min(max(hit.score, 0.0), 2.0) / 2.0 * SCORE_CELLS)
    style = "green" if hit.confident else "dim"
    bar = Text("█" * filled + "░" * (SCORE_CELLS - filled), style=style)
    return bar.append(f" {hit.score:5.2f}")


def _place(box: tuple[float, float, float, float], score: float) -> str:
    return "  ".join(f"{edge * 100:3.0f}" for edge in box) + f"   {score:.2f}"
