"""`tips eval`: how good a model is on COCO-format data."""

from __future__ import annotations

from pathlib import Path

import click

from ui.options import json_option
from ui.render import print_json

TASKS = ("names", "retrieval", "pointing", "segmentation", "knn", "probe")


@click.command("eval")
@click.argument("model")
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--weights", type=click.Path(path_type=Path), help="Folder with the weights.")
@click.option(
    "-t", "--task", "tasks", multiple=True, type=click.Choice(TASKS), help="Only these tasks."
)
@click.option(
    "--patches",
    type=click.Choice(["values", "values_ffn", "final"]),
    help="Patch feature; else the model's own.",
)
@click.option(
    "--template", "templates", multiple=True, metavar="TEXT", help='Such as "a photo of a {}".'
)
@click.option(
    "--window",
    type=click.IntRange(0),
    default=0,
    metavar="PIXELS",
    help="Segment with sliding windows of this side, a multiple of the patch.",
)
@json_option
def evaluate(
    model: str,
    data: Path,
    weights: Path | None,
    tasks: tuple[str, ...],
    patches: str | None,
    templates: tuple[str, ...],
    window: int,
    as_json: bool,
) -> None:
    """Evaluate MODEL on DATA, a folder with images/ and instances.json or captions.json (COCO).

    \b
    Example:
      tips scenes coco eval-set
      tips eval nano eval-set
      tips eval runs/nano/model eval-set -t pointing --patches final --json
    """
    from tips_model import load
    from tips_model.eval.coco import read_coco_set
    from tips_model.eval.run import PATCH_KINDS, Options, possible_tasks
    from tips_model.eval.run import evaluate as run_tasks

    loaded = load(model, weights=weights)
    if window % loaded.config.vision.patch:
        patch = loaded.config.vision.patch
        raise click.BadParameter(f"must be a multiple of the patch, {patch}", param_hint="--window")
    content = read_coco_set(data)
    kind = next((known for known in PATCH_KINDS if known == patches), None)
    options = Options(patches=kind, templates=templates or ("{}",), window=window)
    table = run_tasks(loaded, content, tasks or possible_tasks(content), options)
    if as_json:
        print_json(table.to_dicts())
        return
    for task, metric, value in table.iter_rows():
        click.echo(f"{task:<13} {metric:<28} {100 * value:6.1f} %")
