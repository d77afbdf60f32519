"""Finer patches for small objects: embed a photo as a whole and in overlapping windows.

A model sees a photo at a fixed number of patches, so an object of 1 % of a large photo covers a
patch or two. With T tiles the photo is enlarged until T x T windows of the model's own size, each
overlapping the next by a quarter, cover it; every window is embedded like a photo, and their
patches are stitched into one fine grid. A window lacks the context of the whole, so the patches of
the whole photo, resized to the fine grid, are mixed in; the photo's global vectors are the heads of
the whole.

Letters: B photos, h x w patches of the whole, f x g patches of the fine grid, T tiles, D width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from tips_model.features import Embedder, FeatureBatch
from tips_model.preprocess import fit_size

if TYPE_CHECKING:
    import numpy.typing as npt

MOST_TILES = 4
WHOLE = 0.25
"""Weight of the whole photo's patches relative to those of the windows."""
_TOKENS = 32_768
"""Maximum number of fine patches in memory at once."""


class TiledEmbedder:
    """An `Embedder` whose patches come from T x T windows and the whole photo together.

    A photo with no more pixels than the model takes gains nothing from windows and is embedded as
    is. Vectors are comparable with those of the model without tiles.
    """

    def __init__(self, embedder: Embedder, tiles: int) -> None:
        """Raises ValueError unless `tiles` is between 2 and `MOST_TILES`."""
        if not 2 <= tiles <= MOST_TILES:
            raise ValueError(f"tiles must be between 2 and {MOST_TILES}, not {tiles}")
        self.plain, self._tiles = embedder, tiles
        self._size, self._patch = embedder.info.image_size, embedder.info.patch
        side = self._size // self._patch
        self.info = replace(embedder.info, image_size=fine_side(side, tiles) * self._patch)

    def prepare(self, image: Image.Image) -> Tensor:
        """A picture as uint8 (3, H, W): at the fine grid's size, or at the model's if it has no
        more pixels than that.
        """
        width, height = fit_size(*image.size, self._size, self._patch)
        if image.width * image.height <= width * height:
            return self.plain.prepare(image)
        wide, high = (fine_side(n // self._patch, self._tiles) for n in (width, height))
        size = wide * self._patch, high * self._patch
        resized = image.convert("RGB").resize(size, Image.Resampling.BILINEAR)
        pixels = np.array(resized, dtype=np.uint8)  # a copy: torch needs writable memory
        return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()

    def embed_images(self, images: Sequence[Tensor]) -> Iterator[FeatureBatch]:
        """Features of prepared pictures, grouped by size; every index occurs exactly once."""
        plain = [i for i, image in enumerate(images) if not self._is_fine(image)]
        for batch in self.plain.embed_images([images[i] for i in plain]):
            yield replace(batch, indices=tuple(plain[i] for i in batch.indices))
        groups: dict[tuple[int, ...], list[int]] = {}
        for index, image in enumerate(images):
            if self._is_fine(image):
                groups.setdefault(tuple(image.shape[1:]), []).append(index)
        for (high, wide), indices in groups.items():
            step = max(1, _TOKENS // (high * wide // self._patch**2))
            for start in range(0, len(indices), step):
                chosen = indices[start : start + step]
                yield self._fine(tuple(chosen), torch.stack([images[i] for i in chosen]))

    def embed_texts(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Same as the model without tiles."""
        return self.plain.embed_texts(texts)

    def truncated(self, text: str) -> bool:
        """Same as the model without tiles."""
        return self.plain.truncated(text)

    def _is_fine(self, image: Tensor) -> bool:
        return image.shape[1] * image.shape[2] > self._size**2

    def _fine(self, indices: tuple[int, ...], pixels: Tensor) -> FeatureBatch:
        """Features of B photos of one fine size, uint8 (B, 3, H, W)."""
        fine = tuple(side // self._patch for side in pixels.shape[2:])
        grid = tuple(whole_side(side, self._tiles) for side in fine)
        window = tuple(side * self._patch for side in grid)
        corners = [
            (top, left)
            for top in starts(grid[0], self._tiles)
            for left in starts(grid[1], self._tiles)
        ]
        whole = F.interpolate(pixels, size=window, mode="bilinear", antialias=True)
        cut = [whole]
        for top, left in corners:
            y, x = top * self._patch, left * self._patch
            cut.append(pixels[:, :, y : y + window[0], x : x + window[1]])
        views = torch.cat(cut)  # the whole photos first, then window by window
        count = len(indices)
        heads = {name: np.zeros((count, self.info.dim), np.float32) for name in self.info.heads}
        patches = torch.zeros(len(views), *grid, self.info.dim)
        for batch in self.plain.embed_images(list(views)):
            patches[list(batch.indices)] = batch.patches.float()
            numbers = np.array(batch.indices)
            whole_ones = numbers < count
            for name, rows in batch.heads.items():
                heads[name][numbers[whole_ones]] = rows[whole_ones]
        windows = patches[count:].view(len(corners), count, *grid, self.info.dim)
        merged = stitch(windows, corners, fine)
        coarse = F.interpolate(patches[:count].permute(0, 3, 1, 2), size=fine, mode="bilinear")
        mixed = merged + WHOLE * F.normalize(coarse.permute(0, 2, 3, 1), dim=-1)
        return FeatureBatch(indices, heads, F.normalize(mixed, dim=-1))


def tiled(embedder: Embedder, tiles: int) -> Embedder:
    """Wrap the embedder to use this many tiles per side; returns it unchanged for 1."""
    return embedder if tiles == 1 else TiledEmbedder(embedder, tiles)


def untiled(embedder: Embedder) -> Embedder:
    """The underlying model, which embeds a picture as a whole."""
    return embedder.plain if isinstance(embedder, TiledEmbedder) else embedder


def fine_side(side: int, tiles: int) -> int:
    """Number of patches that `tiles` windows of `side` patches cover, each overlapping the next by
    a quarter.
    """
    return side + (tiles - 1) * _stride(side)


def whole_side(fine: int, tiles: int) -> int:
    """The inverse of `fine_side`. Raises ValueError when no window size matches."""
    for side in range(1, fine + 1):
        if fine_side(side, tiles) == fine:
            return side
    raise ValueError(f"{tiles} windows never cover {fine} patches")


def starts(side: int, tiles: int) -> list[int]:
    """Start offsets of the windows of `side` patches along the fine grid."""
    return [number * _stride(side) for number in range(tiles)]


def stitch(windows: Tensor, corners: Sequence[tuple[int, int]], fine: tuple[int, ...]) -> Tensor:
    """Patches (W, B, h, w, D) of windows with these corners (top, left) -> unit (B, f, g, D).

    Overlapping windows are weighted by the patch's distance from the window's edge, where it has
    seen the least context.
    """
    _, batch, height, width, dim = windows.shape
    weight = torch.outer(_inwards(height), _inwards(width)).unsqueeze(-1)
    total = windows.new_zeros(batch, *fine, dim)
    for patches, (top, left) in zip(windows, corners, strict=True):
        total[:, top : top + height, left : left + width] += patches * weight
    return F.normalize(total, dim=-1)


def _stride(side: int) -> int:
    return max(1, -(-3 * side // 4))


def _inwards(side: int) -> Tensor:
    """Distance of each patch's centre from the nearer edge, in patches, capped at a quarter of the
    side: (side,).
    """
    middle = torch.arange(side) + 0.5
    return torch.minimum(middle, side - middle).clamp(max=max(side / 4, 0.5))
