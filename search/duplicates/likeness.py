"""Compare two photos by pixels: whether they show the same picture.

A `Signature` is the stored summary of a thumbnail: its brightness on a grid of `SIDE` x `SIDE`,
whatever its shape, and its colours on a coarse one. Two signatures are aligned (scale and shift of
each axis, to handle crops and other shapes; gain and offset, to handle other exposures) and then
compared block by block: a picture saved again agrees everywhere, the next one of a burst where
nothing moved, another picture of the same place nowhere.

Letters: N photos, P pairs, S a side of the grid.
"""

from __future__ import annotations

import io
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from scipy.fft import dctn
from torch import Tensor
from torch.nn import functional

from indexer.photos.facts import unharmed
from search.arrays import Array

Bytes = npt.NDArray[np.uint8]
LARGEST = 2048
"""Maximum pixels per side of a thumbnail; ours have 320."""
SIDE = 64
COARSE = 16
SIGNATURE = SIDE * SIDE + 2 * COARSE * COARSE
"""Bytes of a signature: brightness (SIDE, SIDE), then two colours (COARSE, COARSE)."""
WAVES, COLOUR_WAVES = 6, 3
DESCRIPTOR = WAVES * WAVES + 2 * COLOUR_WAVES * COLOUR_WAVES
PAIRS = 128
"""Pairs aligned at a time, so that the data fit into a processor's cache."""
COARSE_STEPS = (16, 6)
FINE_STEPS = ((32, 4), (64, 1))
"""Side of the grid, and alignment steps on it: coarse first, to find large shifts."""
HOPEFUL = 0.7
"""Pairs with a lower correlation on the coarse grid are not compared further."""
LARGEST_SCALE, LARGEST_SHIFT = 1.3, 0.35
NOISE = 25.0
"""Variance of brightness (0..255) below which a block carries no information: noise and
compression."""
BLOCK = 8
TINT = 0.001
"""Weight of a colour component relative to those of brightness, which have unit length together."""


class Agreement(NamedTuple):
    """The agreement of pairs, each (P,) float32; 0 (and infinite colours) for pairs with no common
    area.

    overlap: the fraction of the larger picture that both show. worst: the agreement of the two
    worst blocks, detail: the mean agreement of blocks with any detail, both at most 1. colour: the
    mean colour difference in levels of 0..255, tint: that of the four worst cells.
    """

    overlap: Array
    worst: Array
    detail: Array
    colour: Array
    tint: Array


def signature(thumbnail: bytes) -> Bytes | None:
    """The signature (SIGNATURE,) of a thumbnail, a WebP as in catalogs; None for anything else.

    The catalog may be untrusted: no other decoder is used, and nothing large is decoded.
    """
    return unharmed(lambda: _signature(thumbnail), lambda: None)


def _signature(thumbnail: bytes) -> Bytes | None:
    with Image.open(io.BytesIO(thumbnail), formats=("WEBP",)) as image:
        if max(image.size) > LARGEST:
            return None
        small = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX).convert("YCbCr")
    brightness = np.asarray(small.getchannel(0))
    colours = np.asarray(small.resize((COARSE, COARSE), Image.Resampling.BOX))[..., 1:]
    return np.concatenate([brightness.ravel(), colours.transpose(2, 0, 1).ravel()])


def descriptors(signatures: Bytes) -> Array:
    """Unit vectors (N, DESCRIPTOR) of signatures (N, SIGNATURE) whose products identify near
    pictures: the low frequencies of brightness and colours, the lowest damped, since most pictures
    share them.
    """
    count = len(signatures)
    grey = signatures[:, : SIDE * SIDE].reshape(count, SIDE, SIDE).astype(np.float32)
    grey = grey.reshape(count, 16, SIDE // 16, 16, SIDE // 16).mean(axis=(2, 4))
    waves = dctn(grey, axes=(1, 2), norm="ortho")[:, :WAVES, :WAVES] * _rise(WAVES)
    grey_part = _unit(waves.reshape(count, -1))
    colours = signatures[:, SIDE * SIDE :].reshape(count, 2, COARSE, COARSE).astype(np.float32)
    tints = dctn(colours - 128, axes=(2, 3), norm="ortho")[:, :, :COLOUR_WAVES, :COLOUR_WAVES]
    tint_part = tints.reshape(count, -1)
    return _unit(np.concatenate([grey_part, TINT * tint_part], axis=1))


def _rise(waves: int) -> Array:
    rows, columns = np.mgrid[:waves, :waves]
    return np.asarray(np.sqrt(rows**2 + columns**2), np.float32)


def _unit(rows: Array) -> Array:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6))


