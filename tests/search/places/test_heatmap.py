import numpy as np

from search.places.heatmap import from_grids, from_regions

AXES = np.eye(4, dtype=np.float32)
CONTRASTS = np.array([[0, 0, 0.8, 0.6], [0, 0, 0.6, 0.8]], np.float32)


def make_patches(scale: int = 1) -> np.ndarray:
    """A 4 x 6 grid of the second axis with a corner of the first, and a patch of the third."""
    patches = np.tile(AXES[1], (4, 6, 1))
    patches[:2, 4:] = AXES[0]
    patches[3, 0] = AXES[2]
    return patches.repeat(scale, axis=0).repeat(scale, axis=1)


def test_the_patches_of_the_query_are_hot_and_the_others_cold() -> None:
    heat = from_grids([make_patches()], 2 * AXES[0], CONTRASTS)
    assert heat.shape == (4, 6)
    assert heat.dtype == np.float32
    assert (heat[:2, 4:] == 1).all()
    assert heat.sum() == 4


def test_scales_are_summed_on_the_finest_grid() -> None:
    alone = from_grids([make_patches(2)], 2 * AXES[0], CONTRASTS)
    assert alone.shape == (8, 12)
    heat = from_grids([make_patches(), make_patches(2)], 2 * AXES[0], CONTRASTS)
    np.testing.assert_allclose(heat[:3, 9:], 1)
    np.testing.assert_allclose(heat[3, 9:], (1 + 0.75) / 2)  # a quarter of the way off the corner
    assert heat[:, :6].max() == 0


def test_what_stands_out_no_more_than_the_contrasts_stays_pale() -> None:
    # The patch of the third axis is worth 0.8 and 0.6 to the contrasts, 0.75 at their quartile.
    heat = from_grids([make_patches()], 0.3 * AXES[0], CONTRASTS)
    np.testing.assert_allclose(heat.max(), 0.3 / (1.75 * 0.75), rtol=1e-5)


def test_a_cell_shows_the_best_region_that_covers_it() -> None:
    vectors = AXES[:3]
    masks = np.zeros((3, 2, 4), bool)
    masks[0, 0, 0] = masks[1, :, :] = masks[2, 1, :] = True
    target = np.array([0.9, 0.1, 0.3, 0], np.float32)
    heat = from_regions(vectors, masks, target, CONTRASTS[:, [3, 0, 1, 2]] * 0.01)
    scores = np.where(masks, (vectors @ target)[:, None, None], -np.inf).max(axis=0)
    low = np.quantile(scores, 0.25)
    np.testing.assert_allclose(heat, np.clip((scores - low) / (0.9 - low), 0, 1), rtol=1e-5)


def test_cells_of_no_region_are_cold() -> None:
    masks = np.zeros((2, 2, 4), bool)
    masks[0, 0, 0] = masks[1, 0, 1] = True
    heat = from_regions(AXES[:2], masks, AXES[0], CONTRASTS)
    assert heat[0, 0] == 1
    assert heat[1].max() == 0
