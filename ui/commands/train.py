"""`tips train`: start a training run from a preset."""

from __future__ import annotations

from pathlib import Path

import click

from ui.options import STOPPED
from ui.render import say


@click.command()
@click.argument("preset")
@click.option(
    "--data", required=True, metavar="D",
    help="Folder of a training table, or `scenes` for drawn scenes.",
)  # fmt: skip
@click.option(
    "--out", required=True, metavar="DIR", type=click.Path(file_okay=False, path_type=Path),
    help="Folder for checkpoints, logs, curves and the model.",
)  # fmt: skip
@click.option("--resume", is_flag=True, help="Resume from the last checkpoint, if there is one.")
@click.pass_context
def train(ctx: click.Context, preset: str, data: str, out: Path, resume: bool) -> None:
    """Train PRESET, such as nano, tipsv2_b14 or distill_nano; Ctrl-C saves.

    \b
    Example:
      tips train debug --data scenes --out runs/debug
      tips train drawn --data scenes --out runs/drawn --resume
    """
    from tips_model.train.data import train_preset

    result = train_preset(preset, data, out, resume=resume)
    if not result.finished:
        say(f"Stopped and saved at step {result.step}; resume with --resume.")
        ctx.exit(STOPPED)
    say(f"The model is in {out / 'model'}, the curves in {out / 'curves.png'}.")
