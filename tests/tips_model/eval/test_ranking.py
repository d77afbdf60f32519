from itertools import permutations

import numpy as np
import pytest

from tips_model.eval.ranking import (
    average_precision,
    chance_precision,
    fused,
    name_chance,
    name_figures,
    ranked,
)


def test_names_find_pictures_by_hand():
    scores = np.array([[0.9, 0.1, 0.5, 0.3], [0.2, 0.8, 0.6, 0.4]])
    shows = np.array([[1, 0, 0, 1], [0, 0, 1, 1]], bool)
    found = name_figures(scores, shows)
    assert found["P@1"] == 0.5
    # The first name finds its pictures at ranks 1 and 3, the second at 2 and 3.
    assert found["mAP"] == pytest.approx(((1 + 2 / 3) / 2 + (1 / 2 + 2 / 3) / 2) / 2)


def test_of_equal_scores_the_wrong_ones_come_first():
    wanted = np.array([True, False, True, False])
    assert ranked(np.array([1.0, 1.0, 0.0, 2.0]), wanted).tolist() == [False, False, True, True]
    silent = name_figures(np.full((1, 4), -np.inf), wanted[None])
    assert silent == {"P@1": 0.0, "mAP": pytest.approx((1 / 3 + 2 / 4) / 2)}


@pytest.mark.parametrize(("wanted", "pictures"), [(1, 1), (1, 5), (2, 5), (4, 6), (5, 5)])
def test_chance_is_the_mean_over_all_orders(wanted: int, pictures: int):
    orders = set(permutations([True] * wanted + [False] * (pictures - wanted)))
    mean = np.mean([average_precision(np.array(order), wanted) for order in orders])
    assert chance_precision(wanted, pictures) == pytest.approx(mean)


def test_chance_is_a_mean_over_names():
    shows = np.array([[1, 0, 0, 0], [1, 1, 0, 1]], bool)
    expected = {
        "P@1": (1 / 4 + 3 / 4) / 2,
        "mAP": (chance_precision(1, 4) + chance_precision(3, 4)) / 2,
    }
    assert name_chance(shows) == pytest.approx(expected)


def test_evidence_is_summed_in_units_of_its_spread():
    a, b = np.array([[0.0, 2.0], [1.0, 1.0]]), np.array([[30.0, 10.0], [0.0, 10.0]])
    np.testing.assert_allclose(fused(a, b), [[0, 0], [-1, 1]], atol=1e-6)
    np.testing.assert_allclose(fused(a), [[-1, 1], [0, 0]], atol=1e-6)
