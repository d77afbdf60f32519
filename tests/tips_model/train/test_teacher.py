import copy

import torch

from tests.tips_model.train.pairs import tiny_model
from tips_model.model import TIPS
from tips_model.train.config import Head, Objective
from tips_model.train.heads import Heads
from tips_model.train.teacher import Teacher, make_teacher
from tips_model.vision import VisionTower

HEAD = Head(layers=2, hidden=16, bottleneck=8, prototypes=12)


def student(seed: int = 0) -> tuple[VisionTower, Heads]:
    torch.manual_seed(seed)
    return TIPS(tiny_model(), seed=seed).vision, Heads(32, HEAD)


def made(kind: str) -> Teacher:
    objective = Objective(teacher=kind, head=HEAD, centre_momentum=0.75)  # type: ignore[arg-type]
    teacher = make_teacher(objective, *student())
    assert teacher is not None
    return teacher


def test_head_only_ema_moves_the_head_and_has_no_tower() -> None:
    teacher, (vision, heads) = made("head"), student(1)
    assert teacher.vision is None
    assert teacher.heads is not None
    before = [p.clone() for p in teacher.heads.parameters()]
    teacher.update(vision, heads, 0.9)
    for old, new, moved in zip(before, heads.parameters(), teacher.heads.parameters(), strict=True):
        torch.testing.assert_close(moved, 0.9 * old + 0.1 * new)
        assert not moved.requires_grad


def test_full_ema_moves_the_tower_too() -> None:
    teacher, (vision, heads) = made("ema"), student(1)
    assert teacher.vision is not None
    before = teacher.vision.positions.clone()
    teacher.update(vision, heads, 0.5)
    torch.testing.assert_close(teacher.vision.positions, (before + vision.positions) / 2)


def test_no_teacher_when_none_is_wanted() -> None:
    assert make_teacher(Objective(teacher="none"), *student()) is None


def test_centres_start_at_the_first_mean_and_run_on() -> None:
    teacher, (vision, heads) = made("head"), student()
    assert teacher.heads is not None
    means = []
    for step in range(2):
        pixels = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(step))
        seen = vision(pixels)
        teacher(pixels, seen, 0.1)
        means.append(teacher.heads.cls(seen.cls_web).detach().mean(dim=0))
        teacher.update(vision, heads, 1.0)
    torch.testing.assert_close(teacher.centre_cls, 0.75 * means[0] + 0.25 * means[1])


def test_accumulated_passes_move_the_centre_once_by_their_mean() -> None:
    one, two = made("head"), made("head")
    vision, heads = student()
    pixels = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    one(pixels, vision(pixels), 0.1)
    for part in pixels.split(2):
        two(part, vision(part), 0.1)
    for teacher in (one, two):
        teacher.update(vision, heads, 1.0)
    torch.testing.assert_close(one.centre_patch, two.centre_patch)


def test_targets_are_distributions_without_gradient() -> None:
    teacher, (vision, _) = made("head"), student()
    pixels = torch.rand(2, 3, 16, 16)
    targets = teacher(pixels, vision(pixels), 0.04)
    assert targets.cls.shape == (2, 12)
    assert targets.patches.shape == (2, 4, 12)
    torch.testing.assert_close(targets.patches.sum(dim=-1), torch.ones(2, 4))
    assert not targets.patches.requires_grad


def test_without_heads_the_targets_are_the_features() -> None:
    vision, _ = student()
    frozen = Teacher(Objective(teacher="frozen", teacher_model="x"), copy.deepcopy(vision), None)
    pixels = torch.rand(2, 3, 16, 16)
    torch.testing.assert_close(frozen(pixels, vision(pixels), 0.1).cls, vision(pixels).cls_web)
