"""Losses on what a table gives, against slow loops and numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tips_model.train import losses
from tips_model.train.augment import Cut, around
from tips_model.train.masking import kept_patches
from tips_model.train.name_targets import Names, choose_thing, seen_things
from tips_model.train.source import Label, Thing
from tips_model.train.supervision import Given


def unit(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(*shape, generator=generator), dim=-1)


def test_given_features_equal_a_slow_loop_and_pass_over_rows_without_any() -> None:
    student, teacher, tau = unit(5, 6), unit(5, 6, seed=1), 0.3
    teacher[2] = 0
    there = [0, 1, 3, 4]
    wanted = 0.0
    for i in there:
        for a, b in ((student, teacher), (teacher, student)):
            logits = torch.stack([(a[i] * b[j]).sum() / tau for j in there])
            own = (a[i] * b[i]).sum() / tau
            wanted += float(logits.logsumexp(0) - own) / 2
        wanted += 1 - float((student[i] * teacher[i]).sum())
    found, count = losses.given_features(
        student * 7, student * 7, teacher * 3, teacher * 3, 0, torch.tensor(tau)
    )
    assert count == 4
    assert found.item() == pytest.approx(wanted, rel=1e-5)


def test_given_features_of_two_processes_add_up_to_those_of_one() -> None:
    student, teacher, tau = unit(6, 4), unit(6, 4, seed=1), torch.tensor(0.2)
    whole, _ = losses.given_features(student, student, teacher, teacher, 0, tau)
    halves = [
        losses.given_features(student[i : i + 3], student, teacher[i : i + 3], teacher, i, tau)[0]
        for i in (0, 3)
    ]
    assert sum(halves).item() == pytest.approx(whole.item(), rel=1e-5)  # type: ignore[union-attr]


def test_a_vector_among_names_is_a_cross_entropy_over_known_rows() -> None:
    names = torch.eye(3)
    vectors = torch.tensor([[2.0, 0, 0], [0, 5, 0], [1, 1, 1]])
    targets = torch.tensor([[1.0, 0, 0], [0.5, 0.5, 0], [0, 0, 0]])
    total, count = losses.named(vectors, names, targets, torch.tensor(1.0))
    other = math.log(math.e + 2)
    assert count == 2
    assert total.item() == pytest.approx((other - 1) + (other - 0.5), rel=1e-5)


def test_a_box_covers_the_patches_it_lies_on_and_parts_of_their_neighbours() -> None:
    boxes = torch.tensor([[0.0, 0.0, 0.75, 0.5], [0.25, 0.25, 0.5, 1.0], [-1, -1, 2, 2]])
    found = losses.cover(boxes, 2, 2).reshape(3, 2, 2)
    assert found[0].tolist() == [[1, 0.5], [0, 0]]
    assert found[1].tolist() == [[0.25, 0], [0.5, 0]]
    assert found[2].tolist() == [[1, 1], [1, 1]]


def test_a_box_is_the_mean_of_its_patches_by_how_much_it_covers_them() -> None:
    patches = torch.tensor([[[1.0, 0], [0, 1], [9, 9], [9, 9]]])
    covers = torch.tensor([[1.0, 0.5, 0, 0]])
    assert losses.pooled(patches, covers)[0].tolist() == pytest.approx([2 / 3, 1 / 3])


def test_pointing_is_the_share_of_the_softmax_inside() -> None:
    scores = torch.tensor([[0.0, 0, 0, 0], [math.log(3), 0, 0, 0]])
    inside = torch.tensor([[1.0, 1, 0, 0], [1, 0, 0, 0]])
    assert losses.pointing(scores, inside).item() == pytest.approx(-2 * math.log(0.5), rel=1e-5)


def test_a_mirrored_crop_moves_boxes_with_its_pixels() -> None:
    image = torch.zeros(3, 40, 80, dtype=torch.uint8)
    image[:, 10:20, 50:60] = 255
    boxes = np.array([[50 / 80, 10 / 40, 60 / 80, 20 / 40]])
    for mirrored in (False, True):
        cut = Cut(5, 40, 30, 30, mirrored)
        x0, y0, x1, y1 = cut.place(boxes, 40, 80)[0]
        part = cut.take(image, 30)
        white = (part[0] > 0).nonzero()
        assert white[:, 0].min() == round(y0 * 30)
        assert white[:, 0].max() + 1 == round(y1 * 30)
        assert white[:, 1].min() == round(x0 * 30)
        assert white[:, 1].max() + 1 == round(x1 * 30)


def test_a_crop_around_a_box_holds_the_box() -> None:
    generator = np.random.default_rng(0)
    for _ in range(50):
        cut = around(generator, (0.1, 0.2, 0.4, 0.9), 100, 60, 0.5)
        boxes = cut.place(np.array([[0.1, 0.2, 0.4, 0.9]]), 100, 60)
        assert (boxes > -0.02).all()
        assert (boxes < 1.02).all()
        assert cut.top + cut.height <= 100
        assert cut.left + cut.width <= 60


def test_things_are_seen_where_the_crop_shows_enough_of_them() -> None:
    things = [Thing("dog", (0.0, 0.0, 0.5, 0.5)), Thing("cat", (0.4, 0.0, 1.0, 1.0))]
    seen = seen_things(things, Cut(0, 0, 50, 50, False), 100, 100)
    assert [thing.name for thing in seen] == ["dog"]
    assert seen[0].box == (0, 0, 1, 1)


def test_small_things_give_no_crop_of_their_own() -> None:
    generator = np.random.default_rng(0)
    assert choose_thing(generator, [Thing("fly", (0.5, 0.5, 0.6, 0.9))]) is None
    assert choose_thing(generator, []) is None
    dog = Thing("dog", (0.1, 0.1, 0.5, 0.5))
    assert choose_thing(generator, [dog]) == dog


def test_targets_are_probabilities_of_names_or_nothing() -> None:
    names = Names(Given(objects=("dog", "cat"), labels=("pug", "lynx", "tabby")))
    labels = names.label_targets([[Label("lynx", 0.2), Label("tabby", 0.6)], [], [Label("pug")]])
    assert labels.tolist() == [pytest.approx([0, 0.25, 0.75]), [0, 0, 0], [1, 0, 0]]
    things = [[Thing("dog", (0, 0, 1, 1), score=0.5), Thing("cat", (0, 0, 0.5, 0.5))], []]
    assert names.object_targets(things).tolist() == [[0.5, 0.5], [0, 0]]
    places = names.places(things)
    assert places.pictures.tolist() == [0, 0]
    assert places.names.tolist() == [0, 1]
    assert places.boxes.shape == (2, 4)
    assert names.places([[], []]).boxes.shape == (0, 4)


def test_kept_patches_are_the_stated_number_without_repeats() -> None:
    found = kept_patches(np.random.default_rng(0), 64, 0.75)
    assert found.dtype == torch.int64
    assert len(found) == len(found.unique()) == 16
    assert found.tolist() == sorted(found.tolist())
    assert len(kept_patches(np.random.default_rng(0), 4, 0.99)) == 1
