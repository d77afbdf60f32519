from pathlib import Path

import numpy as np
import pytest

from tips_model.eval.boxes import BoxQuestions, box_questions, covered
from tips_model.eval.coco import CocoImage, CocoObject, CocoSet


def image(*things: tuple[int, tuple[float, float, float, float]]) -> CocoImage:
    """A picture of 100 x 50 pixels with boxes (x, y, width, height)."""
    objects = tuple(CocoObject(category, None, box) for category, box in things)
    return CocoImage(Path("a.png"), 100, 50, (), objects)


@pytest.fixture
def questions() -> BoxQuestions:
    """Two cats and a dog in one picture, nothing in the next, a large cat in the last."""
    images = (
        image((1, (0, 0, 20, 50)), (0, (50, 0, 50, 25)), (1, (10, 0, 20, 50))),
        image(),
        image((1, (0, 0, 100, 45))),
    )
    return box_questions(CocoSet(images, ("dog", "cat")))


def test_what_boxes_cover_counts_once():
    left, right = [0.0, 0.0, 0.5, 1.0], [0.25, 0.0, 0.75, 0.5]
    assert covered(np.array([left])) == 0.5
    assert covered(np.array([left, right])) == pytest.approx(0.5 + 0.125)
    assert covered(np.array([left, left, [0.5, 0.5, 0.5, 1.0]])) == 0.5


def test_many_random_boxes_cover_what_their_raster_does():
    rng = np.random.default_rng(0)
    edges = np.sort(rng.integers(0, 21, (8, 2, 2)), axis=2)
    boxes = edges.transpose(0, 2, 1).reshape(8, 4)
    raster = np.zeros((20, 20), bool)
    for x0, y0, x1, y1 in boxes:
        raster[y0:y1, x0:x1] = True
    assert covered(boxes / 20) == pytest.approx(raster.mean())


def test_a_name_is_asked_once_in_a_picture(questions: BoxQuestions):
    assert questions.image.tolist() == [0, 0, 2]
    assert questions.name.tolist() == [0, 1, 1]
    assert questions.area == pytest.approx([0.25, 0.3, 0.9])


def test_any_box_of_the_name_is_hit(questions: BoxQuestions):
    at_left, at_right, nowhere = [0.25, 0.5], [0.75, 0.25], [np.nan, np.nan]
    assert questions.hits(np.array([at_left, at_left, at_left])).tolist() == [False, True, True]
    assert questions.hits(np.array([at_right, at_right, nowhere])).tolist() == [True, False, False]
    assert questions.hits(np.array([[1.0, 0.5], [0.3, 1.0], [1.0, 0.9]])).all()  # on the edges


def test_figures_by_what_a_name_covers(questions: BoxQuestions):
    found = questions.figures(np.array([[0.75, 0.25], [0.9, 0.9], [0.1, 0.1]]))
    assert found.keys() == {"all", "10-40 %", "> 40 %", "by name"}  # nothing is below 10 %
    middle = {"all": 2 / 3, "10-40 %": 1 / 2, "> 40 %": 1, "by name": (1 + 1 / 2) / 2}
    assert {share: row["middle"] for share, row in found.items()} == pytest.approx(middle)
    assert found["all"]["hit"] == pytest.approx(2 / 3)
    assert found["all"]["chance"] == pytest.approx((0.25 + 0.3 + 0.9) / 3)
    assert found["10-40 %"]["hit"] == 0.5
    assert found["> 40 %"] == pytest.approx({"hit": 1, "middle": 1, "chance": 0.9, "count": 1})
    # The dog is hit; the cat in one of its two pictures.
    assert found["by name"]["hit"] == pytest.approx((1 + 1 / 2) / 2)
    assert found["by name"]["chance"] == pytest.approx((0.25 + (0.3 + 0.9) / 2) / 2)
    assert found["by name"]["count"] == 2
