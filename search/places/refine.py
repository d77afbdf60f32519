"""Refine a hit's places from the photo's patches: a mask along the object's edges, and its box.

1. **Core.** The patches that surely belong to the object. A stored region that covers 5 % of the
   photo or more is its own core: the merge tree captures a large object better than the heat, which
   is hottest at a face or a wheel. For a smaller one it is the peak of the **heat**, how much every
   patch shows the target, summed over all scales of `search/places/windows.py`: peaks of small
   objects lie where the fine windows see them.
2. **Likeness.** A text matches an object's characteristic parts. The rest of the object looks like
   them, so the patches of the core are compared with all others of the photo: 1 is like the core,
   0 like the mean of the rest.
3. **Edges.** The likeness is refined to pixels along the edges of the photo's colours
   (`search/places/guided.py`); the place is the area connected with the peak.

Letters: S scales, (h, w) the patches of one of them, (H, W) those of the finest one, D width, (P,
Q) pixels of the working picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from scipy import ndimage
from torch.nn.functional import interpolate

from search.arrays import Array
from search.hits import Box, Mask
from search.places.guided import GuidedFilter
from search.stored_photos import unit

CORE = 0.8
"""Connected patches with at least this fraction of the peak's heat surely belong to the object."""
LARGE = (0.05, 0.9)
"""The range of area fractions in which a stored region is the core of its place; a region of nearly
the whole photo has no surroundings to contrast with."""
EDGE = 0.3
"""The likeness at the edge of a place, ..."""
TIGHT_EDGE = 0.55
"""... and, tighter, for an object that a user points at, or for one of several, which must not
merge."""
SOFT = 0.08
"""Sharpness of the transition from outside to inside: the scale of a logistic function."""
NEXT_PLACE = 0.75
"""A further place has at least this fraction of the first one's heat."""
SIDE = 144
"""Minimum longer side of the working picture in pixels; two pixels per patch if that is more."""
REACH = 3
"""Radius of the guided filter in patches."""
SMOOTHNESS = 1e-4
MIDDLE = 0.2
"""An object in a box is assumed to fill it from this distance off each edge, ..."""
FILLED = 0.2
"""... and to cover at least this fraction of the box."""


@dataclass(frozen=True, slots=True)
class FinePlace:
    """A place: its mask (P, Q), its bounding box in fractions, and its heat, relative to 1 for the
    best place of the photo.
    """

    box: Box
    mask: Mask
    heat: float


