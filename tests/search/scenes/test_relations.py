from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.scenes.relations import RELATIONS, at, placed, sized
from search.scenes.scene import Position, Relation, Size

Box = tuple[float, float, float, float]


def one(relation: Relation, a: Box, b: Box) -> float:
    return float(RELATIONS[relation](np.array(a), np.array(b)))


def slowly(relation: Relation, a: Box, b: Box) -> float:
    """The definitions in plain Python, one pair at a time."""
    if relation in ("right of", "below"):
        return slowly("left of" if relation == "right of" else "above", b, a)
    width, height = ([box[i + 2] - box[i] for box in (a, b)] for i in (0, 1))
    x, y = ([(box[i] + box[i + 2]) / 2 for box in (a, b)] for i in (0, 1))
    areas = [width[i] * height[i] for i in (0, 1)]
    wide = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    high = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    if relation == "left of":
        return min(max((x[1] - x[0]) / (sum(width) / 2), 0.0), 1.0)
    if relation == "above":
        return min(max((y[1] - y[0]) / (sum(height) / 2), 0.0), 1.0)
    if relation == "inside":
        return wide * high / areas[0] * min(max(2 - 2 * areas[0] / areas[1], 0.0), 1.0)
    gaps = [max(abs(c[1] - c[0]) / (sum(s) / 2) - 1, 0.0) for c, s in ((x, width), (y, height))]
    return 0.5 ** math.hypot(*gaps) * (1 - wide * high / min(areas))


def random_boxes(count: int, seed: int) -> np.ndarray:
    """(count, 4), some of them equal to others, nested or very thin."""
    rng = np.random.default_rng(seed)
    corners = np.sort(rng.random((count, 2, 2)), axis=1)
    corners[:, 1] = np.maximum(corners[:, 1], corners[:, 0] + 1e-3)
    return corners.reshape(count, 4)


@pytest.mark.parametrize("relation", RELATIONS)
def test_relations_of_many_boxes_at_once_are_those_of_each_pair(relation: Relation) -> None:
    a, b = random_boxes(12, 1), np.concatenate([random_boxes(8, 2), random_boxes(12, 1)])
    degrees = RELATIONS[relation](a[:, None], b[None])
    expected = [[slowly(relation, tuple(p), tuple(q)) for q in b] for p in a]
    assert degrees.shape == (12, 20)
    np.testing.assert_allclose(degrees, expected, atol=1e-9)
    assert degrees.min() >= 0
    assert degrees.max() <= 1


@pytest.mark.parametrize(
    ("relation", "a", "b", "degree"),
    [
        ("left of", (0.0, 0.2, 0.2, 0.4), (0.2, 0.5, 0.4, 0.7), 1.0),  # they touch
        ("left of", (0.0, 0.2, 0.2, 0.4), (0.1, 0.5, 0.3, 0.7), 0.5),  # half of it beside
        ("left of", (0.0, 0.2, 0.2, 0.4), (0.0, 0.5, 0.2, 0.7), 0.0),
        ("left of", (0.6, 0.2, 0.8, 0.4), (0.0, 0.2, 0.2, 0.4), 0.0),
        ("above", (0.3, 0.0, 0.5, 0.2), (0.3, 0.5, 0.5, 0.9), 1.0),
        ("above", (0.3, 0.5, 0.5, 0.9), (0.3, 0.0, 0.5, 0.2), 0.0),
        ("inside", (0.4, 0.4, 0.6, 0.6), (0.2, 0.2, 0.8, 0.8), 1.0),
        ("inside", (0.2, 0.2, 0.8, 0.8), (0.4, 0.4, 0.6, 0.6), 0.0),
        ("inside", (0.0, 0.0, 0.2, 0.2), (0.1, 0.0, 0.9, 1.0), 0.5),  # half of it
        ("inside", (0.2, 0.2, 0.8, 0.8), (0.2, 0.2, 0.8, 0.8), 0.0),  # the same place
        ("next to", (0.0, 0.0, 0.2, 0.2), (0.2, 0.0, 0.4, 0.2), 1.0),  # they touch
        ("next to", (0.0, 0.0, 0.2, 0.2), (0.4, 0.0, 0.6, 0.2), 0.5),  # one size between
        ("next to", (0.0, 0.0, 0.2, 0.2), (0.8, 0.0, 1.0, 0.2), 0.125),  # three sizes
        ("next to", (0.1, 0.1, 0.2, 0.2), (0.0, 0.0, 0.4, 0.4), 0.0),  # one in the other
    ],
)
def test_relations_have_the_documented_degrees(
    relation: Relation, a: Box, b: Box, degree: float
) -> None:
    assert one(relation, a, b) == pytest.approx(degree)


