import numpy as np
import pytest

from tests.tips_model.train.scenes import paint
from tips_model.train.scenes.drawings import DRAWING_SETS, HELD_OUT, DrawingsError
from tips_model.train.scenes.render import render_svg

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40" viewBox="0 0 40 40">{}</svg>'


def test_a_drawing_is_cropped_and_fills_the_longer_side():
    svg = SVG.format('<rect x="4" y="10" width="20" height="10" fill="#ff0000"/>')
    cutout = render_svg(svg, 32)
    assert cutout.shape == (32, 32, 4)
    np.testing.assert_array_equal(cutout[16, 2:30], np.tile([255, 0, 0, 255], (28, 1)))
    rows = np.flatnonzero(cutout[..., 3].max(1))
    assert (rows[0], rows[-1]) == (8, 23)


def test_an_empty_drawing_is_refused():
    with pytest.raises(DrawingsError, match="empty"):
        render_svg(SVG.format(""), 32)


def test_held_out_and_training_parts_share_no_drawing():
    bank = paint.bank(concepts=3, drawings=6)
    held, train = bank.held_out(), bank.training()
    assert len(held) + len(train) == len(bank) == 18
    assert {DRAWING_SETS[s].family for s in held.drawing_set} == {HELD_OUT}
    assert HELD_OUT not in {DRAWING_SETS[s].family for s in train.drawing_set}
    assert sorted(set(held.concept.tolist())) == [0, 1, 2]