class FinePhoto:
    """One photo's patches at all scales, ready for finding places."""

    def __init__(self, photo: Image.Image, grids: Sequence[Array]) -> None:
        """`photo` is upright RGB, `grids` are unit patches (h, w, D), coarse to fine."""
        self._grids = grids
        self.shape: tuple[int, int] = grids[-1].shape[:2]
        rows, columns = self.shape
        zoom = max(2.0, SIDE / max(rows, columns))
        self._pixels = (round(rows * zoom), round(columns * zoom))
        size = (self._pixels[1], self._pixels[0])
        small = photo.resize(size, Image.Resampling.BOX, reducing_gap=2.0)
        guide = np.asarray(small, np.float32) / np.float32(255)
        self._filter = GuidedFilter(guide, max(1, round(REACH * zoom)), SMOOTHNESS)

    def heat(self, target: Array) -> Array:
        """How much each patch shows the target (D,): 0 at the median of the photo's patches, 1 at
        the peak; (H, W). All 0 where nothing differs.
        """
        summed = on_finest([grid @ target for grid in self._grids])
        middle = float(np.median(summed))
        heat: Array = (summed - middle) / max(float(summed.max()) - middle, 1e-6)
        return heat

    def places(self, target: Array, stored: Sequence[Mask]) -> list[FinePlace]:
        """The places of the target, at most one for each of the `stored` masks (any grid), best
        first.

        A small first one is at the photo's peak, wherever that is: the windows see more than the
        regions did. The others have their peaks within their stored masks, outside of the previous
        places; places that are too cold are dropped.
        """
        heat = self.heat(target)
        free = np.ones(self.shape, bool)
        places: list[FinePlace] = []
        for number, mask in enumerate(stored):
            large = is_large(mask)
            within = free & resized(mask, self.shape) if number or large else free
            if not within.any():
                continue
            seeds = np.where(within, heat, -np.inf)
            if number and float(seeds.max()) < NEXT_PLACE:
                continue
            place = self.place(heat, seeds, within if large else None)
            places.append(place)
            cells = _to(place.mask, self.shape, "area") > 0.1
            free &= ~ndimage.binary_dilation(cells, np.ones((3, 3), bool))
        return places

    def place(
        self, heat: Array, seeds: Array, region: Mask | None = None, edge: float = EDGE
    ) -> FinePlace:
        """The place around the hottest of the `seeds` (H, W) in a heat (H, W): everything similar
        to the part of the `region` (H, W) there or, without one, to the peak, whose heat must not
        be below 0 then.
        """
        row, column = (int(i) for i in np.unravel_index(int(seeds.argmax()), seeds.shape))
        sure = heat >= CORE * heat[row, column] if region is None else region
        mask = self.grown(connected(sure, (row, column)), (row, column), edge)
        return FinePlace(mask_box(mask), mask, float(heat[row, column]))

    def place_in(self, heat: Array, stored: Mask) -> FinePlace | None:
        """The place around the hottest patch in a stored mask (any grid), in a heat (H, W); None
        where the mask is colder than the photo's median.
        """
        seeds = np.where(resized(stored, self.shape), heat, -np.inf)
        return self.place(heat, seeds, edge=TIGHT_EDGE) if float(seeds.max()) > 0 else None

    def at_point(self, point: tuple[float, float]) -> Mask:
        """The object at a point (x, y fractions), by likeness with the patches there: (P, Q)."""
        alike = []
        for grid in self._grids:
            row, column = cell_of(point, grid.shape[:2])
            alike.append(grid @ grid[row, column])
        summed = on_finest(alike)
        seed = cell_of(point, self.shape)
        low = float(summed.min())
        core = connected(summed - low >= CORE * (summed[seed] - low), seed)
        return self.grown(core, seed, TIGHT_EDGE)

    def in_box(self, box: Box) -> Mask:
        """The object that fills the middle of a box, clipped to the box: (P, Q).

        The whole box when less than `FILLED` of it resembles its middle.
        """
        x0, y0, x1, y1 = box
        margin_x, margin_y = MIDDLE * (x1 - x0), MIDDLE * (y1 - y0)
        core = cells_in((x0 + margin_x, y0 + margin_y, x1 - margin_x, y1 - margin_y), self.shape)
        inside = cells_in(box, self._pixels)
        thing = self._fine(core, TIGHT_EDGE) & inside
        return thing if thing.sum() >= FILLED * inside.sum() else inside

    def pooled(self, mask: Mask) -> Array:
        """The unit vector (D,) of the patches under a mask (any grid), over all scales."""
        parts = []
        for grid in self._grids:
            weights = _to(mask, grid.shape[:2], "area").ravel()
            parts.append(unit(weights @ grid.reshape(-1, grid.shape[2])))
        return unit(np.sum(parts, axis=0))

    def grown(self, core: Mask, seed: tuple[int, int], edge: float) -> Mask:
        """The area similar to the core (H, W), up to the likeness `edge`, that is connected with
        its patch `seed`: (P, Q).
        """
        fine = self._fine(core, edge)
        zoom = self._pixels[0] / self.shape[0], self._pixels[1] / self.shape[1]
        pixel = int((seed[0] + 0.5) * zoom[0]), int((seed[1] + 0.5) * zoom[1])
        mask = connected(fine, pixel)
        return mask if mask.any() else resized(core, self._pixels)

    def _fine(self, core: Mask, edge: float) -> Mask:
        """The area similar to the core (H, W), connected or not: (P, Q)."""
        inside = 1 / (1 + np.exp(-(self._likeness(core) - edge) / SOFT))
        fine: Mask = self._filter(_to(inside, self._pixels, "bilinear")[None])[0] > 0.5
        return fine

    def _likeness(self, core: Mask) -> Array:
        """(H, W): 1 for patches like those of the core, 0 for those like the mean of the rest."""
        around = ndimage.binary_dilation(core, np.ones((3, 3), bool))
        if around.all():
            return np.ones(self.shape, np.float32)
        parts = np.stack([core, ~around], axis=2)
        maps, scale, zero = [], 0.0, 0.0
        for grid in self._grids:
            weights = _to(parts, grid.shape[:2], "area").reshape(-1, 2)
            weights = weights / weights.sum(axis=0)
            inside, outside = weights.T @ grid.reshape(-1, grid.shape[2])
            direction = inside - outside
            maps.append(grid @ direction)
            scale += float(direction @ direction)
            zero += float(outside @ direction)
        likeness: Array = (on_finest(maps) - zero) / max(scale, 1e-9)
        return likeness