def compare(first: Bytes, second: Bytes) -> Agreement:
    """Align the pictures of two arrays of signatures (P, SIGNATURE), pair by pair, and compare
    them."""
    overlap, worst, detail = np.zeros((3, len(first)), np.float32)
    result = Agreement(overlap, worst, detail, *np.full((2, len(first)), np.inf, np.float32))
    for start in range(0, len(first), PAIRS):
        part = slice(start, start + PAIRS)
        a, b = torch.from_numpy(first[part]), torch.from_numpy(second[part])
        place, hopeful = _coarse(_brightness(a), _brightness(b))
        if hopeful.any():
            for values, found in zip(
                result, _fine(a[hopeful], b[hopeful], place[hopeful]), strict=True
            ):
                values[part][hopeful.numpy()] = found.numpy()
    return result


def _brightness(signatures: Tensor) -> Tensor:
    return signatures[:, : SIDE * SIDE].reshape(-1, 1, SIDE, SIDE).float()


def _coarse(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """The alignment of b with a (P, 1, S, S): scale and shift of x, scale and shift of y, (P, 4),
    in halves of the side; and which pairs then correlate (P,).
    """
    side, steps = COARSE_STEPS
    small_a, small_b = (functional.adaptive_avg_pool2d(image, side) for image in (a, b))
    still = torch.tensor([1.0, 0.0, 1.0, 0.0]).repeat(len(a), 1)
    place = _aligned(small_a, small_b, still, steps)
    return place, _correlation(small_a, small_b, place) >= HOPEFUL


def _fine(first: Tensor, second: Tensor, place: Tensor) -> tuple[Tensor, ...]:
    """The values of `Agreement`."""
    a, b = _brightness(first), _brightness(second)
    for side, steps in FINE_STEPS:
        small_a, small_b = (functional.adaptive_avg_pool2d(image, side) for image in (a, b))
        place = _aligned(small_a, small_b, place, steps)
    moved, inside = _moved(b, place)
    gain, offset = _gain(a, moved, inside)
    moved = gain * moved + offset
    weight = functional.avg_pool2d(inside, BLOCK)
    mean_a, mean_b, square_a, square_b, product = (
        functional.avg_pool2d(values * inside, BLOCK) / weight.clamp(min=1e-6)
        for values in (a, moved, a * a, moved * moved, a * moved)
    )
    var_a, var_b = (square_a - mean_a**2).clamp(min=0), (square_b - mean_b**2).clamp(min=0)
    shared = product - mean_a * mean_b
    local = (2 * shared + NOISE) / (var_a + var_b + (mean_a - mean_b) ** 2 + NOISE)
    whole = weight > 0.5
    worst = torch.where(whole, local, 1.0).flatten(1).topk(2, largest=False).values.mean(1)
    told = whole * ((var_a + var_b) > 4 * NOISE) * (var_a + var_b).sqrt()
    detail = (told * local).sum((1, 2, 3)) / told.sum((1, 2, 3)).clamp(min=1e-6)
    covered = inside.mean((1, 2, 3))
    overlap = torch.minimum(covered, covered * place[:, 0] * place[:, 2])
    tints = (s[:, SIDE * SIDE :].reshape(-1, 2, COARSE, COARSE).float() for s in (first, second))
    before, after = tints
    moved, inside = _moved(after, place)
    apart = (inside * (before - moved).abs().mean(1, keepdim=True)).flatten(1)
    return overlap, worst, detail, apart.mean(1), apart.topk(4).values.mean(1)


def _aligned(a: Tensor, b: Tensor, place: Tensor, steps: int) -> Tensor:
    """Improve the alignment (P, 4) of b with a by `steps` Gauss-Newton steps; keeps the given one
    where none is better.
    """
    axis = (torch.arange(a.shape[-1]) + 0.5) * 2 / a.shape[-1] - 1
    found = place
    for _ in range(steps):
        found = _step(a, b, found, axis)
    better = _correlation(a, b, found) > _correlation(a, b, place)
    return torch.where(better[:, None], found, place)


def _correlation(a: Tensor, b: Tensor, place: Tensor) -> Tensor:
    """The correlation (P,) of a with the aligned b, where both are defined."""
    moved, inside = _moved(b, place)
    total = inside.sum((1, 2, 3), keepdim=True).clamp(min=1)
    apart_a, apart_b = (
        (v - (v * inside).sum((1, 2, 3), keepdim=True) / total) * inside for v in (a, moved)
    )
    lengths = (apart_a.square().sum((1, 2, 3)) * apart_b.square().sum((1, 2, 3))).sqrt()
    return (apart_a * apart_b).sum((1, 2, 3)) / lengths.clamp(min=1)


def _step(a: Tensor, b: Tensor, place: Tensor, axis: Tensor) -> Tensor:
    side = len(axis)
    moved, inside = _moved(b, place)
    padded = functional.pad(moved, (1, 1, 1, 1), mode="replicate")
    slope_x = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) * side / 4
    slope_y = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) * side / 4
    columns = (
        slope_x * axis,
        slope_x,
        slope_y * axis[:, None],
        slope_y,
        moved,
        torch.ones_like(moved),
    )
    known = torch.cat(columns, 1).flatten(2)  # (P, 6, S * S)
    weighted = known * inside.flatten(2)
    normal = weighted @ known.mT
    ridge = 1e-3 * normal.diagonal(dim1=1, dim2=2) + 1e-3
    solved = torch.linalg.solve(
        normal + torch.diag_embed(ridge), weighted @ a.flatten(2).mT
    ).squeeze(2)
    step = solved[:, :4] / solved[:, 4:5].clamp(min=0.3)
    place = place + step.clamp(-0.15, 0.15)
    scale = place[:, 0::2].clamp(1 / LARGEST_SCALE, LARGEST_SCALE)
    shift = place[:, 1::2].clamp(-LARGEST_SHIFT, LARGEST_SHIFT)
    return torch.stack([scale, shift], 2).flatten(1)


