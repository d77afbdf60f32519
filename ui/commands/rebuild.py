"""`tips rebuild`: rebuild the vectors from the catalog, embedded or on a server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ui.formatting import counted
from ui.open_collection import check_layout_has_server, warn_of_clear_key
from ui.options import (
    WaitingCommand,
    collection_option,
    json_option,
    layout_options,
    patience_of,
    progress_file_option,
    wait_option,
)
from ui.render import print_json, say

if TYPE_CHECKING:
    from indexer.collection import Collection


@click.command(cls=WaitingCommand)
@click.option("--qdrant", metavar="URL", help="Move the vectors to this Qdrant server.")
@click.option(
    "--embedded", is_flag=True, help="Move the vectors back into the collection's folder."
)
@layout_options
@click.option(
    "--drop-old",
    is_flag=True,
    help="After a move, delete the vectors in the old place. Restart programs that have the "
    "collection open.",
)
@wait_option
@progress_file_option
@json_option
@collection_option
def rebuild(
    qdrant: str | None,
    embedded: bool,
    layout: dict[str, Any],
    drop_old: bool,
    wait: float | None,
    progress_file: Path | None,
    as_json: bool,
    collection: Path,
) -> None:
    """Rebuild the vectors from the catalog, without the model; searches continue meanwhile.

    Rerun to resume an interrupted upload to a server.

    \b
    Example:
      tips rebuild
      tips rebuild --qdrant http://localhost:6333
      tips rebuild --qdrant https://qdrant.example.org:6333 --shards 6 --replicas 2
    """
    if qdrant and embedded:
        raise click.UsageError("--qdrant and --embedded exclude each other.")
    from indexer.collection import Collection
    from indexer.errors import explain_full_disk
    from indexer.maintenance.migrate import discard, move, same_place
    from indexer.progress import Meter
    from indexer.run_log import recorded
    from ui.index_progress import both, index_progress
    from ui.progress_file import reporting

    with reporting(progress_file) as told:
        opened = Collection.open(collection)
        opened.patience = patience_of(wait)
        with (
            explain_full_disk(opened.folder),
            opened.lock(),
            recorded(opened.folder, "rebuild") as record,
            index_progress() as bar,
        ):
            before = opened.engine
            engine = _engine(opened, qdrant, embedded, layout)
            meter = Meter(both(bar, told.show), "publish", sum(opened.catalog().counts().values()))
            report = move(opened, engine, progress=lambda done: meter.add(done - meter.done))
            moved = not same_place(before, engine)
            if moved and drop_old:
                discard(opened, before)
            record.counts = {"published": report.published}
        facts = {"published": report.published, "seconds": round(report.seconds, 3)}
        told.finish(facts)
    if as_json:
        print_json(facts)
    else:
        say(f"{counted(report.published, 'photo')} published in {report.seconds:.1f} s.")
    if moved and not drop_old:
        place = before.get("url", str(opened.vectors_folder))
        say(f"The vectors in {place} are still there, for programs that have them open.")


def _engine(
    opened: Collection, qdrant: str | None, embedded: bool, layout: dict[str, Any]
) -> dict[str, Any]:
    """The requested engine settings: the collection's own unless another engine is named, updated
    with `layout`.
    """
    from indexer.collection import EMBEDDED
    from indexer.maintenance.migrate import server_engine
    from indexer.server.layout import ServerLayout

    known = opened.engine
    url = qdrant or (None if embedded else known.get("url"))
    if url is None:
        check_layout_has_server(layout)
        return dict(EMBEDDED)
    wanted = ServerLayout.from_settings({**known, **layout})
    engine = server_engine(opened.folder, opened.ensure_id(), url, wanted)
    if known.get("url") == engine["url"]:
        engine["prefix"] = known["prefix"]
    warn_of_clear_key(url)
    return engine
