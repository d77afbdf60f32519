from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from search.places.windows import affordable, window_grids
from tests.search.colours import ColourEmbedder, paint
from tips_model.features import FeatureBatch


def test_windows_are_put_together_where_they_were_cut() -> None:
    embedder = ColourEmbedder()
    photo = paint("white", [("red", (0.5, 0, 1, 0.5))]).resize((288, 192), Image.Resampling.NEAREST)
    grids = window_grids(embedder, photo, 3)
    assert [grid.shape[:2] for grid in grids] == [(8, 12), (16, 24), (24, 36)]
    for grid in grids:
        assert grid.dtype == np.float32
        rows, columns, _ = grid.shape
        red = grid[..., 0] > 0.5
        assert red[: rows // 2 - 1, columns // 2 + 1 :].all()
        assert red.sum() <= (rows // 2 + 1) * (columns // 2 + 1)


def test_a_window_is_what_the_model_sees_of_that_part() -> None:
    embedder = ColourEmbedder()
    rng = np.random.default_rng(0)
    photo = Image.fromarray(rng.integers(0, 255, (128, 192, 3)).astype(np.uint8))
    _, grid = window_grids(embedder, photo, 2)
    (batch,) = embedder.embed_images([embedder.prepare(photo.crop((96, 64, 192, 128)))])
    np.testing.assert_allclose(grid[8:, 12:], batch.patches[0].numpy(), atol=1e-6)
    _, blended = window_grids(embedder, photo, 2, overlap=True)
    assert blended.shape[:2] == (14, 21)  # 8 and 12 patches a window, a quarter of them shared
    np.testing.assert_allclose(np.linalg.norm(blended, axis=2), 1, atol=1e-5)


def test_overlapping_windows_leave_no_seam() -> None:
    class Moody(ColourEmbedder):
        """Sees something more in every other window."""

        def embed_images(self, images: Sequence[Tensor]) -> Iterator[FeatureBatch]:
            for batch in super().embed_images(images):
                patches = batch.patches.clone()
                patches[..., 1] += torch.tensor(batch.indices).view(-1, 1, 1) % 2
                yield replace(batch, patches=F.normalize(patches, dim=-1))

    photo = Image.new("RGB", (288, 192), "red")
    steps = []
    for overlap in (False, True):
        grid = window_grids(Moody(), photo, 3, overlap=overlap)[-1][..., 1]
        steps.append(float(np.abs(np.diff(grid, axis=1)).max()))
    assert steps[1] < 0.6 * steps[0]


def test_a_small_photo_is_not_blown_up() -> None:
    embedder = ColourEmbedder()
    for size, scales in (((96, 64), 1), ((97, 64), 2), ((192, 128), 2), ((2000, 1500), 3)):
        grids = window_grids(embedder, Image.new("RGB", size, "red"), 3)
        assert len(grids) == scales
    assert len(window_grids(embedder, Image.new("RGB", (2000, 1500), "red"), 1)) == 1


def test_windows_are_for_small_models_and_accelerators() -> None:
    embedder = ColourEmbedder()
    assert affordable(embedder, "cpu")
    embedder.info = embedder.info.__class__(
        **{f: getattr(embedder.info, f) for f in embedder.info.__slots__} | {"dim": 768}
    )
    assert not affordable(embedder, "cpu")
    assert affordable(embedder, "cuda:0")
