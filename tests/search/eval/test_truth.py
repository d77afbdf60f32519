from pathlib import Path

import numpy as np
import pytest

from search.eval.truth import patch_cover, read_truth
from tips_model.eval.coco import CocoImage, CocoObject, CocoSet

SQUARE = [[2, 0, 5, 0, 5, 3, 2, 3]]  # pixels 2..5 by 0..3 of a picture 8 wide and 4 high


def picture(*things: CocoObject) -> CocoImage:
    return CocoImage(Path("a.png"), 8, 4, (), things)


def test_patches_are_covered_by_the_part_of_them_that_the_mask_fills():
    thing = CocoObject(0, SQUARE, (2, 0, 4, 4))
    cover = patch_cover(picture(thing), thing, (2, 2))  # patches of 4 x 2 pixels
    assert cover.tolist() == [[0.5, 0.5], [0.5, 0.5]]
    uneven = patch_cover(picture(thing), thing, (1, 3))  # patches of 8/3 x 4 pixels
    np.testing.assert_allclose(uneven, [[0.25, 1.0, 0.25]], rtol=1e-6)


def test_a_box_without_a_mask_covers_like_a_mask_of_its_shape():
    masked, plain = CocoObject(0, SQUARE, (2, 0, 4, 4)), CocoObject(0, None, (2, 0, 4, 4))
    for grid in ((2, 2), (1, 3), (3, 5)):
        a, b = (patch_cover(picture(thing), thing, grid) for thing in (masked, plain))
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_texts_are_the_things_own_or_their_names():
    dog = CocoObject(1, SQUARE, (2, 0, 4, 4))
    cup = CocoObject(0, None, (0, 0, 2, 2), ("the blue cup", "left cup"))
    data = CocoSet((picture(dog), picture(cup, dog)), ("cup", "dog"))
    truth = read_truth(data, [(2, 4), (1, 1)])
    assert truth.texts == ("dog", "the blue cup", "left cup")
    assert truth.image.tolist() == [0, 1, 1, 1]
    assert [truth.texts[t] for t in truth.text] == ["dog", "the blue cup", "left cup", "dog"]
    assert truth.of_text(0).tolist() == [0, 3]
    assert truth.box[1].tolist() == [0, 0, 0.25, 0.5]
    assert truth.cover.shape == (4, 8)
    assert truth.cover[3].tolist() == [0.5] + [0] * 7  # one patch; nothing behind it
    assert truth.area == pytest.approx([0.5, 0.125, 0.125, 0.5])
