"""The README's first picture: for each of a few words the best photo, with the places found in it.

    tips demo --out demo-out
    python bench/region_search.py demo-out/collection --out docs/region-search.png

The words are the animals that the demo's photos show among the 80 things on which `nano` saw boxes.
The first hit is shown as `tips regions --draw` draws it, right or wrong; a word that finds nothing
with confidence is left out, and named.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image

from search.draw import draw_hit
from search.hits import Hit
from search.searcher import Searcher

WORDS = ("bear", "bird", "cat", "cow", "dog", "giraffe", "horse", "sheep")
COLUMNS = 3  # photos in a row
WIDTH = 960  # pixels
GAP = 12  # pixels
COLOURS = 256  # in full colour the file is several times as large


def row_of(searcher: Searcher, hits: list[tuple[str, Hit]]) -> list[Image.Image]:
    """Photos with their places, as high as it takes to fill `WIDTH` side by side."""
    photos = [searcher.photo(hit.id) for _, hit in hits]
    shape = sum(photo.width / photo.height for photo in photos)
    height = round((WIDTH - GAP * (len(hits) - 1)) / shape)
    return [
        draw_hit(photo.resize((photo.width * height // photo.height, height)), hit, label=words)
        for photo, (words, hit) in zip(photos, hits, strict=True)
    ]


def sheet_of(rows: list[list[Image.Image]]) -> Image.Image:
    """Rows of pictures below each other, on white."""
    sheet = Image.new("RGB", (WIDTH, sum(row[0].height + GAP for row in rows) - GAP), "white")
    top = 0
    for row in rows:
        left = 0
        for picture in row:
            sheet.paste(picture, (left, top))
            left += picture.width + GAP
        top += row[0].height + GAP
    return sheet


def main() -> None:
    """Search, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("collection", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="a PNG file")
    arguments = parser.parse_args()
    with Searcher.open(arguments.collection) as searcher:
        found = {words: searcher.regions(words, limit=1, refine=True).hits for words in WORDS}
        for words, hits in found.items():
            print(f"{words}: {hits[0].path if hits else 'nothing found, left out'}")
        shown = [(words, hits[0]) for words, hits in found.items() if hits]
        starts = range(0, len(shown), COLUMNS)
        rows = [row_of(searcher, shown[start : start + COLUMNS]) for start in starts]
    sheet_of(rows).quantize(COLOURS).save(arguments.out, optimize=True)


if __name__ == "__main__":
    main()
