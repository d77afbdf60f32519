"""`tips scenes`: pictures composed of named drawings, for training and evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ui.formatting import counted
from ui.render import say

if TYPE_CHECKING:
    from tips_model.train.scenes.plan import SceneSpec

OUT = click.argument("out", type=click.Path(file_okay=False, path_type=Path))
_COUNT = click.option(
    "-n",
    "--count",
    type=click.IntRange(1),
    default=1000,
    show_default=True,
    help="Number of scenes.",
)
_SIZE = click.option(
    "--size", type=click.IntRange(16, 2048), default=96, show_default=True, help="Side in pixels."
)
_SEED = click.option("--seed", type=int, default=0, show_default=True, help="Random seed.")
_KIND = click.option(
    "--kind", default="scenes", show_default=True, help="objects, scenes, scenes-clean, ..."
)


@click.group()
def scenes() -> None:
    """Draw scenes of named things with known masks, boxes and captions.

    Downloads the drawings with npm on first use (25 MB).

    \b
    Example:
      tips scenes table train-set -n 100000
      tips scenes coco eval-set --held-out
    """


@scenes.command()
@OUT
@_COUNT
@_SIZE
@_SEED
@_KIND
def table(out: Path, count: int, size: int, seed: int, kind: str) -> None:
    """Write a training table to OUT, with the tokenizer of these captions.

    \b
    Example:
      tips scenes table train-set -n 100000 --size 128
    """
    from tips_model.train.scenes import SceneSource
    from tips_model.train.scenes.export import write_attribution, write_training_table
    from tips_model.train.scenes.vocabulary import train_tokenizer

    spec = _spec(kind)
    rows = write_training_table(out, SceneSource(seed=seed), spec, count, (size, size))
    (out / "tokenizer.model").write_bytes(train_tokenizer())
    write_attribution(out, held_out=False)
    say(f"{counted(rows, 'scene')} in {out}.")


@scenes.command()
@OUT
@_COUNT
@_SIZE
@_SEED
@_KIND
@click.option("--held-out", is_flag=True, help="Use the drawings that training never sees.")
def coco(out: Path, count: int, size: int, seed: int, kind: str, held_out: bool) -> None:
    """Write an evaluation set in COCO's format to OUT.

    \b
    Example:
      tips scenes coco eval-set --held-out
    """
    from tips_model.train.scenes import SceneSource
    from tips_model.train.scenes.export import write_attribution, write_coco

    source = SceneSource(seed=seed, held_out=held_out)
    objects = write_coco(out, source, _spec(kind), count, (size, size))
    write_attribution(out, held_out=held_out)
    say(f"{counted(count, 'scene')} with {counted(objects, 'object')} in {out}.")


@scenes.command()
@OUT
def demo(out: Path) -> None:
    """Write a small library of drawn photos to OUT, always the same one.

    \b
    Example:
      tips scenes demo drawn-photos
    """
    from tips_model.train.scenes.demo import write_demo

    say(f"{counted(write_demo(out), 'photo')} in {out}.")


def _spec(kind: str) -> SceneSpec:
    from tips_model.train.scenes.source import spec_of

    return spec_of(kind)
