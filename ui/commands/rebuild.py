"""`tips rebuild`: the vectors once more from the catalog."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import click

from ui.options import collection_option, json_option, progress_file_option
from ui.render import print_json, say
from ui.words import counted


@click.command()
@click.option("--qdrant", metavar="URL", help="Move the vectors to this Qdrant server.")
@click.option(
    "--embedded", is_flag=True, help="Move the vectors back into the collection's folder."
)
@progress_file_option
@json_option
@collection_option
def rebuild(
    qdrant: str | None,
    embedded: bool,
    progress_file: Path | None,
    as_json: bool,
    collection: Path,
) -> None:
    """Make the vectors again from the catalog, without the model; searches go on meanwhile.

    \b
    Example:
      tips rebuild
      tips rebuild --qdrant http://localhost:6333
    """
    if qdrant and embedded:
        raise click.UsageError("--qdrant and --embedded exclude each other.")
    from indexer.collection import EMBEDDED, Collection
    from indexer.errors import explain_full_disk
    from indexer.progress import Meter
    from indexer.publish import publish
    from ui.commands.index import both, index_progress
    from ui.progress_file import reporting

    with reporting(progress_file) as told:
        opened = Collection.open(collection)
        with explain_full_disk(opened.folder), opened.lock(), index_progress() as bar:
            if qdrant or embedded:
                opened.use_engine(server_engine(opened.folder, qdrant) if qdrant else EMBEDDED)
            catalog, store = opened.catalog(), opened.vectors(read_only=False)
            meter = Meter(both(bar, told.show), "publish", sum(catalog.counts().values()))
            report = publish(
                catalog, store, rebuild=True, progress=lambda done: meter.add(done - meter.done)
            )
            store.close()
        facts = {"published": report.published, "seconds": round(report.seconds, 3)}
        told.finish(facts)
    if as_json:
        print_json(facts)
    else:
        say(f"{counted(report.published, 'photo')} published in {report.seconds:.1f} s.")


def server_engine(folder: Path, url: str) -> dict[str, str]:
    """The engine setting for a server; the collection's folder names its collections there."""
    digest = hashlib.blake2b(os.fsencode(folder.absolute()), digest_size=4).hexdigest()
    name = "".join(char if char.isascii() and char.isalnum() else "-" for char in folder.name)
    return {"kind": "server", "url": url, "prefix": f"tips-{name}-{digest}"}
