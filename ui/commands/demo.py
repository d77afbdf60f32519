"""`tips demo`: index, search and draw the bundled photographs with the bundled model."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.text import Text

from ui.render import print_tables, results_table, say

if TYPE_CHECKING:
    from PIL.Image import Image

    from search.hits import Results
    from search.searcher import Searcher

DEMO = Path(__file__).parents[1] / "demo"
MODEL = "nano"
HITS = 4
POSSIBLE = "nothing stands out, these are the likeliest"
TILES = 2  # nano sees 168 pixels a side: windows let it see small things
TILE = 300  # pixels, longer side of a picture on the contact sheet
CAPTION = 34  # pixels
GAP = 14  # pixels
PAPER = (250, 249, 246)
INK = (36, 33, 29)
FAINT = (122, 116, 106)
NOTHING = "nothing found"
ABSENT = "no photo shows it"
HARD = "one photo shows it; expected to be too much for so small a model"
Row = tuple[str, list["Image"]]


@dataclass(frozen=True, slots=True)
class Queries:
    """The queries of the demo, fixed before any of them was searched for.

    images: whole photos. regions: places in them. absent: what no photo shows. hard: what a photo
    shows but a model this small is expected to miss.
    """

    images: tuple[str, ...]
    regions: tuple[str, ...]
    absent: tuple[str, ...] = ()
    hard: tuple[str, ...] = ()

    @classmethod
    def read(cls, file: Path) -> Queries:
        """Read a JSON file {"images": [...], "regions": [...], "absent": [...], "hard": [...]}; the
        last two may be missing.
        """
        lists = json.loads(file.read_text("utf-8"))
        more = (tuple(lists.get(name, ())) for name in ("absent", "hard"))
        return cls(tuple(lists["images"]), tuple(lists["regions"]), *more)


@click.command()
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("demo-out"),
    show_default=True,
    metavar="DIR",
    help="Folder for the collection and the annotated pictures.",
)
def demo(out: Path) -> None:
    """Index the bundled photos with the bundled model, search them, and draw the hits.

    \b
    Example:
      tips demo --out demo-out
      tips ui -c demo-out/collection
    """
    from indexer.pipeline import index
    from search.searcher import Searcher
    from ui.index_progress import index_progress, print_report
    from ui.open_collection import Wanted, open_or_create

    collection, load = open_or_create(out / "collection", Wanted(model=MODEL, tiles=TILES), "cpu")
    with index_progress() as progress:
        report = index(collection, [DEMO / "photos"], load, progress=progress)
    print_report(report, as_json=False)
    queries = Queries.read(DEMO / "queries.json")
    with Searcher.open(collection.folder) as searcher:
        sheet = [
            *(find_images(searcher, words) for words in queries.images),
            *(find_places(searcher, words, out) for words in queries.regions),
            *(find_images(searcher, words, ABSENT) for words in queries.absent),
            *(find_images(searcher, words, HARD) for words in queries.hard),
        ]
    path = out / "contact-sheet.png"
    contact_sheet(sheet).save(path)
    say(f"\nThe pictures are in {out}, all on one sheet in {path}")
    say(f"Look around in the browser: tips ui -c {out / 'collection'}", "bold")


def find_images(searcher: Searcher, words: str, remark: str = "") -> Row:
    """Search whole photos and print the hits; returns them for the contact sheet.

    `remark`: what to expect of this query, printed after it.
    """
    results = searcher.images(words, limit=HITS)
    if not results.hits and remark != ABSENT:
        results = searcher.images(words, limit=HITS, all=True)
        remark = f"{remark}; {POSSIBLE}" if remark else POSSIBLE
    _print("search", results, remark)
    caption = f"search: {words}" + (f" ({remark})" if remark else "")
    return caption, [searcher.photo(hit.id) for hit in results.hits]


def find_places(searcher: Searcher, words: str, out: Path) -> Row:
    """Search places as `tips regions --draw` does, print and draw the hits; returns, for the
    contact sheet, the photos with boxes and, last, the best one's heat map.
    """
    results = searcher.regions(words, limit=HITS, refine=True)
    remark = "last: the best as heat"
    if not results.hits:
        results = searcher.regions(words, limit=HITS, all=True, refine=True)
        remark = f"{POSSIBLE}; {remark}"
    _print("regions", results, remark if POSSIBLE in remark else "")
    return f"regions: {words} ({remark})", draw_places(searcher, results, words, out)


def draw_places(searcher: Searcher, results: Results, words: str, out: Path) -> list[Image]:
    """Write each hit with its boxes and with its heat map to `out`; returns the photos with boxes
    and, last, the best one's heat map.
    """
    from search.draw import draw_hit

    name = re.sub(r"\W+", "-", words.lower()).strip("-")
    pictures, maps = [], []
    for rank, hit in enumerate(results.hits, 1):
        photo = searcher.photo(hit.id)
        boxes = draw_hit(photo, hit, label=words)
        boxes.save(out / f"{name}-{rank}.png")
        heat = searcher.heatmap(hit.id, words, exact=True)
        warm = draw_hit(photo, hit, boxes=False, heat=heat)
        warm.save(out / f"{name}-{rank}-heat.png")
        pictures.append(boxes)
        maps.append(warm)
    return [*pictures, *maps[:1]]


def contact_sheet(rows: list[Row]) -> Image:
    """One picture with a line of pictures per row, as high as the line's highest, under the row's
    caption; a row without pictures says that nothing was found.
    """
    from PIL import Image as images
    from PIL import ImageDraw, ImageFont

    font = ImageFont.load_default(size=20)
    most = max((len(pictures) for _, pictures in rows), default=0)
    captions = max((font.getlength(caption) for caption, _ in rows), default=0)
    width = max(GAP + most * (TILE + GAP), math.ceil(captions) + 2 * GAP)
    tiles = [[_tile(picture) for picture in pictures] for _, pictures in rows]
    heights = [
        CAPTION + max((tile.height for tile in line), default=CAPTION) + GAP for line in tiles
    ]
    sheet = images.new("RGB", (width, GAP + sum(heights)), PAPER)
    draw = ImageDraw.Draw(sheet)
    top = GAP
    for (caption, _), line, height in zip(rows, tiles, heights, strict=True):
        draw.text((GAP, top), caption, font=font, fill=INK)
        if not line:
            draw.text((GAP, top + CAPTION), NOTHING, font=font, fill=FAINT)
        for column, tile in enumerate(line):
            sheet.paste(tile, (GAP + column * (TILE + GAP), top + CAPTION))
        top += height
    return sheet


def _tile(picture: Image) -> Image:
    tile = picture.copy()
    tile.thumbnail((TILE, TILE))
    return tile


def _print(command: str, results: Results, remark: str = "") -> None:
    told = (f"  {remark}", "dim") if remark else ""
    print_tables(Text.assemble("\n", (f'tips {command} "{results.query}"', "bold"), told))
    if results.hits:
        places = command == "regions"
        print_tables(results_table(results, with_regions=places, folder=DEMO / "photos"))
    else:
        print_tables(Text(NOTHING, "dim"))
