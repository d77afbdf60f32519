import numpy as np
import pytest

from search.eval.metrics import (
    assign,
    average_precision,
    box_overlaps,
    mask_overlaps,
    match,
    picture_precision,
    place_figures,
)
from search.eval.places import Places
from search.eval.truth import Truth

LEFT, RIGHT, WHOLE = [0.0, 0.0, 0.5, 1.0], [0.5, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0]


def places(*rows: tuple[int, float, list[float]]) -> Places:
    """Places on a grid of one row and two columns."""
    mask = [[box[0] < 0.5, box[2] > 0.5] for _, _, box in rows]
    return Places(
        np.array([row[0] for row in rows]),
        np.array([row[1] for row in rows], np.float32),
        np.array([row[2] for row in rows]),
        np.array(mask),
    )


def truth(*rows: tuple[int, int, list[float], float]) -> Truth:
    """Things: text, image, box, area."""
    cover = [[box[0] < 0.5, box[2] > 0.5] for _, _, box, _ in rows]
    return Truth(
        tuple("abc"),
        np.array([row[0] for row in rows]),
        np.array([row[1] for row in rows]),
        np.array([row[2] for row in rows]),
        np.array([row[3] for row in rows]),
        np.array(cover, np.float32),
    )


def test_average_precision_by_hand():
    assert average_precision(np.array([True, False, True]), 2) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision(np.array([False, True]), 4) == pytest.approx(0.5 / 4)
    assert average_precision(np.array([], bool), 3) == 0


def test_overlaps_by_hand():
    boxes = box_overlaps(np.array([LEFT, WHOLE]), np.array([RIGHT, LEFT]))
    np.testing.assert_allclose(boxes, [[0, 1], [0.5, 0.5]])
    masks = mask_overlaps(np.array([[True, False]]), np.array([[0.5, 0.5], [1, 0]], np.float32))
    np.testing.assert_allclose(masks, [[0.5 / 1.5, 1]])


def test_a_thing_is_found_once_and_by_the_best_place_that_is_left():
    order = places((0, 0.9, LEFT), (0, 0.8, LEFT), (1, 0.7, RIGHT), (0, 0.6, WHOLE))
    overlaps = box_overlaps(order.box, np.array([LEFT, RIGHT]))
    found = assign(order, overlaps, np.array([5, 6]), np.array([0, 0]), 0.5)
    assert found.tolist() == [5, -1, -1, 6]  # the whole picture is half right for what is left


def test_figures_of_a_text():
    known = truth((0, 0, LEFT, 0.5), (0, 2, RIGHT, 0.5), (1, 1, WHOLE, 1.0))
    every = np.ones(3, bool)
    shown = places((1, 0.9, WHOLE), (0, 0.8, LEFT), (2, 0.7, LEFT), (2, 0.6, RIGHT))
    figures = place_figures(match(shown, known, 0), known, 0, every)
    assert figures["box AP@0.5"] == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert figures["mask AP@0.3"] == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert figures["recall@1 IoU 0.5"] == 0
    assert figures["recall@10 IoU 0.3"] == 1
    assert figures["pointing"] == 0.5  # the best place of picture 2 is on its other side


def test_things_of_another_size_count_neither_way():
    known = truth((0, 0, LEFT, 0.5), (0, 1, LEFT, 0.001))
    shown = places((0, 0.9, LEFT), (1, 0.8, LEFT))
    large = place_figures(match(shown, known, 0), known, 0, np.array([True, False]))
    small = place_figures(match(shown, known, 0), known, 0, np.array([False, True]))
    assert large["box AP@0.5"] == small["box AP@0.5"] == 1


def test_pictures_are_ranked_without_the_ignored_ones():
    scores = np.array([0.9, 0.8, 0.7, 0.6], np.float32)
    assert picture_precision(scores, np.array([1, 3]), np.array([0, 1, 3])) == pytest.approx(
        (1 + 2 / 3) / 2
    )


def test_a_picture_without_a_place_points_nowhere():
    known = truth((0, 0, LEFT, 0.5), (0, 3, LEFT, 0.5))
    figures = place_figures(match(places((0, 0.9, LEFT)), known, 0), known, 0, np.ones(2, bool))
    assert figures["pointing"] == 0.5
