"""`tips switch`: move a collection to another model, built beside the current one."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ui.formatting import model_words, shown
from ui.index_progress import index_progress, print_report
from ui.open_collection import model_loader
from ui.options import (
    STOPPED,
    collection_option,
    device_option,
    json_option,
    regions_option,
    tiles_option,
    weights_option,
)
from ui.render import print_json, say

if TYPE_CHECKING:
    from indexer.collection import Collection
    from indexer.progress import ProgressCallback
    from tips_model.features import Embedder

WAIT = 2.0  # seconds between tries while another process is writing


@click.command()
@click.argument("model", required=False)
@weights_option
@tiles_option
@regions_option
@click.option("--back", is_flag=True, help="Return to the model from before the last switch.")
@click.option("--drop-old", is_flag=True, help="Delete the data of the previous model.")
@click.option("--cancel", is_flag=True, help="Cancel the model being built, and delete it.")
@click.option(
    "--without-missing",
    is_flag=True,
    help="Switch even if some photos cannot be read now; the new model will lack them.",
)
@json_option
@device_option
@collection_option
@click.pass_context
def switch(
    ctx: click.Context,
    model: str | None,
    weights: Path | None,
    tiles: int | None,
    max_regions: int | None,
    back: bool,
    drop_old: bool,
    cancel: bool,
    without_missing: bool,
    as_json: bool,
    device: str,
    collection: Path,
) -> None:
    """Rebuild the collection with another MODEL and switch to it when all photos are in; searches
    and `tips index` keep using the present model until then.

    Safe to stop or kill; rerun to resume. `tips status` shows the progress. The old vectors stay
    until --drop-old; --back returns to them.

    \b
    Example:
      tips switch tipsv2-l14
      tips switch tipsv2-b14 --tiles 2
      tips switch --back
      tips switch --drop-old
    """
    from indexer.collection import Collection
    from indexer.errors import InterruptedIndexError
    from indexer.maintenance import model_switch

    if sum(map(bool, (model, back, drop_old, cancel))) != 1:
        raise click.UsageError("Name a MODEL, or one of --back, --drop-old and --cancel.")
    opened = Collection.open(collection)
    if model is not None:
        try:
            opened = _switch(
                opened, model, weights, tiles, max_regions, device, without_missing, as_json
            )
        except InterruptedIndexError as stopped:
            print_report(stopped.report, as_json=as_json)
            say("Stopped; the same command goes on. The collection is searched as before.")
            ctx.exit(STOPPED)
    elif back:
        opened = model_switch.go_back(opened)
        say("Photos that came since the switch are taken up by `tips index`.")
    elif drop_old:
        opened = model_switch.drop_previous(opened)
    else:
        with model_switch.building(opened):
            model_switch.cancel(opened)
    if as_json:
        before = opened.previous["model"]["name"] if opened.previous else None
        print_json({"model": opened.model.name, "kept": before})
    else:
        say(f"{opened.folder} is searched with {model_words(opened)} ({opened.model.model_id}).")


def _switch(
    opened: Collection,
    model: str,
    weights: Path | None,
    tiles: int | None,
    max_regions: int | None,
    device: str,
    without_missing: bool,
    as_json: bool,
) -> Collection:
    from indexer.errors import SwitchError
    from indexer.maintenance import model_switch

    with model_switch.building(opened):
        other = model_switch.following(opened)
        if other is not None and model != other.model.name:
            raise SwitchError(
                f"{other.model.name} is being built in {opened.folder} already; continue with "
                f"`tips switch {other.model.name}`, or give it up with `tips switch --cancel`."
            )
        place = str(weights.absolute()) if weights else other.model.weights if other else None
        load = model_loader(model, place, device)
        if other is None:
            other = model_switch.begin(
                opened, load().info, weights=place, max_regions=max_regions, tiles=tiles or 1
            )
        else:
            say("Going on with what was built before.")
        say(f"Building {model_words(other)} beside {model_words(opened)}; searches go on.")
        with index_progress() as bar:
            report = model_switch.build(opened, other, load, progress=bar)
            if not as_json:
                print_report(report, as_json=False)
            switched = _take_over(opened, other, load, without_missing, bar)
    say(
        f"`tips switch --back` takes {model_words(opened)} into use again; "
        "`tips switch --drop-old` frees its space."
    )
    return switched


def _take_over(
    opened: Collection,
    other: Collection,
    load: Callable[[], Embedder],
    without_missing: bool,
    progress: ProgressCallback,
) -> Collection:
    """Switch as soon as no other process writes the collection."""
    from indexer.errors import CollectionBusyError
    from indexer.maintenance import model_switch

    told = False
    while True:
        try:
            return model_switch.take_over(
                opened, other, load, without_missing=without_missing, progress=progress
            )
        except CollectionBusyError as busy:
            if not told:
                say(f"All is built. Waiting to switch: {shown(str(busy))}", "yellow")
            told = True
            time.sleep(WAIT)
