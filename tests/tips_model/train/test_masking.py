import numpy as np
import pytest

from tips_model.train.masking import masked_count, random_mask


@pytest.mark.parametrize(
    ("patches", "ratio", "count"), [(256, 0.75, 192), (144, 0.75, 108), (9, 0, 0)]
)
def test_a_mask_has_exactly_its_count(patches: int, ratio: float, count: int) -> None:
    masks = [random_mask(np.random.default_rng(seed), patches, ratio) for seed in range(20)]
    assert masked_count(patches, ratio) == count
    assert all(int(mask.sum()) == count and mask.shape == (patches,) for mask in masks)


def test_every_patch_is_masked_equally_often() -> None:
    generator = np.random.default_rng(0)
    rate = np.mean([random_mask(generator, 16, 0.75).numpy() for _ in range(4000)], axis=0)
    # The standard deviation of each rate is 0.007.
    assert np.abs(rate - 0.75).max() < 0.03


def test_a_seed_fixes_the_mask() -> None:
    one, same, other = (random_mask(np.random.default_rng(s), 64, 0.5) for s in (1, 1, 2))
    assert one.equal(same)
    assert not one.equal(other)