BOXES = st.tuples(
    *(st.floats(0, 0.7) for _ in range(2)), *(st.floats(0.01, 0.3) for _ in range(2))
).map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3]))


@given(BOXES, BOXES)
def test_opposite_relations_mirror_each_other(a: Box, b: Box) -> None:
    assert one("left of", a, b) == one("right of", b, a)
    assert one("above", a, b) == one("below", b, a)
    assert one("next to", a, b) == pytest.approx(one("next to", b, a))
    assert one("left of", a, b) * one("left of", b, a) == 0
    mirrored = [(1 - box[2], box[1], 1 - box[0], box[3]) for box in (a, b)]
    assert one("left of", a, b) == pytest.approx(one("right of", *mirrored))
    turned = [(box[1], box[0], box[3], box[2]) for box in (a, b)]
    assert one("left of", a, b) == pytest.approx(one("above", *turned))


@given(BOXES, BOXES, st.floats(0.2, 1), st.floats(0.2, 1))
def test_the_shape_of_the_picture_does_not_matter(a: Box, b: Box, x: float, y: float) -> None:
    squeezed = [(box[0] * x, box[1] * y, box[2] * x, box[3] * y) for box in (a, b)]
    for relation in RELATIONS:
        assert one(relation, a, b) == pytest.approx(one(relation, *squeezed), abs=1e-6)


@pytest.mark.parametrize(
    ("centre", "position", "degree"),
    [
        ((0.1, 0.1), Position("left", "top"), 1.0),
        ((0.25, 0.9), Position("left", ""), 1.0),
        ((5 / 12, 0.5), Position("left", ""), 0.5),
        ((0.6, 0.5), Position("left", ""), 0.0),
        ((0.1, 5 / 12), Position("left", "top"), 0.5),
        ((0.1, 0.9), Position("left", "top"), 0.0),
        ((0.9, 7 / 12), Position("right", "bottom"), 0.5),
        ((0.5, 0.5), Position("centre", "centre"), 1.0),
        ((0.3, 0.5), Position("centre", "centre"), 0.5),
        ((0.5, 0.9), Position("centre", "centre"), 0.0),
        ((0.5, 0.9), Position("centre", "bottom"), 1.0),
    ],
)
def test_positions_go_by_the_centre(
    centre: tuple[float, float], position: Position, degree: float
) -> None:
    x, y = centre
    box = np.array((x - 0.05, y - 0.05, x + 0.05, y + 0.05))
    assert float(at(box, position)) == pytest.approx(degree)


@pytest.mark.parametrize(
    ("share", "size", "degree"),
    [
        (0.005, "tiny", 1.0),
        (0.01, "tiny", 0.5),
        (0.02, "tiny", 0.0),
        (0.01, "small", 1.0),
        (0.05, "small", 0.5),
        (0.15, "large", 0.5),
        (0.075, "large", 0.0),
        (0.3, "large", 1.0),
        (0.4, "huge", 0.5),
        (0.9, "huge", 1.0),
    ],
)
def test_sizes_go_by_the_share_of_the_picture(share: float, size: Size, degree: float) -> None:
    assert float(sized(np.array((0, 0, 1, share)), size)) == pytest.approx(degree)


@pytest.mark.parametrize(
    ("box", "degree"),
    [
        ((0.2, 0.2, 0.6, 0.6), 1.0),  # exactly there
        ((0.3, 0.2, 0.7, 0.6), (0.6 + 2**-0.25) / 2),  # a quarter of the side off
        ((0.4, 0.2, 0.8, 0.6), (1 / 3 + 0.5) / 2),  # half of the side off
        ((0.3, 0.3, 0.5, 0.5), (0.25 + 1) / 2),  # half the side, the same centre
        ((0.8, 0.8, 1.0, 1.0), 0.5 * 2 ** -(2.5**2 * 2)),
    ],
)
def test_agreement_with_a_drawn_box_is_overlap_and_nearness(box: Box, degree: float) -> None:
    found = placed(np.array([box, box]), np.array((0.2, 0.2, 0.6, 0.6)))
    np.testing.assert_allclose(found, degree)
