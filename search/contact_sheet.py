"""Two rankings side by side as one picture: a contact sheet of thumbnails with their ranks."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

from PIL import Image, ImageDraw, ImageFont, ImageOps

from search.draw import draw_hit
from search.hits import Hit

CELL = (240, 180)  # pixels of a photo
GAP, HEAD, FOOT = 12, 34, 20
GROUND, INK, DIM, SAME = "#ffffff", "#1c1c1e", "#8a8a8e", "#1a7f37"
Column = tuple[str, Sequence[Hit], Mapping[str, bytes]]


def contact_sheet(first: Column, second: Column) -> Image.Image:
    """Two columns, each a title, hits (best first) and their thumbnails by id (WebP).

    Photos in both columns have a green number. A photo without a thumbnail is an empty cell.
    """
    width, height = CELL
    rows = max(len(first[1]), len(second[1]), 1)
    size = (3 * GAP + 2 * width, HEAD + rows * (height + FOOT + GAP) + GAP)
    sheet = Image.new("RGB", size, GROUND)
    draw = ImageDraw.Draw(sheet)
    title, small = ImageFont.load_default(size=18), ImageFont.load_default(size=13)
    shared = {hit.id for hit in first[1]} & {hit.id for hit in second[1]}
    for column, (name, hits, thumbnails) in enumerate((first, second)):
        left = GAP + column * (width + GAP)
        draw.text((left, GAP // 2), _plain(name), INK, font=title)
        for rank, hit in enumerate(hits):
            top = HEAD + rank * (height + FOOT + GAP)
            picture = _picture(hit, thumbnails.get(hit.id))
            place = (left + (width - picture.width) // 2, top + (height - picture.height) // 2)
            sheet.paste(picture, place)
            ink = SAME if hit.id in shared else DIM
            draw.text((left, top + height + 2), f"{rank + 1}   {hit.score:.2f}", ink, font=small)
    return sheet


def _picture(hit: Hit, thumbnail: bytes | None) -> Image.Image:
    if thumbnail is None:
        return Image.new("RGB", CELL, "#f2f2f4")
    with Image.open(io.BytesIO(thumbnail)) as picture:
        return ImageOps.contain(draw_hit(picture.convert("RGB"), hit), CELL)


def _plain(text: str) -> str:
    """The font only has Latin letters."""
    return text.encode("latin-1", "replace").decode("latin-1")