def _moved(b: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
    """Pictures (P, C, S, S) resampled at their alignment, and a mask of the defined pixels, 0 or 1,
    (P, 1, S, S)."""
    zero = torch.zeros(len(place))
    rows = torch.stack([place[:, 0], zero, place[:, 1], zero, place[:, 2], place[:, 3]], 1).reshape(
        -1, 2, 3
    )
    grid = functional.affine_grid(rows, list(b.shape), align_corners=False)
    moved = functional.grid_sample(b, grid, padding_mode="border", align_corners=False)
    inside = (grid.abs() <= 1).all(-1).unsqueeze(1).float()
    return moved, inside


def _gain(a: Tensor, b: Tensor, inside: Tensor) -> tuple[Tensor, Tensor]:
    """Gain and offset, (P, 1, 1, 1), that bring b closest to a."""
    total = inside.sum((1, 2, 3), keepdim=True).clamp(min=1)
    mean_a, mean_b = ((v * inside).sum((1, 2, 3), keepdim=True) / total for v in (a, b))
    spread = (((b - mean_b) ** 2) * inside).sum((1, 2, 3), keepdim=True)
    shared = ((a - mean_a) * (b - mean_b) * inside).sum((1, 2, 3), keepdim=True)
    gain = (shared / spread.clamp(min=1)).clamp(0.5, 2.0)
    return gain, mean_a - gain * mean_b
