from dataclasses import replace

import numpy as np
import pytest

from tips_model.train.scenes.backgrounds import KINDS, describe, draw_backgrounds, plan_backgrounds


def _of_kind(kind: str, count: int = 4):
    plan = plan_backgrounds(np.random.default_rng(0), count)
    return replace(plan, kind=np.full(count, KINDS.index(kind)))


def test_flat_backgrounds_are_their_first_colour():
    plan = _of_kind("flat")
    picture = draw_backgrounds(plan, 16, 24)
    assert picture.shape == (4, 3, 16, 24)
    np.testing.assert_allclose(
        picture, np.broadcast_to(plan.rgb[:, 0, :, None, None], picture.shape)
    )


@pytest.mark.parametrize("kind", ["gradient", "ground", "stripes", "checks"])
def test_other_backgrounds_show_both_colours(kind: str):
    plan = _of_kind(kind)
    picture = draw_backgrounds(plan, 48, 48)
    pixels = picture.transpose(0, 2, 3, 1).reshape(4, -1, 3)
    for colour in (0, 1):
        gap = np.abs(pixels - plan.rgb[:, None, colour]).max(-1).min(1)
        assert (gap < 30).all()


def test_ground_lies_below():
    plan = _of_kind("ground")
    picture = draw_backgrounds(plan, 40, 40)
    np.testing.assert_allclose(picture[:, :, -1].mean(-1), plan.rgb[:, 1], atol=20)
    np.testing.assert_allclose(picture[:, :, 0].mean(-1), plan.rgb[:, 0], atol=20)


def test_pictures_stay_in_range_and_parts_are_drawn_alike():
    plan = plan_backgrounds(np.random.default_rng(3), 40)
    whole = draw_backgrounds(plan, 24, 24)
    assert whole.min() >= 0
    assert whole.max() <= 255
    np.testing.assert_array_equal(draw_backgrounds(plan.part(slice(10, 20)), 24, 24), whole[10:20])


def test_the_two_colours_differ():
    plan = plan_backgrounds(np.random.default_rng(1), 200)
    assert (plan.colour[:, 0] != plan.colour[:, 1]).all()


def test_backgrounds_are_described_in_words():
    assert describe(KINDS.index("flat"), 0, 1) == "red background"
    assert describe(KINDS.index("ground"), 0, 3) == "green ground"
    assert describe(KINDS.index("noise"), 0, 1) == ""
