"""`tips eval`: evaluate a model, and region search with it, on COCO-format data."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from ui.open_collection import model_loader
from ui.options import device_option, json_option, pick_device, regions_option, tiles_option
from ui.render import print_json


class _ModelFirst(click.Group):
    """A group whose first word may be a model: `tips eval nano DATA` is `tips eval model ...`."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The subcommand with this name, or else `model` with all words."""
        if args[0] in self.commands:
            return super().resolve_command(ctx, args)
        return "model", self.commands["model"], args


@click.group("eval", cls=_ModelFirst)
def evaluate() -> None:
    """Evaluate a model on DATA, a COCO-format folder with images/ and instances.json or
    captions.json.

    `tips eval MODEL DATA` is `tips eval model MODEL DATA`.

    \b
    Example:
      tips scenes coco eval-set
      tips eval nano eval-set
      tips eval regions eval-set --model nano
    """


TASKS = ("names", "search", "retrieval", "pointing", "segmentation", "knn", "probe")


@evaluate.command("model")
@click.argument("model")
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--weights", type=click.Path(path_type=Path), help="Folder of the weights.")
@click.option(
    "-t", "--task", "tasks", multiple=True, type=click.Choice(TASKS), help="Run only these tasks."
)
@click.option(
    "--patches",
    type=click.Choice(["values", "values_ffn", "final"]),
    help="Patch features; the model's own if not given.",
)
@click.option(
    "--prompts",
    type=click.Choice(["plain", "tcl"]),
    default="plain",
    show_default=True,
    help="Plain names, or the nine templates of the TIPS authors.",
)
@click.option(
    "--template",
    "templates",
    multiple=True,
    metavar="TEXT",
    help='A template such as "a photo of a {}".',
)
@click.option(
    "--window",
    type=click.IntRange(0),
    default=0,
    metavar="PIXELS",
    help="Segment in sliding windows of this side in pixels, a multiple of the patch size.",
)
@json_option
@device_option
def model_figures(
    model: str,
    data: Path,
    weights: Path | None,
    tasks: tuple[str, ...],
    patches: str | None,
    prompts: Literal["plain", "tcl"],
    templates: tuple[str, ...],
    window: int,
    as_json: bool,
    device: str,
) -> None:
    """Names, search, retrieval, pointing, segmentation, k-NN and linear probes of MODEL on DATA.

    `names` finds the nearest name for each picture, `search` the pictures for each name: how often
    the first one is right (P@1), and mean average precision, next to chance.

    \b
    Example:
      tips eval model nano eval-set
      tips eval model runs/nano/model eval-set -t pointing --patches final --json
    """
    from tips_model import load
    from tips_model.eval.coco import read_coco_set
    from tips_model.eval.run import PATCH_KINDS, possible_tasks
    from tips_model.eval.run import evaluate as run_tasks
    from tips_model.eval.tasks import Options
    from tips_model.templates import TEMPLATES

    loaded = load(model, weights=weights, device=pick_device(device))
    if window % loaded.config.vision.patch:
        patch = loaded.config.vision.patch
        raise click.BadParameter(f"must be a multiple of the patch, {patch}", param_hint="--window")
    content = read_coco_set(data)
    kind = next((known for known in PATCH_KINDS if known == patches), None)
    options = Options(patches=kind, templates=templates or TEMPLATES[prompts], window=window)
    table = run_tasks(loaded, content, tasks or possible_tasks(content), options)
    if as_json:
        print_json(table.to_dicts())
        return
    for task, metric, value in table.iter_rows():
        click.echo(f"{task:<13} {metric:<28} {100 * value:6.1f} %")


@evaluate.command()
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--model",
    default="tipsv2-b14",
    show_default=True,
    metavar="NAME",
    help="A model from `tips models`.",
)
@click.option("--weights", type=click.Path(path_type=Path), help="Folder of the weights.")
@regions_option
@tiles_option
@click.option("--no-grid", is_flag=True, help="Skip the reference, the whole patch grid.")
@json_option
@device_option
def regions(
    data: Path,
    model: str,
    weights: Path | None,
    max_regions: int | None,
    tiles: int | None,
    no_grid: bool,
    as_json: bool,
    device: str,
) -> None:
    """Measure how well texts find things and their places in the pictures of DATA.

    Asks for each name, or each text of `instances.json`, in all pictures: average precision and
    recall of places (boxes and masks), pointing, and the ranking of pictures by their global
    vector, by their best region and by both; for things of all sizes, and for small (below 1 % of
    the picture), medium and large ones (above 5 %).

    \b
    Example:
      tips scenes coco library --kind library --held-out --size 288 -n 2000
      tips eval regions library --model nano
    """
    from search.eval.run import evaluate_regions
    from tips_model.eval.coco import read_coco_set

    content = read_coco_set(data)
    load = model_loader(model, weights, device)
    table = evaluate_regions(
        load(), content, max_regions=max_regions, tiles=tiles or 1, grid=not no_grid
    )
    if as_json:
        print_json(table.to_dicts())
        return
    wide = table.pivot(on="size", index=["index", "metric"], values="value")
    sizes = wide.columns[2:]
    click.echo(f"{'':<8} {'%':<24} " + " ".join(f"{size:>7}" for size in sizes))
    for index, metric, *values in wide.iter_rows():
        cells = ("      –" if v is None else f"{100 * v:7.1f}" for v in values)
        click.echo(f"{index:<8} {metric:<24} " + " ".join(cells))
