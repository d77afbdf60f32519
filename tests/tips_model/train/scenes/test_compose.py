from dataclasses import replace

import numpy as np
import pytest

from tests.tips_model.train.scenes import paint
from tips_model.train.scenes.colours import HUE_STEPS
from tips_model.train.scenes.compose import Composer
from tips_model.train.scenes.plan import Catalogue, ScenePlan, SceneSpec, plan_scenes
from tips_model.train.scenes.render import Bank

PLAIN = SceneSpec(objects=(2, 2), rotation=0, stretch=0, flip=0, hue=0, jitter=0, grey=0)


def _plan(bank: Bank, centres: list[tuple[float, float]], size: float) -> ScenePlan:
    """One scene with the bank's first drawings at the given centres."""
    spec = replace(PLAIN, objects=(len(centres), len(centres)))
    plan = plan_scenes(np.random.default_rng(0), Catalogue(bank), spec, 1)
    drawing = np.array([[2 * place for place in range(len(centres))]])
    return replace(
        plan, drawing=drawing, centre=np.array([centres]), size=np.full((1, len(centres)), size)
    )


def test_a_square_lies_where_the_plan_says():
    bank = paint.bank()
    picture = Composer(bank).draw(_plan(bank, [(0.5, 0.25)], 0.25), 64, 64)
    expected = np.full((64, 64), -1)
    expected[8:24, 24:40] = 0
    np.testing.assert_array_equal(picture.owner[0], expected)
    inside = picture.images[0][:, 9:23, 25:39].reshape(3, -1).T
    np.testing.assert_allclose(inside, np.tile(paint.COLOURS[0], (len(inside), 1)), atol=1)


def test_later_objects_cover_earlier_ones():
    bank = paint.bank()
    picture = Composer(bank).draw(_plan(bank, [(0.4, 0.5), (0.6, 0.5)], 0.5), 64, 64)
    assert picture.owner[0, 32, 32] == 1
    assert picture.owner[0, 32, 12] == 0
    np.testing.assert_allclose(picture.images[0, :, 32, 32], paint.COLOURS[1], atol=1)


def test_what_lies_outside_is_cut_off():
    bank = paint.bank()
    picture = Composer(bank).draw(_plan(bank, [(0.0, 0.0)], 0.5), 64, 64)
    assert (picture.owner[0] == 0).sum() == 16 * 16


def test_wide_pictures_measure_objects_by_the_shorter_side():
    bank = paint.bank()
    picture = Composer(bank).draw(_plan(bank, [(0.5, 0.5)], 0.5), 32, 96)
    rows, columns = np.nonzero(picture.owner[0] == 0)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (8, 23, 40, 55)


def _marked() -> Bank:
    """Squares whose upper left quarter is black."""
    bank = paint.bank()
    bank.pixels[:, :16, :16, :3] = 0
    return bank


@pytest.mark.parametrize(
    ("angle", "flip", "corner"),
    [(0, False, (16, 16)), (0, True, (16, 48)), (90, False, (16, 48)), (180, False, (48, 48))],
)
def test_rotation_and_mirroring_move_the_marked_corner(
    angle: float, flip: bool, corner: tuple[int, int]
):
    bank = _marked()
    plan = _plan(bank, [(0.5, 0.5)], 0.9)
    plan = replace(plan, angle=np.full((1, 1), np.deg2rad(angle)), flip=np.full((1, 1), flip))
    image = Composer(bank).draw(plan, 64, 64).images[0].astype(int)
    corners = [(16, 16), (16, 48), (48, 16), (48, 48)]
    dark = [place for place in corners if image[:, place[0], place[1]].sum() < 10]
    assert dark == [corner]


def test_grey_objects_have_no_colour_and_brightness_is_added():
    bank = paint.bank()
    plan = _plan(bank, [(0.5, 0.5)], 0.5)
    grey = Composer(bank).draw(replace(plan, hue=np.full((1, 1), HUE_STEPS)), 64, 64)
    pixel = grey.images[0, :, 32, 32].astype(int)
    assert pixel.max() - pixel.min() <= 1
    bright = replace(plan, tone=np.array([[[0.2, 1.0, 1.0]]]))
    pixel = Composer(bank).draw(bright, 64, 64).images[0, :, 32, 32].astype(int)
    np.testing.assert_allclose(pixel, np.array(paint.COLOURS[0]) + 0.1 * 255, atol=1)


def test_a_given_background_is_used_and_left_unchanged():
    bank = paint.bank()
    ground = np.full((1, 3, 32, 32), 77.0, np.float32)
    picture = Composer(bank).draw(_plan(bank, [(0.5, 0.5)], 0.5), 32, 32, background=ground)
    assert (picture.images[0, :, 0, 0] == 77).all()
    assert (ground == 77).all()
