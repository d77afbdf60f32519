"""Windows of a photo: their geometry, what is put together, and that a small photo stays whole."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from indexer.tiles import MOST_TILES, TiledEmbedder, fine_side, starts, stitch, tiled, whole_side
from tips_model.embedder import open_embedder
from ui import options


@pytest.fixture(scope="module")
def nano():
    return open_embedder("nano")


@pytest.mark.parametrize("tiles", [2, 3, 4])
@pytest.mark.parametrize("side", [1, 2, 5, 12, 32])
def test_windows_cover_the_fine_grid_and_touch_its_ends(side: int, tiles: int) -> None:
    fine = fine_side(side, tiles)
    begins = starts(side, tiles)
    covered = {at for begin in begins for at in range(begin, begin + side)}
    assert covered == set(range(fine))
    assert whole_side(fine, tiles) == side


def test_a_model_of_twelve_patches_sees_twenty_one_in_two_windows() -> None:
    assert fine_side(12, 2) == 21
    assert starts(12, 2) == [0, 9]


def test_stitching_weighs_by_the_distance_from_the_edge() -> None:
    left = torch.tensor([1.0, 0.0]).expand(1, 1, 4, 2)
    right = torch.tensor([0.0, 1.0]).expand(1, 1, 4, 2)
    made = stitch(torch.stack([left, right]), [(0, 0), (0, 3)], (1, 7))
    # The one shared patch is the last of the first window and the first of the second: even.
    expected = torch.nn.functional.normalize(torch.tensor([1.0, 1.0]), dim=0)
    torch.testing.assert_close(made[0, 0, 3], expected)
    assert made[0, 0, 2].tolist() == [1, 0]
    assert made[0, 0, 4].tolist() == [0, 1]


def test_a_picture_of_one_colour_looks_alike_with_tiles_and_without(nano) -> None:
    """Values of a flat picture hardly depend on the place, so both grids show about one vector."""
    flat = Image.new("RGB", (400, 400), (200, 40, 40))
    (plain,) = nano.embed_images([nano.prepare(flat)])
    with_tiles = TiledEmbedder(nano, 2)
    (fine,) = with_tiles.embed_images([with_tiles.prepare(flat)])
    assert fine.patches.shape == (1, 21, 21, plain.patches.shape[-1])
    torch.testing.assert_close(fine.patches.norm(dim=-1), torch.ones(1, 21, 21))
    for name in nano.info.heads:
        np.testing.assert_allclose(fine.heads[name], plain.heads[name], atol=1e-5)
    means = [b.patches.flatten(0, 2).mean(dim=0) for b in (plain, fine)]
    assert torch.cosine_similarity(means[0], means[1], dim=0) > 0.98


def test_order_and_batching_change_nothing(nano) -> None:
    rng = np.random.default_rng(0)
    shapes = [(300, 200), (40, 50), (200, 300), (300, 200)]
    pictures = [
        Image.fromarray(rng.integers(0, 255, (high, wide, 3), dtype=np.uint8))
        for wide, high in shapes
    ]
    embedder = TiledEmbedder(nano, 2)
    prepared = [embedder.prepare(picture) for picture in pictures]
    together = {
        index: (batch.patches[at], batch.heads["web"][at])
        for batch in embedder.embed_images(prepared)
        for at, index in enumerate(batch.indices)
    }
    assert sorted(together) == [0, 1, 2, 3]
    for index, pixels in enumerate(prepared):
        (alone,) = embedder.embed_images([pixels])
        torch.testing.assert_close(alone.patches[0], together[index][0], atol=2e-5, rtol=0)
        np.testing.assert_allclose(alone.heads["web"][0], together[index][1], atol=2e-5)


def test_a_small_photo_is_embedded_as_it_is(nano) -> None:
    small = Image.new("RGB", (60, 40), (0, 90, 200))
    embedder = TiledEmbedder(nano, 3)
    pixels = embedder.prepare(small)
    assert torch.equal(pixels, nano.prepare(small))
    (batch,) = embedder.embed_images([pixels])
    (plain,) = nano.embed_images([pixels])
    torch.testing.assert_close(batch.patches, plain.patches)


def test_the_command_line_allows_what_there_is() -> None:
    """It has a number of its own, since a help text must not wait for torch."""
    assert options.MOST_TILES == MOST_TILES


def test_one_tile_is_the_model_itself(nano) -> None:
    assert tiled(nano, 1) is nano
    with pytest.raises(ValueError, match="tiles must be between 2 and 4, not 9"):
        TiledEmbedder(nano, 9)
