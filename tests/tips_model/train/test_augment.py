import numpy as np
import pytest
import torch

from tests.tips_model.train.pairs import tiny_config
from tips_model.train.augment import ASPECT, crop, crop_box, jitter, views


def ramp(height: int, width: int) -> torch.Tensor:
    """A picture whose red grows to the right and whose green grows downwards."""
    red = torch.arange(width).expand(height, width)
    green = torch.arange(height)[:, None].expand(height, width)
    return torch.stack([red, green, torch.zeros(height, width)]).to(torch.uint8)


def test_boxes_keep_area_and_aspect_in_range() -> None:
    generator = np.random.default_rng(0)
    for _ in range(300):
        top, left, height, width = crop_box(generator, 200, 160, (0.1, 0.4))
        assert 0 <= top <= 200 - height
        assert 0 <= left <= 160 - width
        assert 0.095 < height * width / (200 * 160) < 0.405
        assert ASPECT[0] * 0.97 < width / height < ASPECT[1] * 1.03


def test_a_panorama_gets_the_largest_centred_box() -> None:
    box = crop_box(np.random.default_rng(0), 30, 3000, (0.9, 0.95))
    assert box == (0, 1480, 30, 40)


def test_the_whole_picture_at_its_size_is_untouched() -> None:
    image = ramp(16, 16)
    assert crop(np.random.default_rng(0), image, (1.0, 1.0), 16, 0.0).equal(image)


def test_a_mirrored_crop_is_reversed_in_its_columns() -> None:
    image = ramp(16, 16)
    assert crop(np.random.default_rng(0), image, (1.0, 1.0), 16, 1.0).equal(image.flip(-1))


def test_a_crop_shows_a_part_of_the_picture() -> None:
    part = crop(np.random.default_rng(3), ramp(64, 64), (0.1, 0.2), 16, 0.0).float()
    assert part[0].diff(dim=1).min() > 0
    assert 16 < part[0].max() - part[0].min() < 40


@pytest.mark.parametrize("value", [0, 128, 255])
def test_jitter_of_strength_zero_changes_nothing(value: int) -> None:
    image = torch.full((3, 4, 4), value, dtype=torch.uint8)
    assert jitter(np.random.default_rng(0), image, 0.0).equal(image)


def test_views_have_the_stages_sizes_and_follow_the_seed() -> None:
    stage = tiny_config().stages[0]
    whole, local = views(np.random.default_rng(1), ramp(40, 30), stage, True)
    again, _ = views(np.random.default_rng(1), ramp(40, 30), stage, False)
    assert local is not None
    assert whole.shape == (3, 16, 16)
    assert local.shape == (2, 3, 8, 8)
    assert whole.equal(again)
