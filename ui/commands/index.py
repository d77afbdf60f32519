"""`tips index`: index photos into a collection, or update it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ui.cluster_workers import ray_workers
from ui.index_progress import both, index_progress, print_report
from ui.open_collection import (
    DEFAULT_MODEL,
    Wanted,
    change_excluded,
    check_first_call,
    fetch_weights,
    open_or_create,
    remember,
)
from ui.options import (
    STOPPED,
    RootType,
    WaitingCommand,
    collection_option,
    device_option,
    exclude_option,
    hidden_option,
    include_option,
    json_option,
    layout_options,
    limit_options,
    patience_of,
    progress_file_option,
    qdrant_option,
    regions_option,
    tiles_option,
    wait_option,
    weights_option,
)
from ui.render import say

if TYPE_CHECKING:
    from indexer.photos.limits import Limits


@click.command(cls=WaitingCommand)
@click.argument("paths", nargs=-1, type=RootType(), metavar="PATH...")
@click.option(
    "--model",
    metavar="NAME",
    help=f"Model of a new collection: a name from `tips models`, or openclip:ARCH/TAG.  "
    f"[default: {DEFAULT_MODEL}]",
)
@weights_option
@qdrant_option
@layout_options
@click.option(
    "--catalog",
    metavar="URL",
    help="Store the catalog of a new collection on object storage, such as s3://bucket/photos.",
)
@tiles_option
@regions_option
@exclude_option
@include_option
@hidden_option
@click.option(
    "--batch-size",
    type=click.IntRange(1, 100_000),
    default=256,
    show_default=True,
    metavar="N",
    help="Photos per commit; committed photos survive a stop.",
)
@limit_options
@click.option("--retry-failed", is_flag=True, help="Retry photos that failed before.")
@click.option(
    "--reread",
    is_flag=True,
    help="Read facts and thumbnails of photos again that an earlier version has read; their "
    "vectors stay.",
)
@click.option(
    "--ray",
    "ray_address",
    metavar="ADDRESS",
    help="Read and embed on a Ray cluster: auto, local, HOST:PORT or ray://HOST:PORT.",
)
@click.option(
    "--ray-actors",
    type=click.IntRange(1),
    metavar="N",
    help="Cluster processes that hold the model.  [default: one per GPU, else per 4 CPUs]",
)
@click.option(
    "--ray-gpus/--no-ray-gpus",
    default=None,
    help="Use the cluster's GPUs.  [default: if it has any]",
)
@click.option(
    "--fetch", is_flag=True, help="Download the model's weights first if they are missing."
)
@wait_option
@progress_file_option
@json_option
@device_option
@collection_option
@click.pass_context
def index(
    ctx: click.Context,
    paths: tuple[Path | str, ...],
    model: str | None,
    weights: Path | None,
    qdrant: str | None,
    layout: dict[str, Any],
    catalog: str | None,
    tiles: int | None,
    max_regions: int | None,
    exclude: tuple[str, ...],
    include: tuple[str, ...],
    include_hidden: bool,
    batch_size: int,
    limits: Limits,
    retry_failed: bool,
    reread: bool,
    ray_address: str | None,
    ray_actors: int | None,
    ray_gpus: bool | None,
    fetch: bool,
    wait: float | None,
    progress_file: Path | None,
    as_json: bool,
    device: str,
    collection: Path,
) -> None:
    """Index the photos in PATH..., or update the index with what changed.

    Without PATH, updates all folders of the collection. Your photos are only read. Stop at any
    time; rerun to resume.

    \b
    Example:
      tips index ~/Pictures
      tips index ~/Pictures /mnt/photos -c ~/all.tips --exclude-dir previews --json
      tips index ~/Pictures --model nano
      tips index s3://bucket/photos --ray auto --catalog s3://bucket/catalog
    """
    from indexer.errors import InterruptedIndexError
    from indexer.options import IndexOptions
    from indexer.pipeline import index as run
    from ui.progress_file import reporting

    options = IndexOptions(
        include_hidden=include_hidden,
        limits=limits,
        retry_failed=retry_failed,
        reread=reread,
        commit_photos=batch_size,
    )
    wanted = Wanted(
        model=model,
        weights=weights,
        qdrant=qdrant,
        layout=layout,
        catalog=catalog,
        tiles=tiles,
        max_regions=max_regions,
    )
    try:
        with reporting(progress_file) as told:
            check_first_call(collection, paths)
            if fetch and weights is None:
                fetch_weights(collection, model, told.fetched)
            with ray_workers(collection, ray_address, ray_actors, ray_gpus, device) as employ:
                opened, load = open_or_create(collection, wanted, device, patience_of(wait))
                remember(opened.folder)
                change_excluded(opened, exclude, include)
                with index_progress() as bar:
                    report = run(
                        opened,
                        paths,
                        load,
                        options=options,
                        progress=both(bar, told.show),
                        workers=employ(opened) if employ else None,
                    )
            told.finish(report.to_dict())
    except InterruptedIndexError as stopped:
        print_report(stopped.report, as_json=as_json)
        say(str(stopped))
        ctx.exit(STOPPED)
    print_report(report, as_json=as_json)
