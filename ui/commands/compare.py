"""`tips compare`: the results of two models for one query, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.table import Table
from rich.text import Text

from search.request import Request
from ui.commands.search import NOTHING_FOUND
from ui.formatting import counted, model_words, shown
from ui.options import collection_option, device_option, json_option, pick_device
from ui.render import print_json, print_tables, say

if TYPE_CHECKING:
    from indexer.collection import Collection
    from search.hits import Hit, Results
    from search.rank_agreement import Agreement
    from search.searcher import Searcher

ROLES = ("now", "before", "next")


@click.command()
@click.argument("a")
@click.argument("b")
@click.argument("text", nargs=-1, required=True)
@click.option(
    "-n",
    "--limit",
    type=click.IntRange(1, 1000),
    default=10,
    show_default=True,
    metavar="N",
    help="Photos to compare from each.",
)
@click.option("--places", is_flag=True, help="Compare places, as `tips regions` does.")
@click.option("--filter", "filter_text", metavar="EXPR", help="Only photos that match.")
@click.option(
    "--sheet",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write both rankings as one picture of thumbnails to FILE (.jpg, .png or .webp).",
)
@json_option
@device_option
@collection_option
@click.pass_context
def compare(
    ctx: click.Context,
    a: str,
    b: str,
    text: tuple[str, ...],
    limit: int,
    places: bool,
    filter_text: str | None,
    sheet: Path | None,
    as_json: bool,
    device: str,
    collection: Path,
) -> None:
    """Ask A and B the same TEXT and show both rankings, and how far they agree.

    A and B are folders of collections, or models of one collection (-c): by name, or as `now`,
    `before` and `next` (see `tips switch`). A photo is the same in both when its bytes are. Of the
    ranks of photos that both have, the correlation is Spearman's.

    \b
    Example:
      tips compare now next "a red umbrella"
      tips compare tipsv2-b14 tipsv2-l14 "dog on a beach" -n 20 --sheet both.jpg
      tips compare ~/small.tips ~/large.tips "at night" --json
    """
    from search.rank_agreement import agreement
    from search.searcher import Searcher

    asked = Request(
        words=" ".join(text),
        by="places" if places else "photos",
        filter=filter_text,
        limit=limit,
        all=True,
    )
    if sheet is not None and sheet.suffix.lower() not in (".jpg", ".jpeg", ".png", ".webp"):
        raise click.BadParameter(
            f"{sheet} is not a .jpg, .png or .webp file.", param_hint="--sheet"
        )
    if sheet is not None and not sheet.parent.is_dir():
        raise click.BadParameter(f"the folder {sheet.parent} is not there.", param_hint="--sheet")
    found: list[Results] = []
    known: list[int] = []
    columns = []
    sides = [resolve(name, collection) for name in (a, b)]
    for name, opened in zip((a, b), sides, strict=True):
        with Searcher(opened, None, pick_device(device)) as searcher:
            _check_begun(name, opened, searcher)
            results = searcher.search(asked)
            found.append(results)
            known.append(searcher.count("images"))
            if sheet is not None:
                columns.append(_column(name, opened, results, searcher))
    agreed = agreement(*([hit.id for hit in results.hits] for results in found))
    if as_json:
        print_json(_to_dict(a, b, found, known, agreed))
    else:
        names = [
            f"{name} ({model_words(opened)})" for name, opened in zip((a, b), sides, strict=True)
        ]
        print_tables(_table(names, found[0].hits, found[1].hits))
        say(agreement_line(agreed))
        if known[0] != known[1]:
            counts = (
                f"{counted(n, 'photo')} in {shown(name)}"
                for n, name in zip(known, (a, b), strict=True)
            )
            say(f"They do not hold as many: {', '.join(counts)}.", "yellow")
    if sheet is not None:
        from search.contact_sheet import contact_sheet

        contact_sheet(*columns).save(sheet, quality=90)
        say(f"Both rankings are in {sheet}.")
    if not any(results.hits for results in found):
        ctx.exit(NOTHING_FOUND)


def resolve(name: str, folder: Path) -> Collection:
    """The collection that a name refers to: a folder, or a model of the collection in `folder`, to
    read only. Raises `CollectionError` naming the known ones.
    """
    from indexer.collection import Collection
    from indexer.errors import CollectionError
    from indexer.maintenance import model_switch

    if name not in ROLES and Collection.exists(name):
        return Collection.open(name)
    opened = Collection.open(folder)
    models = (opened, model_switch.previous(opened), model_switch.following(opened))
    there = {role: model for role, model in zip(ROLES, models, strict=True) if model is not None}
    if name in there:
        return there[name]
    named = [model for model in there.values() if model.model.name == name]
    if len(named) == 1:
        return named[0]
    known = ", ".join(f"{role} ({model_words(model)})" for role, model in there.items())
    raise CollectionError(
        f"'{shown(name)}' is not a collection, and "
        + ("more than one model" if named else "no model")
        + f" of {folder}; there are {known}."
    )


def _check_begun(name: str, opened: Collection, searcher: Searcher) -> None:
    """Raises `CollectionError` for a model that is still being built and has no results yet."""
    from indexer.errors import CollectionError
    from indexer.settings import MODELS

    if opened.folder.parent.name == MODELS and not searcher.count("images"):
        raise CollectionError(
            f"'{shown(name)}' ({model_words(opened)}) is being built and has no vectors yet; "
            f"continue with `tips switch {opened.model.name}`."
        )


def agreement_line(agreed: Agreement) -> str:
    """How far two rankings agree, as a sentence."""
    overlap = ", ".join(f"{share:.0%} of the first {k}" for k, share in agreed.overlap.items())
    line = f"Both have: {overlap or 'nothing'}."
    if agreed.correlation is None:
        return line
    return f"{line} Rank correlation of the {agreed.shared} shared: {agreed.correlation:+.2f}."


def _column(
    name: str, opened: Collection, results: Results, searcher: Searcher
) -> tuple[str, tuple[Hit, ...], dict[str, bytes]]:
    thumbnails = searcher.thumbnails([hit.id for hit in results.hits])
    return f"{Path(name).name}: {model_words(opened)}", results.hits, thumbnails


def _to_dict(
    a: str, b: str, found: list[Results], known: list[int], agreed: Agreement
) -> dict[str, object]:
    sides = {
        side: {"name": name, "photos": photos} | results.to_dict()
        for side, name, photos, results in zip(("a", "b"), (a, b), known, found, strict=True)
    }
    return {"query": found[0].query, **sides, "agreement": agreed.to_dict()}


def _table(names: list[str], first: tuple[Hit, ...], second: tuple[Hit, ...]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", show_edge=False)
    table.add_column("#", justify="right", style="dim")
    for name in names:
        table.add_column(Text(shown(name)), overflow="fold")
    shared = {hit.id for hit in first} & {hit.id for hit in second}
    for rank in range(max(len(first), len(second))):
        cells = [_cell(hits[rank : rank + 1], shared) for hits in (first, second)]
        table.add_row(str(rank + 1), *cells)
    return table


def _cell(hits: tuple[Hit, ...], shared: set[str]) -> Text:
    """A hit: its score, dimmed if below the line, and its name; bold if both rankings have it."""
    if not hits:
        return Text("")
    (hit,) = hits
    score = Text(f"{hit.score:5.2f}  ", style="green" if hit.confident else "dim")
    return score.append(
        shown(hit.path.rpartition("/")[2]), style="bold" if hit.id in shared else ""
    )
