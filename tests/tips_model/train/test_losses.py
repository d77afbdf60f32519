"""Losses against slow loops over the formulas and against numbers worked out by hand."""

import math

import pytest
import torch
from torch import Tensor

from tips_model.train import losses


def slow_contrastive(image: Tensor, text: Tensor, keys: list[int], tau: float) -> Tensor:
    """InfoNCE of one process, picture by picture, with identical captions as positives."""
    count = len(keys)
    image = torch.stack([v / v.norm() for v in image])
    text = torch.stack([v / v.norm() for v in text])
    total = torch.zeros(())
    for i in range(count):
        positives = [j for j in range(count) if keys[j] == keys[i]]
        for rows, columns in ((image, text), (text, image)):
            logits = [(rows[i] * columns[j]).sum() / tau for j in range(count)]
            denominator = torch.stack([logit.exp() for logit in logits]).sum()
            for j in positives:
                total = total - (logits[j].exp() / denominator).log() / len(positives)
    return total / (2 * count)


def test_identical_captions_share_the_target_evenly() -> None:
    targets = losses.caption_targets(torch.tensor([7, 8]), torch.tensor([7, 8, 7, 9]))
    assert targets.tolist() == [[0.5, 0, 0.5, 0], [0, 1, 0, 0]]


def test_losses_under_autocast_equal_those_without() -> None:
    generator = torch.Generator().manual_seed(0)
    image, text = (torch.randn(16, 64, generator=generator) for _ in range(2))
    scores, teacher = (torch.rand(6, 3, 12, generator=generator) * 2 - 1 for _ in range(2))
    near = text + 0.3 * image  # cosines near 1, where the temperature counts most
    found = []
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            targets = losses.teacher_targets(teacher, torch.zeros(12), 0.04)
            found.append(
                [
                    losses.contrastive(near, text, near, text, torch.eye(16), torch.tensor(0.004)),
                    losses.distillation(scores, targets[:, 0], 0.1),
                    losses.masked_patches(scores, targets, 0.1),
                    losses.feature_distillation(scores, teacher),
                ]
            )
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_contrastive_equals_a_slow_loop_with_its_gradients() -> None:
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(5, 4, generator=generator, requires_grad=True)
    text = torch.randn(5, 4, generator=generator, requires_grad=True)
    keys = [1, 2, 1, 3, 1]
    targets = losses.caption_targets(torch.tensor(keys), torch.tensor(keys))
    tau = torch.tensor(0.3, requires_grad=True)
    fast = losses.contrastive(image, text, image, text, targets, tau)
    slow = slow_contrastive(image, text, keys, 0.3)
    torch.testing.assert_close(fast, slow)
    for one, other in zip(
        torch.autograd.grad(fast, (image, text)),
        torch.autograd.grad(slow, (image, text)),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


def test_contrastive_of_orthogonal_pairs_by_hand() -> None:
    eye = torch.eye(2)
    # Each row has cosines 1 and 0 at tau 0.5: -log(e^2 / (e^2 + 1)).
    loss = losses.contrastive(eye, eye * 3, eye, eye * 3, eye, torch.tensor(0.5))
    assert loss.item() == pytest.approx(math.log(1 + math.exp(-2)))


def test_the_temperature_has_no_clip() -> None:
    eye = torch.eye(2)
    log_tau = torch.tensor(math.log(1 / 300), requires_grad=True)
    wrong = eye.flip(0)
    loss = losses.contrastive(eye, wrong, eye, wrong, eye, log_tau.exp())
    loss.backward()
    assert loss.item() == pytest.approx(300)
    assert log_tau.grad is not None
    assert log_tau.grad.item() == pytest.approx(-300)


def test_teacher_targets_are_centred_and_sharpened() -> None:
    targets = losses.teacher_targets(torch.tensor([[0.5, 0.1]]), torch.tensor([0.4, 0.1]), 0.1)
    assert targets[0, 0].item() == pytest.approx(math.e / (math.e + 1))
    even = losses.teacher_targets(torch.tensor([[0.5, 0.1]]), torch.tensor([0.5, 0.1]), 0.1)
    assert even.tolist() == [[0.5, 0.5]]


def test_distillation_equals_a_slow_loop() -> None:
    generator = torch.Generator().manual_seed(1)
    student = torch.randn(3, 4, 6, generator=generator)
    targets = torch.rand(3, 6, generator=generator).softmax(dim=-1)
    total = 0.0
    for b in range(3):
        for m in range(4):
            scores = [math.exp(s / 0.1) for s in student[b, m].tolist()]
            for k in range(6):
                total -= targets[b, k].item() * math.log(scores[k] / sum(scores))
    assert losses.distillation(student, targets, 0.1).item() == pytest.approx(total / 12, rel=1e-5)


def test_patch_loss_is_the_mean_over_tokens() -> None:
    targets = torch.tensor([[[1.0, 0.0], [0.5, 0.5]]])
    student = torch.tensor([[[0.1, 0.0], [0.0, 0.0]]])
    expected = (math.log(1 + math.exp(-1)) + math.log(2)) / 2
    assert losses.masked_patches(student, targets, 0.1).item() == pytest.approx(expected)


def test_patch_loss_gradient_is_softmax_minus_target() -> None:
    student = torch.tensor([[0.3, -0.2, 0.1]], requires_grad=True)
    targets = torch.tensor([[0.2, 0.7, 0.1]])
    losses.masked_patches(student, targets, 0.5).backward()
    assert student.grad is not None
    expected = ((student.detach() / 0.5).softmax(dim=-1) - targets) / 0.5
    torch.testing.assert_close(student.grad, expected)


def test_feature_distillation_is_one_minus_cosine() -> None:
    student = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    teacher = torch.tensor([[5.0, 0.0], [1.0, 1.0]])
    expected = (0 + 1 - 1 / math.sqrt(2)) / 2
    assert losses.feature_distillation(student, teacher).item() == pytest.approx(expected)


def test_total_weighs_by_name_and_refuses_a_loss_without_weight() -> None:
    found = {"web": torch.tensor(2.0), "masked": torch.tensor(3.0)}
    assert losses.total(found, {"web": 0.5, "masked": 2.0, "distill": 9.0}).item() == 7.0
    with pytest.raises(KeyError):
        losses.total(found, {"web": 0.5})
