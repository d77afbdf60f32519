"""Draw hits on the photo with Pillow: boxes with labels, masks, and a heat overlay.

Everything scales with the photo's size. Cells of the patch grid are drawn with smooth edges, since
a staircase of patches says more about the encoder than about the object.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from search.arrays import Array
from search.hits import Box, Hit, Mask

Colour = tuple[int, int, int]
PALETTE: tuple[Colour, ...] = (
    (255, 178, 36),
    (54, 197, 240),
    (236, 96, 152),
    (120, 205, 92),
    (168, 132, 255),
    (255, 128, 82),
)
"""Colours of the regions of a photo, best first; light enough for dark text."""
HEAT_STOPS: tuple[tuple[float, Colour], ...] = (
    (0.0, (38, 12, 74)),
    (0.35, (140, 32, 110)),
    (0.65, (234, 94, 52)),
    (0.85, (252, 176, 48)),
    (1.0, (252, 250, 176)),
)
"""Dark violet to pale yellow: brightness increases monotonically, for colour-blind readers too."""
INK = (24, 22, 28)


def draw_hit(
    photo: Image.Image,
    hit: Hit,
    *,
    label: str = "",
    boxes: bool = True,
    masks: bool = False,
    heat: Array | None = None,
) -> Image.Image:
    """A copy of the upright photo with the hit's regions drawn in; the photo itself is not changed.

    `label` is shown in the tag of each box, before its score; for a query of several things, the
    thing's name precedes it. `masks` fills the regions, `heat` (h, w) in [0, 1] is drawn under the
    boxes.
    """
    picture = photo.convert("RGB")
    if heat is not None:
        picture = draw_heat(picture, heat)
    if masks:
        picture = draw_masks(picture, [region.mask for region in hit.regions])
    if boxes:
        names = [region.text or label for region in hit.regions]
        tags = [
            f"{name} {region.score:.2f}".strip()
            for name, region in zip(names, hit.regions, strict=True)
        ]
        picture = draw_boxes(picture, [region.box for region in hit.regions], tags)
    return picture


def draw_heat(photo: Image.Image, heat: Array, strength: float = 0.8) -> Image.Image:
    """Overlay a map (h, w) in [0, 1]: cold areas become dim and grey, warm ones glow."""
    size = photo.size
    field = _smooth(heat, size)
    grey = np.asarray(photo.convert("L").convert("RGB"), np.float32)
    colour = np.asarray(photo.convert("RGB"), np.float32)
    weight = field[..., None]
    muted = 0.6 * grey + 0.15 * colour
    ground = muted * (1 - weight) + colour * weight
    alpha = strength * 0.65 * np.clip(weight * 1.15, 0, 1) ** 1.2
    mixed = ground * (1 - alpha) + heat_colours(field) * alpha
    return Image.fromarray(mixed.clip(0, 255).astype(np.uint8))


def heat_colours(values: Array) -> Array:
    """Values in [0, 1], any shape -> RGB (..., 3) in 0..255."""
    at = [stop for stop, _ in HEAT_STOPS]
    channels = [np.interp(values, at, [c[i] for _, c in HEAT_STOPS]) for i in range(3)]
    return np.stack(channels, axis=-1).astype(np.float32)


def draw_masks(photo: Image.Image, masks: Sequence[Mask]) -> Image.Image:
    """Fill each mask (h, w) with its colour, translucent, and draw its outline; the best one on
    top.
    """
    picture = photo.convert("RGB")
    width = max(2, round(_unit(picture) * 0.6))
    for number in reversed(range(len(masks))):
        colour = PALETTE[number % len(PALETTE)]
        inside = _smooth(masks[number].astype(np.float32), picture.size) > 0.5
        area = Image.fromarray((inside * 255).astype(np.uint8))
        rim = np.asarray(area.filter(ImageFilter.MaxFilter(2 * (width // 2) + 3))) > 0
        edge = Image.fromarray(((rim & ~inside) * 255).astype(np.uint8))
        solid = Image.new("RGB", picture.size, colour)
        picture.paste(Image.blend(picture, solid, 0.35), mask=area)
        picture.paste(solid, mask=edge.filter(ImageFilter.GaussianBlur(0.7)))
    return picture


def draw_boxes(photo: Image.Image, boxes: Sequence[Box], tags: Sequence[str]) -> Image.Image:
    """Draw boxes, fractions of the photo, each with a tag ("" for none); the best one on top."""
    picture = photo.convert("RGB")
    line = max(2, round(0.7 * _unit(picture)))
    for number in reversed(range(len(boxes))):
        place = _pixels(boxes[number], picture.size)
        _draw_frame(picture, place, 0, line + 2, INK)  # a dark rim of one pixel on both sides
        _draw_frame(picture, place, 1, line, PALETTE[number % len(PALETTE)])
    placed: list[Box] = []
    for number, tag in enumerate(tags):
        if tag:
            corner = _pixels(boxes[number], picture.size)
            placed.append(_draw_tag(picture, corner, tag, PALETTE[number % len(PALETTE)], placed))
    return picture


def _draw_frame(picture: Image.Image, box: Box, inset: int, line: int, colour: Colour) -> None:
    """Draw a frame of `line` pixels with round corners, `inset` pixels inside the box (pixels)."""
    x0, y0, x1, y1 = (round(edge) for edge in box)
    edges = (x0 + inset, y0 + inset, max(x1 - inset, x0 + inset), max(y1 - inset, y0 + inset))
    frame = Image.new("L", (picture.width * 2, picture.height * 2))  # twice as fine: smooth corners
    outline = (2 * edges[0], 2 * edges[1], 2 * edges[2] + 1, 2 * edges[3] + 1)
    radius = 6 * _unit(picture) - 2 * inset
    ImageDraw.Draw(frame).rounded_rectangle(outline, radius, outline=255, width=2 * line)
    mask = frame.resize(picture.size, Image.Resampling.BOX)
    picture.paste(Image.new("RGB", picture.size, colour), mask=mask)


def _draw_tag(
    picture: Image.Image, box: Box, text: str, colour: Colour, taken: Sequence[Box]
) -> Box:
    """Draw a tag above, below or inside the box, clear of other tags; returns its position."""
    unit = _unit(picture)
    font = ImageFont.load_default(size=max(11.0, 4.6 * unit))
    draw = ImageDraw.Draw(picture)
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    pad = 1.4 * unit
    width, height = right - left + 2 * pad, bottom - top + 2 * pad
    x = min(max(box[0], 0), max(picture.width - width - 1, 0))
    y = box[1] - height - 0.6 * unit
    if y < 0:
        y = box[3] + 0.6 * unit
    if y + height > picture.height:
        y = box[1] + 1.6 * unit
        x = min(max(box[0] + 1.6 * unit, 0), max(picture.width - width - 1, 0))
    while any(x < t[2] and t[0] < x + width and y < t[3] and t[1] < y + height for t in taken):
        y += height + 0.4 * unit
    place = (x, y, x + width, y + height)
    draw.rounded_rectangle(place, radius=1.6 * unit, fill=colour)
    draw.text((x + pad - left, y + pad - top), text, font=font, fill=INK)
    return place


def _smooth(values: Array, size: tuple[int, int]) -> npt.NDArray[np.float32]:
    """A grid (h, w) resized to `size` (width, height), bicubic, within [0, 1]."""
    grid = Image.fromarray(np.ascontiguousarray(values, np.float32))
    return np.asarray(grid.resize(size, Image.Resampling.BICUBIC), np.float32).clip(0, 1)


def _pixels(box: Box, size: tuple[int, int]) -> Box:
    width, height = size
    x0, y0 = box[0] * width, box[1] * height
    return (x0, y0, max(box[2] * width - 1, x0), max(box[3] * height - 1, y0))


def _unit(picture: Image.Image) -> float:
    """About 1/150 of the picture's side; all line widths are multiples of it."""
    return max(1.0, math.sqrt(picture.width * picture.height) / 150)
