"""Figures of region retrieval against loops over single places."""

from __future__ import annotations

import numpy as np
import pytest

from search.eval.metrics import IOUS, box_overlaps, mask_overlaps, match, place_figures
from search.eval.places import Places
from search.eval.truth import Truth
from search.places.distinct import Bools, Floats


def boxes(rng: np.random.Generator, count: int) -> Floats:
    low = rng.integers(0, 4, (count, 2))
    high = low + rng.integers(1, 5 - low)
    return np.concatenate([low, high], axis=1) / 4


def cells_of(box: Floats) -> Bools:
    x, y = np.meshgrid((np.arange(4) + 0.5) / 4, (np.arange(4) + 0.5) / 4)
    inside = (box[0] < x) & (x < box[2]) & (box[1] < y) & (y < box[3])
    return inside.ravel()


def scene(seed: int, things: int = 6, places: int = 40) -> tuple[Places, Truth]:
    rng = np.random.default_rng(seed)
    found, real = boxes(rng, places), boxes(rng, things)
    truth = Truth(
        texts=("dog", "cat"),
        text=rng.integers(0, 2, things),
        image=rng.integers(0, 3, things),
        box=real,
        area=(real[:, 2:] - real[:, :2]).prod(axis=1),
        cover=np.array([cells_of(box) for box in real], np.float32),
    )
    shown = Places(
        rng.integers(0, 3, places),
        rng.permutation(places).astype(np.float32),
        found,
        np.array([cells_of(box) for box in found]),
    )
    return shown, truth


def iou(a: Floats, b: Floats) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    both = width * height
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return both / (sum(areas) - both)


def slow_precision(
    places: Places, truth: Truth, wanted: list[int], text: int, least: float
) -> float:
    """Average precision with Python loops: each place takes the best free thing that it fits."""
    order = sorted(range(len(places.score)), key=lambda k: -places.score[k])
    free = {int(t) for t in np.flatnonzero(truth.text == text)}
    right, rank, total = 0, 0, 0.0
    for place in order:
        fits = [
            (iou(places.box[place], truth.box[thing]), thing)
            for thing in sorted(free)
            if truth.image[thing] == places.image[place]
        ]
        fits = [fit for fit in fits if fit[0] >= least]
        if fits:
            best = max(fits, key=lambda fit: (fit[0], -fit[1]))[1]
            free.remove(best)
            if best not in wanted:
                continue  # a thing of another size: not in this ranking
            right += 1
            total += right / (rank + 1)
        rank += 1
    return total / len(wanted)


def test_overlaps_of_boxes_and_masks_agree_with_one_pair_at_a_time() -> None:
    places, truth = scene(0)
    expected = [[iou(a, b) for b in truth.box] for a in places.box]
    np.testing.assert_allclose(box_overlaps(places.box, truth.box), expected, atol=1e-12)
    # Boxes on cell borders: masks and boxes overlap alike.
    np.testing.assert_allclose(mask_overlaps(places.mask, truth.cover), expected, atol=1e-6)


@pytest.mark.parametrize("seed", range(8))
def test_figures_agree_with_a_slow_reference(seed: int) -> None:
    places, truth = scene(seed)
    for text in range(2):
        matches = match(places, truth, text)
        for within in (np.ones(6, bool), truth.area > 0.2):
            wanted = [int(t) for t in truth.of_text(text) if within[t]]
            if not wanted:
                continue
            figures = place_figures(matches, truth, text, within)
            for least in IOUS:
                expected = slow_precision(places, truth, wanted, text, least)
                assert figures[f"box AP@{least}"] == pytest.approx(expected)
                assert figures[f"mask AP@{least}"] == pytest.approx(expected)