def is_large(mask: Mask) -> bool:
    """Whether a stored region, on any grid, is itself the core of its place."""
    least, most = LARGE
    return least <= float(mask.mean()) <= most


def on_finest(maps: Sequence[Array]) -> Array:
    """The sum of maps (h, w, ...) of all scales, coarse to fine, on the grid of the last."""
    shape = maps[-1].shape[:2]
    found: Array = np.sum([_to(each, shape, "bilinear") for each in maps], axis=0)
    return found


def connected(inside: npt.NDArray[np.bool_], seed: tuple[int, int]) -> Mask:
    """The part of a mask that is 4-connected with a cell; empty when the cell is not in it."""
    labels, _ = ndimage.label(inside)
    part: Mask = (labels == labels[seed]) & inside
    return part if inside[seed] else np.zeros_like(inside)


def cell_of(point: tuple[float, float], shape: tuple[int, ...]) -> tuple[int, int]:
    """The row and column of the cell of a grid (h, w) that contains a point (x, y) in [0, 1]."""
    return min(int(point[1] * shape[0]), shape[0] - 1), min(int(point[0] * shape[1]), shape[1] - 1)


def cells_in(box: Box, shape: tuple[int, int]) -> Mask:
    """The cells of a grid (h, w) whose centre lies in a box; at least the one in its centre."""
    rows, columns = ((np.arange(n) + 0.5) / n for n in shape)
    inside = np.outer(
        (box[1] <= rows) & (rows <= box[3]), (box[0] <= columns) & (columns <= box[2])
    )
    inside[cell_of(((box[0] + box[2]) / 2, (box[1] + box[3]) / 2), shape)] = True
    return inside


def mask_box(mask: Mask) -> Box:
    """The bounding box of a non-empty mask, in fractions."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    height, width = mask.shape
    return (
        float(columns[0]) / width,
        float(rows[0]) / height,
        float(columns[-1] + 1) / width,
        float(rows[-1] + 1) / height,
    )


def resized(mask: Mask, shape: tuple[int, int]) -> Mask:
    """A mask on another grid: the cells whose centre lies in it."""
    rows, columns = (
        ((np.arange(n) + 0.5) * old / n).astype(int)
        for n, old in zip(shape, mask.shape, strict=True)
    )
    found: Mask = mask[rows[:, None], columns]
    return found


def _to(values: npt.NDArray[np.generic], shape: tuple[int, int], mode: str) -> Array:
    """Resize maps (h, w, ...), as float32: "bilinear", or "area" for means."""
    flat = np.asarray(values, np.float32).reshape(*values.shape[:2], -1)
    planes = torch.from_numpy(np.ascontiguousarray(flat.transpose(2, 0, 1)))[None]
    corners = False if mode == "bilinear" else None
    sized = interpolate(planes, shape, mode=mode, align_corners=corners)[0].numpy()
    return np.ascontiguousarray(sized.transpose(1, 2, 0)).reshape(*shape, *values.shape[2:])
