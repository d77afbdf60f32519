"""Renders drawings to cut-outs: SVG by resvg, cropped to the visible part, cached as one array
file.

A cut-out is a square RGBA picture (uint8, alpha not premultiplied) whose longer side touches the
frame. All cut-outs of all sets form a `Bank`; rendering takes seconds and is cached under a name
that contains every input's hash, so a changed concept list or renderer makes a new file.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tips_model.atomic import replacing
from tips_model.train.scenes.concepts import CONCEPTS
from tips_model.train.scenes.drawings import (
    DRAWING_SETS,
    HELD_OUT,
    DrawingsError,
    DrawingSet,
    cache_folder,
    fetch,
    read_svgs,
)

BANK_SIZE = 96
"""Side of the cached cut-outs in pixels."""

_FORMAT = "1"  # increment when rendering changes, to invalidate old cache files


@dataclass(frozen=True, slots=True)
class Bank:
    """Cut-outs and the concepts that they show.

    pixels (N, S, S, 4) uint8 straight RGBA; concept (N,) int16 index into `CONCEPTS`; drawing_set
    (N,) int16 index into `DRAWING_SETS`; slug (N,) str.
    """

    pixels: NDArray[np.uint8]
    concept: NDArray[np.int16]
    drawing_set: NDArray[np.int16]
    slug: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.concept)

    def select(self, keep: NDArray[np.bool_]) -> Bank:
        """The cut-outs where `keep` (N,) is true."""
        return Bank(self.pixels[keep], self.concept[keep], self.drawing_set[keep], self.slug[keep])

    def held_out(self) -> Bank:
        """The drawings that training never sees."""
        return self.select(self._held_out_mask())

    def training(self) -> Bank:
        """The drawings of all families except the held-out one."""
        return self.select(~self._held_out_mask())

    def _held_out_mask(self) -> NDArray[np.bool_]:
        families = np.array([s.family == HELD_OUT for s in DRAWING_SETS])
        mask: NDArray[np.bool_] = families[self.drawing_set]
        return mask


def render_svg(svg: str, size: int) -> NDArray[np.uint8]:
    """One drawing as a (size, size, 4) straight RGBA cut-out, cropped to its visible part.

    Raises `DrawingsError` if resvg is not installed or the drawing is empty.
    """
    try:
        from resvg_py import svg_to_bytes
    except ImportError as error:
        raise DrawingsError(
            "rendering drawings needs resvg-py; install tips-search[train]"
        ) from error
    png = svg_to_bytes(svg_string=svg, width=2 * size, height=2 * size, skip_system_fonts=True)
    image = Image.open(io.BytesIO(bytes(png))).convert("RGBA")
    visible = image.getchannel("A").point(lambda a: 255 if a > 8 else 0).getbbox()
    if visible is None:
        raise DrawingsError("a drawing is empty")
    part = image.crop(visible)
    scale = size / max(part.size)
    width, height = (max(1, round(side * scale)) for side in part.size)
    # Premultiplied for resampling: colours of invisible pixels must not bleed into edges.
    small = part.convert("RGBa").resize((width, height), Image.Resampling.LANCZOS).convert("RGBA")
    canvas = np.zeros((size, size, 4), np.uint8)
    top, left = (size - height) // 2, (size - width) // 2
    canvas[top : top + height, left : left + width] = np.asarray(small)
    return canvas


def _bank_name(size: int, sets: Sequence[DrawingSet]) -> str:
    parts = [_FORMAT, str(size)]
    parts += [s.integrity for s in sets]
    parts += [f"{c.name}={','.join(c.slugs)}" for c in CONCEPTS]
    return f"cutouts-{size}-{hashlib.sha256('|'.join(parts).encode()).hexdigest()[:16]}.npz"


def _render_all(size: int, folder: Path, sets: Sequence[DrawingSet]) -> Bank:
    pixels, concept, drawing_set, slugs = [], [], [], []
    wanted = [slug for c in CONCEPTS for slug in c.slugs]
    for drawings in sets:
        svgs = read_svgs(fetch(drawings, folder), wanted)
        for concept_index, entry in enumerate(CONCEPTS):
            for slug in entry.slugs:
                if slug not in svgs:
                    continue
                pixels.append(render_svg(svgs[slug], size))
                concept.append(concept_index)
                drawing_set.append(DRAWING_SETS.index(drawings))
                slugs.append(slug)
    return Bank(
        np.stack(pixels),
        np.array(concept, np.int16),
        np.array(drawing_set, np.int16),
        np.array(slugs),
    )


def load_bank(
    size: int = BANK_SIZE,
    folder: Path | None = None,
    sets: Sequence[DrawingSet] = DRAWING_SETS,
) -> Bank:
    """All cut-outs of some sets, from the cache, or downloaded and rendered now (20 s
    at size 96).
    """
    folder = folder or cache_folder()
    path = folder / _bank_name(size, sets)
    if not path.exists():
        bank = _render_all(size, folder, sets)
        with replacing(path) as stream:
            np.savez(
                stream,
                pixels=bank.pixels,
                concept=bank.concept,
                drawing_set=bank.drawing_set,
                slug=bank.slug,
            )
    with np.load(path, allow_pickle=False) as stored:
        return Bank(stored["pixels"], stored["concept"], stored["drawing_set"], stored["slug"])
