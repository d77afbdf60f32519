import numpy as np
import pytest

from tests.tips_model.train.scenes import paint
from tips_model.train.scenes.colours import (
    COLOUR_NAMES,
    COLOURS,
    HUE_STEPS,
    colour_table,
    hue_matrix,
    nearest_colour,
    saturation_matrix,
    to_lab,
)


@pytest.mark.parametrize(
    ("rgb", "lab"),
    [((255, 255, 255), (100, 0, 0)), ((255, 0, 0), (53.24, 80.09, 67.20)),
     ((0, 0, 255), (32.30, 79.19, -107.86)), ((0, 0, 0), (0, 0, 0))],
)  # fmt: skip
def test_lab_of_known_colours(rgb: tuple[int, ...], lab: tuple[float, ...]):
    np.testing.assert_allclose(to_lab(np.array(rgb, float)), lab, atol=0.02)


def test_every_centroid_has_its_own_name():
    centroids = np.array(list(COLOURS.values()), float)
    assert nearest_colour(centroids).tolist() == list(range(len(COLOURS)))


@pytest.mark.parametrize(
    ("rgb", "name"),
    [((139, 90, 43), "brown"), ((255, 165, 0), "orange"), ((0, 100, 0), "green"),
     ((128, 128, 128), "grey"), ((255, 192, 203), "pink")],
)  # fmt: skip
def test_colours_are_named_as_people_name_them(rgb: tuple[int, ...], name: str):
    assert COLOUR_NAMES[nearest_colour(np.array(rgb, float))] == name


def test_hue_step_zero_and_full_saturation_change_nothing():
    np.testing.assert_allclose(hue_matrix(np.zeros(1, int))[0], np.eye(3), atol=1e-12)
    np.testing.assert_allclose(saturation_matrix(np.ones(1))[0], np.eye(3), atol=1e-12)


def test_hue_rotation_keeps_greys_and_twelve_steps_come_back():
    matrices = hue_matrix(np.arange(HUE_STEPS + 1))
    np.testing.assert_allclose(matrices @ np.ones(3), np.ones((HUE_STEPS + 1, 3)), atol=1e-12)
    np.testing.assert_allclose(matrices[-1], np.eye(3), atol=1e-12)


def test_colour_table_knows_the_colour_after_a_rotation_and_in_grey():
    table = colour_table(paint.bank(concepts=3, drawings=1).pixels)
    assert table.shape == (3, HUE_STEPS + 1)
    assert [COLOUR_NAMES[c] for c in table[:, 0]] == ["red", "green", "blue"]
    assert COLOUR_NAMES[table[0, 4]] == "green"  # red turned by 120 degrees
    assert all(COLOUR_NAMES[c] in ("grey", "black") for c in table[:, -1])


def test_a_drawing_of_many_colours_has_no_colour():
    pixels = np.stack([paint.square(colour) for colour in paint.COLOURS[:3]])
    mixed = np.concatenate([pixels[0][:10], pixels[1][10:21], pixels[2][21:]])
    assert colour_table(mixed[None])[0, 0] == -1
