"""`tips models`: list the encoders and which are installed, and download their weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from rich.progress import TaskID
from rich.table import Table
from rich.text import Text

from ui.options import json_option
from ui.render import bytes_progress, print_json, print_tables, say

if TYPE_CHECKING:
    from tips_model.registry import ModelFiles

BYTES_PER_PARAMETER = 4  # the official files hold float32


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def models(ctx: click.Context, as_json: bool) -> None:
    """List the models, and which are installed.

    Every command also takes openclip:ARCH/TAG, and folders written by `tips train`.

    \b
    Example:
      tips models
      tips models fetch tipsv2-b14
    """
    if ctx.invoked_subcommand is not None:
        return
    from tips_model.registry import list_models

    known = list_models()
    if as_json:
        print_json([_facts(model) for model in known])
    else:
        print_tables(_table(known), *(Text(model.note, "dim") for model in known if model.note))


@models.command()
@click.argument("name")
def fetch(name: str) -> None:
    """Download the official weights of model NAME; rerun to resume an interrupted download.

    \b
    Example:
      tips models fetch tipsv2-b14
    """
    from tips_model.registry import fetch as fetch_files

    tasks: dict[str, TaskID] = {}
    with bytes_progress() as bar:

        def on_progress(file: str, done: int, total: int | None) -> None:
            if file not in tasks:
                tasks[file] = bar.add_task(file, total=total)
            bar.update(tasks[file], completed=done, total=total)

        folder = fetch_files(name, on_progress)
    say(f"{name} is ready: tips index PATH --model {name}")
    click.echo(str(folder))


def _facts(model: ModelFiles) -> dict[str, object]:
    return {
        "name": model.name,
        "parameters": model.parameters,
        "here": model.here,
        "note": model.note,
        "folder": None if model.folder is None else str(model.folder),
        "files": [{"name": file.name, "url": file.url} for file in model.files],
    }


def _table(known: list[ModelFiles]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("model", no_wrap=True)
    table.add_column("parameters", justify="right")
    table.add_column("download", justify="right")
    table.add_column("here")
    for model in known:
        size = model.parameters * BYTES_PER_PARAMETER / 1e9
        table.add_row(
            model.name,
            f"{model.parameters / 1e6:,.1f} M",
            f"{size:.1f} GB" if model.files else "bundled",
            "[green]yes[/]" if model.here else f"[dim]tips models fetch {model.name}[/]",
        )
    return table
