"""`tips caption`: synthetic captions for a training table."""

from __future__ import annotations

from pathlib import Path

import click
from rich.progress import Progress

from ui.formatting import counted
from ui.render import say, talk

SHOWN = 5  # keys of pictures without caption


@click.command()
@click.argument("table", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--model", help="Captioning model, by name or folder; PaliGemma if not given.")
@click.option("--prompt", help='Prompt for the model; "caption en" if not given.')
@click.option(
    "--captions", type=click.IntRange(1), default=1, show_default=True, metavar="N",
    help="Caption only pictures with fewer than N synthetic captions.",
)  # fmt: skip
@click.option("--batch", type=click.IntRange(1), default=8, show_default=True, metavar="N",
              help="Pictures per batch.")  # fmt: skip
@click.option("--device", default="cpu", show_default=True, help="Device for the model.")
def caption(
    table: Path, model: str | None, prompt: str | None, captions: int, batch: int, device: str
) -> None:
    """Caption the pictures of TABLE with a vision-language model; stop it at any time, rerun to
    resume.

    \b
    Example:
      tips caption cc12m-table --device cuda
      tips caption cc12m-table --captions 2 --model my-vlm --prompt "Describe the picture."
    """
    from tips_model.train.caption import MODEL, PROMPT, Captioner, add_captions

    describe = Captioner(model or MODEL, prompt=prompt or PROMPT, device=device)
    with Progress(console=talk(), transient=True) as progress:
        task = progress.add_task("Captioning", total=None)
        added, failed = add_captions(
            table, describe, captions=captions, batch=batch,
            progress=lambda done: progress.update(task, completed=done),
        )  # fmt: skip
    say(f"{counted(added, 'caption')} added to {table}.")
    if failed:
        names = ", ".join(failed[:SHOWN]) + (", ..." if len(failed) > SHOWN else "")
        say(f"{counted(len(failed), 'picture')} without a new caption: {names}.")
