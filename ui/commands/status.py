"""`tips status` and `tips verify`: a collection's contents, failures and consistency."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ui.formatting import counted, shown, visible
from ui.options import (
    WaitingCommand,
    collection_option,
    json_option,
    patience_of,
    wait_option,
)
from ui.render import facts_table, print_json, print_tables, say

if TYPE_CHECKING:
    from indexer.collection import Collection

PROBLEMS = 1


@click.command()
@click.option("--failed", is_flag=True, help="List unreadable files, with the reason.")
@click.option(
    "--report",
    is_flag=False,
    flag_value="-",
    type=click.Path(dir_okay=False, allow_dash=True),
    metavar="[FILE]",
    help="Write a report to send with a question: versions, counts, times and errors, without "
    "paths, names, places, hosts or queries. Without FILE, to stdout.",
)
@json_option
@collection_option
def status(failed: bool, report: str | None, as_json: bool, collection: Path) -> None:
    """Show what the collection holds: photos, model, folders, unreadable files, and who writes it
    now.

    \b
    Example:
      tips status
      tips status --failed
      tips status --report tips-report.txt
    """
    from indexer.collection import Collection

    if report is not None and (as_json or failed):
        raise click.UsageError("--report is a text of its own; leave out --json and --failed.")
    opened = Collection.open(collection)
    if report is not None:
        _write_report(opened, report)
        return
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
        *(("noted", f'{n:,} (note:"{note}")') for note, n in facts["notes"].items()),
        (
            "searchable",
            f"{counted(facts['images'], 'photo')}, {counted(facts['regions'], 'region')}",
        ),
        ("model", f"{opened.model.name} ({opened.model.model_id}){_windows(opened)}"),
        ("engine", _engine(opened)),
        *(("folder", shown(root)) for root in opened.roots),
        *(("excluded", shown(name)) for name in opened.exclude),
        *_activity(facts),
    ]
    if opened.model.note:
        rows.append(("note", opened.model.note))
    print_tables(facts_table(rows))


@click.command(cls=WaitingCommand)
@click.option("--repair", is_flag=True, help="Repair the vectors from the catalog.")
@wait_option
@json_option
@collection_option
@click.pass_context
def verify(
    ctx: click.Context, repair: bool, wait: float | None, as_json: bool, collection: Path
) -> None:
    """Check that catalog, vectors and files agree; exit code 1 if they do not. Changes that a
    running command has yet to publish do not count.

    \b
    Example:
      tips verify
      tips verify --repair
    """
    from indexer.collection import Collection
    from indexer.maintenance.verify import verify as check
    from indexer.write_lock import holder

    opened = Collection.open(collection)
    opened.patience = patience_of(wait)
    writer = None if repair else holder(opened.folder)
    report = check(opened, repair=repair)
    if as_json:
        print_json(report.to_dict())
    else:
        for line in report.lines():
            click.echo(line)
    if writer is not None and report.pending and replace(report, pending=()).sound:
        say(f"{writer} is at it: what it publishes last is no fault.")
        return
    if not report.vectors_agree and not repair:
        say("tips verify --repair makes the vectors agree with the catalog.")
    if not report.sound:
        ctx.exit(PROBLEMS)


def _windows(opened: Collection) -> str:
    """Settings that distinguish two models with one name (see `tips switch --tiles`)."""
    tiles = f", in {opened.tiles} x {opened.tiles} windows" if opened.tiles > 1 else ""
    return f"{tiles}, at most {opened.max_regions} regions of a photo"


def _engine(opened: Collection) -> str:
    from indexer.server.layout import ServerLayout

    if opened.engine["kind"] != "server":
        return "embedded"
    return f"{opened.engine['url']} ({ServerLayout.from_settings(opened.engine).words()})"


def _facts(opened: Collection) -> dict[str, Any]:
    from indexer.write_lock import holder

    catalog = opened.catalog()
    counts = catalog.counts()
    store = opened.vectors()
    held = holder(opened.folder)
    facts = {
        "collection": str(opened.folder),
        "photos": counts["ok"],
        "failed": counts["failed"],
        "notes": catalog.noted(),
        "images": store.count("images"),
        "regions": store.count("regions"),
        "model": opened.model.name,
        "model_id": opened.model.model_id,
        "tiles": opened.tiles,
        "max_regions": opened.max_regions,
        "engine": opened.engine,
        "roots": list(opened.roots),
        "excluded": list(opened.exclude),
        "holder": held.to_dict() if held else None,
        "next": _next(opened, counts),
        "kept": opened.previous["model"]["name"] if opened.previous else None,
    }
    store.close()
    return facts


def _next(opened: Collection, counts: dict[str, int]) -> dict[str, Any] | None:
    """The progress of the model that is being built (see `tips switch`)."""
    from indexer.maintenance import model_switch
    from indexer.settings import MODELS
    from indexer.write_lock import holder

    other = model_switch.following(opened)
    if other is None:
        return None
    done = other.catalog().counts() if other.catalog_folder.exists() else {}
    held = holder(opened.folder / MODELS)
    return {
        "model": other.model.name,
        "photos": done.get("ok", 0) + done.get("failed", 0),
        "of": counts["ok"] + counts["failed"],
        "holder": held.to_dict() if held else None,
    }


def _activity(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """The current writers, and the other models of the collection."""
    rows = []
    if facts["holder"]:
        rows.append(("written by", _holder(facts["holder"])))
    if facts["next"]:
        build = facts["next"]
        goes_on = _holder(build["holder"]) if build["holder"] else "stopped; tips switch goes on"
        count = f"{build['photos']:,} of {counted(build['of'], 'photo')}"
        rows.append(("being built", f"{build['model']}: {count} ({goes_on})"))
    if facts["kept"]:
        rows.append(("kept", f"{facts['kept']}, from before the switch"))
    return rows


def _holder(facts: dict[str, Any]) -> str:
    from indexer.write_lock import Holder

    return shown(str(Holder(**facts)))


def _write_report(opened: Collection, target: str) -> None:
    from ui.report import report

    text = report(opened)
    if target == "-":
        click.echo(text, nl=False)
        return
    Path(target).write_text(text, "utf-8")
    say(f"The report is in {target}; read it before you send it.")


def _print_failures(opened: Collection, *, as_json: bool) -> None:
    rows = opened.catalog().failures().select("path", "reason").rows(named=True)
    if as_json:
        print_json(rows)
        return
    for row in rows:
        click.echo(f"{shown(row['path'])}: {visible(row['reason'])}")
    say(f"{counted(len(rows), 'file')} could not be read.")
