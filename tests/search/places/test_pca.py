"""Patches in the colours of their principal components."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from search.places.pca import feature_colours

Array = npt.NDArray[np.float32]


def halves() -> Array:
    """A grid (6, 8, 16) whose left half shows one thing and whose right half another."""
    rng = np.random.default_rng(3)
    left, right = rng.standard_normal((2, 16))
    grid = np.where(np.arange(8)[None, :, None] < 4, left, right) + np.zeros((6, 8, 16))
    grid += 0.01 * rng.standard_normal(grid.shape)
    return np.asarray(grid / np.linalg.norm(grid, axis=-1, keepdims=True), np.float32)


def test_what_is_alike_has_one_colour() -> None:
    colours = feature_colours([halves()])
    assert colours.shape == (6, 8, 3)
    assert colours.min() >= 0
    assert colours.max() <= 1
    red = colours[..., 0]
    assert red[:, :4].std() < 0.05
    assert red[:, 4:].std() < 0.05
    assert abs(red[:, :4].mean() - red[:, 4:].mean()) > 0.8


def test_a_turned_feature_space_gives_the_same_picture() -> None:
    turn = np.linalg.qr(np.random.default_rng(5).standard_normal((16, 16)))[0]
    turned = np.asarray(halves() @ turn, np.float32)
    assert feature_colours([turned]) == pytest.approx(feature_colours([halves()]), abs=1e-3)


def test_scales_meet_on_the_finest_grid() -> None:
    fine = np.repeat(np.repeat(halves(), 2, axis=0), 2, axis=1)
    assert feature_colours([halves(), fine]).shape == (12, 16, 3)


def test_a_photo_of_nothing_is_grey() -> None:
    flat = np.ones((4, 4, 2), np.float32) / np.sqrt(2)
    assert feature_colours([flat]) == pytest.approx(np.full((4, 4, 3), 0.5))
