"""An embedder that knows only colours: patches of 8 x 8, each its mean colour as a unit vector."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from tips_model.features import FeatureBatch, ModelInfo

PATCH, SIZE = 8, 32


class ColourEmbedder:
    """`tips_model.embedder.Embedder` with width 4: red, green, blue and a constant."""

    def __init__(self, model_id: str = "colours:1") -> None:
        self.info = ModelInfo(
            name=model_id.split(":")[0],
            model_id=model_id,
            dim=4,
            heads=("mean", "centre"),
            retrieval_head="mean",
            patch=PATCH,
            image_size=SIZE,
        )
        self.embedded = 0

    def prepare(self, image: Image.Image) -> Tensor:
        """uint8 (3, H, W), the long side `SIZE`."""
        scale = SIZE / max(image.size)
        size = [max(round(side * scale / PATCH), 1) * PATCH for side in image.size]
        pixels = np.asarray(image.resize((size[0], size[1]), Image.Resampling.BOX))
        return torch.from_numpy(pixels.copy()).permute(2, 0, 1)

    def embed_images(self, images: Sequence[Tensor]) -> Iterator[FeatureBatch]:
        """One batch per size, the sizes in order of appearance."""
        sizes = list(dict.fromkeys(image.shape for image in images))
        for size in sizes:
            indices = tuple(i for i, image in enumerate(images) if image.shape == size)
            pixels = torch.stack([images[i] for i in indices]).float() / 255
            grid = functional.avg_pool2d(pixels, PATCH).permute(0, 2, 3, 1)
            grid = torch.cat([grid, torch.full_like(grid[..., :1], 0.1)], dim=-1)
            mean = functional.normalize(grid.mean(dim=(1, 2)), dim=-1)
            centre = grid[:, grid.shape[1] // 2, grid.shape[2] // 2]
            heads = {"mean": mean, "centre": functional.normalize(centre, dim=-1)}
            self.embedded += len(indices)
            yield FeatureBatch(
                indices,
                {name: rows.numpy() for name, rows in heads.items()},
                functional.normalize(grid, dim=-1),
            )

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """The colours' names are all it reads."""
        names = {"red": 0, "green": 1, "blue": 2}
        return np.eye(4, dtype=np.float32)[[names[text] for text in texts]]

    def truncated(self, text: str) -> bool:
        """Never."""
        return False
