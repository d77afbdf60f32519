"""`tips demo`: the whole product on the bundled pictures, with the bundled model."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.text import Text

from ui.render import results_table, say

if TYPE_CHECKING:
    from PIL.Image import Image

    from search.hits import Results
    from search.searcher import Searcher

DEMO = Path(__file__).parents[1] / "demo"
PHOTOS = DEMO / "photos"
MODEL = "nano"
HITS = 4
TILES = 2  # nano sees 96 pixels a side: windows show it small things
TILE = 300  # pixels, longer side of a picture on the contact sheet
CAPTION = 34  # pixels
GAP = 14  # pixels
PAPER = (250, 249, 246)
INK = (36, 33, 29)
Row = tuple[str, list["Image"]]


@dataclass(frozen=True, slots=True)
class Queries:
    """What the demo looks for: whole pictures, and places in them."""

    images: tuple[str, ...]
    regions: tuple[str, ...]

    @classmethod
    def read(cls, file: Path) -> Queries:
        """From a JSON file {"images": [...], "regions": [...]}."""
        lists = json.loads(file.read_text("utf-8"))
        return cls(tuple(lists["images"]), tuple(lists["regions"]))


@click.command()
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("demo-out"),
    show_default=True,
    metavar="DIR",
    help="Where the collection and the annotated pictures go.",
)
def demo(out: Path) -> None:
    """Index the bundled pictures with the bundled model, search them, and draw what is found.

    \b
    Example:
      tips demo --out demo-out
      tips ui -c demo-out/collection
    """
    from indexer.pipeline import index
    from search.searcher import Searcher
    from ui.index_progress import index_progress, print_report
    from ui.opening import Wanted, open_or_create

    collection, load = open_or_create(out / "collection", Wanted(model=MODEL, tiles=TILES), "cpu")
    with index_progress() as progress:
        report = index(collection, [PHOTOS], load, progress=progress)
    print_report(report, as_json=False)
    queries = Queries.read(DEMO / "queries.json")
    with Searcher.open(collection.folder) as searcher:
        sheet = [
            *(find_images(searcher, words) for words in queries.images),
            *(find_places(searcher, words, out) for words in queries.regions),
        ]
    found = [row for row in sheet if row[1]]
    if found:
        path = out / "contact-sheet.png"
        contact_sheet(found).save(path)
        say(f"\nThe pictures are in {out}, all on one sheet in {path}")
    say(f"Look around in the browser: tips ui -c {out / 'collection'}", "bold")


def find_images(searcher: Searcher, words: str) -> Row:
    """Search whole pictures and print the hits; the pictures found, for the sheet."""
    results = searcher.images(words, limit=HITS)
    _print("search", results)
    return f"search: {words}", [searcher.photo(hit.id) for hit in results.hits]


def find_places(searcher: Searcher, words: str, out: Path) -> Row:
    """Search places, print and draw the hits; the pictures with boxes, for the sheet."""
    results = searcher.regions(words, limit=HITS, refine=True)
    _print("regions", results)
    return f"regions: {words}", draw_places(searcher, results, words, out)


def draw_places(searcher: Searcher, results: Results, words: str, out: Path) -> list[Image]:
    """Write each hit with its boxes and with its heat map to `out`; the pictures with boxes."""
    from search.draw import draw_hit

    name = re.sub(r"\W+", "-", words.lower()).strip("-")
    pictures = []
    for rank, hit in enumerate(results.hits, 1):
        photo = searcher.photo(hit.id)
        boxes = draw_hit(photo, hit, label=words)
        boxes.save(out / f"{name}-{rank}.png")
        heat = searcher.heatmap(hit.id, words, exact=True)
        draw_hit(photo, hit, boxes=False, heat=heat).save(out / f"{name}-{rank}-heat.png")
        pictures.append(boxes)
    return pictures


def contact_sheet(rows: list[Row]) -> Image:
    """One picture with a line of pictures per row, each under its caption."""
    from PIL import Image as images
    from PIL import ImageDraw, ImageFont

    most = max((len(pictures) for _, pictures in rows), default=1)
    width = GAP + most * (TILE + GAP)
    height = GAP + len(rows) * (CAPTION + TILE + GAP)
    sheet = images.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=20)
    for line, (caption, pictures) in enumerate(rows):
        top = GAP + line * (CAPTION + TILE + GAP)
        draw.text((GAP, top), caption, font=font, fill=INK)
        for column, picture in enumerate(pictures):
            tile = picture.copy()
            tile.thumbnail((TILE, TILE))
            sheet.paste(tile, (GAP + column * (TILE + GAP), top + CAPTION))
    return sheet


def _print(command: str, results: Results) -> None:
    console = Console()
    console.print(Text.assemble("\n", (f'tips {command} "{results.query}"', "bold")))
    if results.hits:
        places = command == "regions"
        console.print(results_table(results, with_regions=places, folder=PHOTOS))
    else:
        console.print("nothing found", style="dim")
