import numpy as np

from search.contrast import margins
from search.heatmap import from_patches, from_regions

AXES = np.eye(4, dtype=np.float32)
CONTRASTS = np.array([[0, 0.5, 0.2, 0.1], [0.1, 0.1, 0.6, 0.2]], np.float32)


def make_patches() -> np.ndarray:
    """A 4 x 6 grid of the second axis with a corner of the first."""
    patches = np.tile(AXES[1], (4, 6, 1))
    patches[:2, 4:] = AXES[0]
    return patches


def test_the_patches_of_the_query_are_hot_and_the_others_cold() -> None:
    heat = from_patches(make_patches(), AXES[0], CONTRASTS)
    assert heat.shape == (4, 6)
    assert heat.dtype == np.float32
    assert (heat[:2, 4:] == 1).all()
    assert heat.sum() == 4


def test_what_is_nowhere_lights_nothing_up() -> None:
    heat = from_patches(make_patches(), AXES[3], CONTRASTS)
    assert heat.max() < 0.7


def test_a_cell_shows_the_best_region_that_covers_it() -> None:
    vectors = AXES[:3]
    masks = np.zeros((3, 2, 4), bool)
    masks[0, 0, 0] = masks[1, :, :] = masks[2, 1, :] = True
    heat = from_regions(vectors, masks, AXES[0], CONTRASTS)
    scores = margins(vectors, AXES[0], CONTRASTS)
    assert heat[0, 0] == heat.max() == 1
    expected = np.where(masks, scores[:, None, None], -np.inf).max(axis=0)
    np.testing.assert_array_equal(np.argsort(heat, axis=None)[-1], np.argmax(expected))
    assert (heat[0, 1:] == heat[0, 1]).all()


def test_cells_of_no_region_are_cold() -> None:
    masks = np.zeros((2, 2, 4), bool)
    masks[0, 0, 0] = masks[1, 0, 1] = True
    heat = from_regions(AXES[:2], masks, AXES[0], CONTRASTS)
    assert heat[0, 0] == 1
    assert heat[1].max() == 0
