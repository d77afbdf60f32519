"""`tips search`, `tips regions` and `tips layout`: find photos, and the places in them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click

from search.query import ImageTerm, PlacedThing
from search.request import Page, Request
from ui.formatting import counted
from ui.options import Show, image_option, pick_device, result_options
from ui.render import print_json, say

if TYPE_CHECKING:
    from search.hits import Results
    from search.searcher import Searcher

NOTHING_FOUND = 1  # exit code, as for grep
DRAWN = re.compile(r"\d{3,}-[0-9a-f]{8}\.jpg")  # file names that `draw_hits` writes


explain_option = click.option(
    "--explain", is_flag=True, help="Print how TEXT is read, and do not search."
)


@click.command()
@click.argument("text", nargs=-1)
@image_option
@explain_option
@result_options
@click.pass_context
def search(
    ctx: click.Context,
    text: tuple[str, ...],
    images: tuple[Path, ...],
    explain: bool,
    show: Show,
    device: str,
    collection: Path,
    **page: Unpack[Page],
) -> None:
    """Find photos that show TEXT. Prints the paths, best first; exit code 1 when nothing is found.

    TEXT is a plain sentence, or adds and subtracts: `2:red + mug - cup` (put `--` before a TEXT
    that begins with a minus). A TEXT with one of these signs composes things with places:

    \b
      dog left of car       right of, above, below, inside, next to
      kite top left         at the top, on the right, in the centre, ...
      ">=3 apples"          <=2, =1, at least 3, exactly two, ... up to 8
      dog without cat       no, not, except, minus, -cat, and not, but no
      dog OR cat, (dog OR cat) left of car
                            either of them; (...) groups
      TINY dog, dog AND cat, dog NOT cat, sun TOP
                            capitals also make signs of sizes (TINY, SMALL,
                            LARGE, HUGE), AND, OR, NOT and positions

    Beside one of these, small `and`, `tiny`, `3` and so on are signs too; alone they are plain
    words: "a man and a woman", "large intestine". Quotes inside TEXT keep words as they are:
    '"top hat" left of dog'. `--explain` prints how TEXT is read. Filters may stand in it:
    `dog date:2021 -in:Trash`.

    \b
    Example:
      tips search "a dog on the beach" --filter "date:2021 in:Trips"
      tips search "dog left of a tree and not cat"
      tips search "at night" --image ./street.jpg -n 5 --json
    """
    if explain:
        print_explanation(" ".join(text), as_json=ctx.params["as_json"], places=False)
        return
    asked = Request(words=" ".join(text), pictures=tuple(map(ImageTerm, images)), **page)
    results = open_searcher(collection, device).search(asked)
    show(results, with_regions=False)
    if not results.hits:
        ctx.exit(NOTHING_FOUND)


draw_option = click.option(
    "--draw",
    "draw_folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="OUTDIR",
    help="Write each photo found to OUTDIR with its places drawn on.",
)
refine_option = click.option(
    "--refine/--no-refine",
    default=None,
    help="Recompute the places from the photos for tighter boxes; takes one or more model passes "
    "per photo. Default: with --draw, and always with a small model or a GPU.",
)


@click.command()
@click.argument("text", nargs=-1, required=True)
@draw_option
@refine_option
@explain_option
@result_options
@click.pass_context
def regions(
    ctx: click.Context,
    text: tuple[str, ...],
    draw_folder: Path | None,
    refine: bool | None,
    explain: bool,
    show: Show,
    device: str,
    collection: Path,
    **page: Unpack[Page],
) -> None:
    """Find the places in photos that show TEXT; grouped by photo, boxes as fractions of the
    picture.

    TEXT may compose things with places as in `tips search --help`. Here `and` is always a sign
    (each thing has its place), and so is a size or number before a short name: `tiny dog`,
    `3 apples` (exactly three).

    \b
    Example:
      tips regions "red umbrella" -n 10 --draw hits/
      tips regions "cup next to laptop" --json
      tips regions "bicycle" --json | jq '.hits[].regions[0].box'
    """
    if explain:
        print_explanation(" ".join(text), as_json=ctx.params["as_json"], places=True)
        return
    check_draw(draw_folder)
    searcher = open_searcher(collection, device)
    asked = Request(words=" ".join(text), by="places", **page)
    show_places(ctx, searcher, asked, refine, show, draw_folder)


@click.command()
@click.argument("placed", nargs=-1, required=True, metavar="TEXT BOX [TEXT BOX]...")
@draw_option
@refine_option
@result_options
@click.pass_context
def layout(
    ctx: click.Context,
    placed: tuple[str, ...],
    draw_folder: Path | None,
    refine: bool | None,
    show: Show,
    device: str,
    collection: Path,
    **page: Unpack[Page],
) -> None:
    """Find photos that show things where you place them: each TEXT in its BOX.

    BOX is left,top,right,bottom as fractions of the upright picture, from 0,0 (top left) to 1,1.

    \b
    Example:
      tips layout "pine tree" 0,0,0.4,1 "dog" 0.5,0.6,0.9,1
      tips layout sun 0.7,0,1,0.3 --draw hits/
    """
    things = read_layout(placed)
    check_draw(draw_folder)
    searcher = open_searcher(collection, device)
    show_places(ctx, searcher, Request(layout=things, **page), refine, show, draw_folder)


def print_explanation(text: str, *, as_json: bool, places: bool) -> None:
    """Print how a text is read: its reading in one line and in plain English, notes on stderr.
    Raises `QueryError`.
    """
    from search.explain import explain

    found = explain(text, places)
    if as_json:
        print_json(found.to_dict())
        return
    for line in (*filter(None, [found.reading]), *(f"  {line}" for line in found.lines)):
        click.echo(line)
    for note in found.notes:
        say(note)


def read_layout(placed: tuple[str, ...]) -> tuple[PlacedThing, ...]:
    """Alternating texts and boxes from the command line. Raises `QueryError`."""
    from search.errors import QueryError

    if len(placed) % 2:
        raise QueryError(f"'{placed[-1]}' has no box: write each text and its box in turn.")
    things = []
    for text, box in zip(placed[::2], placed[1::2], strict=True):
        try:
            x0, y0, x1, y1 = (float(edge) for edge in box.split(","))
        except ValueError:
            raise QueryError(
                f"'{box}' is not a box: write left,top,right,bottom as fractions, as in 0,0,0.4,1."
            ) from None
        things.append(PlacedThing(text, (x0, y0, x1, y1)))
    return tuple(things)


def show_places(
    ctx: click.Context,
    searcher: Searcher,
    asked: Request,
    refine: bool | None,
    show: Show,
    folder: Path | None,
) -> None:
    """Print the places, and draw them to a folder if one is given; without hits, exit with
    `NOTHING_FOUND`. Places are refined from the photos if the user says so, else when they are
    drawn or when it is cheap.
    """
    if refine is None:
        refine = folder is not None or searcher.refines_quickly
    results = searcher.search(asked.model_copy(update={"refine": refine}))
    show(results, with_regions=True)
    if not results.hits:
        ctx.exit(NOTHING_FOUND)
    if folder is not None:
        written = draw_hits(searcher, results, folder)
        say(f"{len(written)} of {len(results.hits)} pictures are in {folder}")
        older = sum(DRAWN.fullmatch(path.name) is not None for path in folder.iterdir())
        older -= len(written)
        if older:  # they may be the user's own files: nothing is deleted
            say(f"The folder also holds {counted(older, 'older picture')} of another search.")


def check_draw(folder: Path | None) -> None:
    """Before a search: check that the folder can be created or written. Raises
    `click.BadParameter`.
    """
    if folder is None:
        return
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise click.BadParameter(f"{there} cannot be written.", param_hint="--draw")


def open_searcher(collection: Path, device: str) -> Searcher:
    """Open the collection for searching; raises `TipsError` when there is none."""
    from search.searcher import Searcher

    return Searcher.open(collection, device=pick_device(device))


def draw_hits(searcher: Searcher, results: Results, folder: Path) -> list[Path]:
    """Write the photos with their boxes to `folder` as NNN-id.jpg; unreadable ones are reported and
    skipped.
    """
    from search.draw import draw_hit
    from search.errors import QueryError

    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for rank, hit in enumerate(results.hits, 1):
        try:
            photo = searcher.photo(hit.id)
        except QueryError as error:
            say(str(error))
            continue
        target = folder / f"{rank:03d}-{hit.id[:8]}.jpg"
        draw_hit(photo, hit).save(target, quality=90)
        written.append(target)
    return written
