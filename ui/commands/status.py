"""`tips status` and `tips verify`: what a collection holds, what failed, and whether its parts
agree.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from ui.options import collection_option, json_option
from ui.render import facts_table, print_json, say
from ui.words import counted, shown, visible

if TYPE_CHECKING:
    from indexer.collection import Collection

PROBLEMS = 1


@click.command()
@click.option("--failed", is_flag=True, help="List the files that cannot be read, with the reason.")
@json_option
@collection_option
def status(failed: bool, as_json: bool, collection: Path) -> None:
    """Say what the collection holds: photos, model, folders, and what could not be read.

    \b
    Example:
      tips status
      tips status --failed
    """
    from indexer.collection import Collection

    opened = Collection.open(collection)
    if failed:
        _print_failures(opened, as_json=as_json)
        return
    facts = _facts(opened)
    if as_json:
        print_json(facts)
        return
    rows = [
        ("collection", str(opened.folder)),
        ("photos", f"{facts['photos']:,}"),
        ("failed", f"{facts['failed']:,}" + (" (tips status --failed)" if facts["failed"] else "")),
        (
            "searchable",
            f"{counted(facts['images'], 'photo')}, {counted(facts['regions'], 'region')}",
        ),
        ("model", f"{opened.model.name} ({opened.model.model_id})"),
        ("engine", _engine(opened)),
        *(("folder", shown(root)) for root in opened.roots),
    ]
    if opened.model.note:
        rows.append(("note", opened.model.note))
    Console().print(facts_table(rows))


@click.command()
@click.option("--repair", is_flag=True, help="Make the vectors agree with the catalog again.")
@json_option
@collection_option
@click.pass_context
def verify(ctx: click.Context, repair: bool, as_json: bool, collection: Path) -> None:
    """Check that catalog, vectors and files agree; exit code 1 when they do not.

    \b
    Example:
      tips verify
      tips verify --repair
    """
    from indexer.collection import Collection
    from indexer.verify import verify as check

    report = check(Collection.open(collection), repair=repair)
    if as_json:
        print_json(report.to_dict())
    else:
        for line in report.lines():
            click.echo(line)
    if not report.sound:
        say("tips verify --repair makes the vectors agree with the catalog.")
        ctx.exit(PROBLEMS)


def _engine(opened: Collection) -> str:
    from indexer.server_layout import ServerLayout

    if opened.engine["kind"] != "server":
        return "embedded"
    return f"{opened.engine['url']} ({ServerLayout.from_settings(opened.engine).words()})"


def _facts(opened: Collection) -> dict[str, Any]:
    counts = opened.catalog().counts()
    store = opened.vectors()
    facts = {
        "collection": str(opened.folder),
        "photos": counts["ok"],
        "failed": counts["failed"],
        "images": store.count("images"),
        "regions": store.count("regions"),
        "model": opened.model.name,
        "model_id": opened.model.model_id,
        "engine": opened.engine,
        "roots": list(opened.roots),
    }
    store.close()
    return facts


def _print_failures(opened: Collection, *, as_json: bool) -> None:
    rows = opened.catalog().failures().select("path", "reason").rows(named=True)
    if as_json:
        print_json(rows)
        return
    for row in rows:
        click.echo(f"{shown(row['path'])}: {visible(row['reason'])}")
    say(f"{counted(len(rows), 'file')} could not be read.")
