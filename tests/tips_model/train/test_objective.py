"""The objective put together: which passes are made, what each loss sees, where gradients go."""

from dataclasses import replace

import pytest
import torch

from tests.tips_model.train.pairs import FULL, ColourSource, tiny_config, tokenizer, with_stage
from tips_model.train import losses
from tips_model.train.config import TrainConfig, Weights
from tips_model.train.loader import Batch, assemble
from tips_model.train.objective import Learner
from tips_model.train.schedules import loss_weights
from tips_model.train.setup import build
from tips_model.train.teacher import Teacher


def batch_of(config: TrainConfig) -> Batch:
    stage = config.stages[0]
    raw = ColourSource().batch(stage, 0, 0, 1, stage.batch)
    return assemble(raw, config, stage, 0, 0, tokenizer())


def with_objective(config: TrainConfig, **changes: object) -> TrainConfig:
    return replace(config, objective=replace(config.objective, **changes))  # type: ignore[arg-type]


def found(config: TrainConfig) -> tuple[dict[str, torch.Tensor], Learner, Teacher | None]:
    learner, teacher = build(config)
    return learner(batch_of(config), loss_weights(config, 0), teacher, 0.07), learner, teacher


def count_passes(config: TrainConfig) -> tuple[int, int]:
    """How often the student's and the teacher's vision tower are run in one step."""
    learner, teacher = build(config)
    calls = {"student": 0, "teacher": 0}

    def counter(name: str) -> object:
        def hook(*_: object) -> None:
            calls[name] += 1

        return hook

    learner.vision.register_forward_hook(counter("student"))  # type: ignore[arg-type]
    if teacher is not None and teacher.vision is not None:
        teacher.vision.register_forward_hook(counter("teacher"))  # type: ignore[arg-type]
    learner(batch_of(config), loss_weights(config, 0), teacher, 0.07)
    return calls["student"], calls["teacher"]


@pytest.mark.parametrize(
    ("weights", "changes", "passes"),
    [
        (Weights(), {}, (1, 0)),
        (FULL, {}, (3, 0)),
        (FULL, {"teacher": "ema", "patch_loss": "masked"}, (3, 1)),
        (Weights(distill=1), {}, (2, 0)),
        (Weights(masked=1), {"mask_ratio": 0.0}, (1, 0)),
    ],
)
def test_a_step_makes_no_pass_too_many(
    weights: Weights, changes: dict[str, object], passes: tuple[int, int]
) -> None:
    assert count_passes(with_objective(tiny_config(weights), **changes)) == passes


def test_each_caption_kind_meets_its_own_cls() -> None:
    config = tiny_config(Weights())
    values, learner, _ = found(config)
    batch = batch_of(config)
    image = learner.vision(batch.images.float() / 255)
    tau = learner.log_tau.exp()
    assert tau.item() == pytest.approx(0.07)
    web = (image.cls_web, batch.web_ids, batch.web_paddings, batch.web_keys)
    caption = (
        image.cls_caption,
        batch.caption_ids,
        batch.caption_paddings,
        batch.caption_keys,
    )
    for name, (cls, ids, paddings, keys) in (("web", web), ("caption", caption)):
        text = learner.text(ids, paddings)
        targets = losses.caption_targets(keys, keys)
        expected = losses.contrastive(cls, text, cls, text, targets, tau)
        torch.testing.assert_close(values[name], expected)


def test_one_cls_can_take_both_captions() -> None:
    values = []
    for dual in (True, False):
        config = with_objective(tiny_config(Weights()), dual_cls=dual)
        learner, _ = build(config)
        with torch.no_grad():
            learner.vision.cls[1] += torch.linspace(-1, 1, 32)  # both start at zero
        values.append(learner(batch_of(config), loss_weights(config, 0), None, 0.07))
    torch.testing.assert_close(values[0]["web"], values[1]["web"])
    assert (values[0]["caption"] - values[1]["caption"]).abs() > 1e-3


def test_masked_loss_is_of_masked_or_of_all_tokens() -> None:
    config = tiny_config(Weights(masked=1))
    batch = batch_of(config)
    learner, teacher = build(config)
    assert teacher is not None
    assert batch.mask is not None
    pixels = batch.images.float() / 255
    targets = teacher(pixels, learner.vision(pixels), 0.07).patches
    seen = learner.vision(pixels, mask=batch.mask).patches.flatten(1, 2)
    assert learner.heads is not None
    scores = learner.heads.patch(seen)
    tokens = -(targets * (scores / 0.1).log_softmax(dim=-1)).sum(dim=-1)
    everywhere, _, _ = found(config)
    hidden, _, _ = found(with_objective(config, patch_loss="masked"))
    torch.testing.assert_close(everywhere["masked"], tokens.mean())
    torch.testing.assert_close(hidden["masked"], tokens[batch.mask].mean())


def test_distillation_goes_from_the_whole_to_the_local_crops() -> None:
    config = tiny_config(Weights(distill=1))
    batch = batch_of(config)
    values, learner, teacher = found(config)
    assert teacher is not None
    assert batch.crops is not None
    assert learner.heads is not None
    pixels = batch.images.float() / 255
    targets = teacher(pixels, learner.vision(pixels), 0.07).cls
    total = torch.zeros(())
    for b in range(8):
        for m in range(2):
            local = learner.vision(batch.crops[b, m][None].float() / 255).cls_web
            log_p = (learner.heads.cls(local)[0] / 0.1).log_softmax(dim=-1)
            total = total - (targets[b] * log_p).sum() / 16
    torch.testing.assert_close(values["distill"], total)


def test_no_gradient_reaches_the_teacher_and_all_parts_of_the_learner_learn() -> None:
    config = tiny_config()
    values, learner, teacher = found(config)
    losses.total(values, loss_weights(config, 0)).backward()
    assert teacher is not None
    assert all(p.grad is None for p in teacher.parameters())
    assert [name for name, p in learner.named_parameters() if p.grad is None] == []


def test_targets_carry_no_gradient_into_the_shared_encoder() -> None:
    config = tiny_config(Weights(web=0, caption=0, distill=1))
    values, learner, _ = found(config)
    values["distill"].backward()
    grad = learner.vision.positions.grad
    # The same loss with targets fixed beforehand has the same gradient.
    again, teacher = build(config)
    assert teacher is not None
    batch = batch_of(config)
    pixels = batch.images.float() / 255
    fixed = teacher(pixels, again.vision(pixels), 0.07)
    again._distill(batch, fixed).backward()
    torch.testing.assert_close(grad, again.vision.positions.grad)


def test_a_part_of_the_pictures_can_have_the_self_supervised_losses() -> None:
    config = with_stage(tiny_config(Weights(masked=1)), self_share=0.5)
    batch = batch_of(config)
    assert batch.chosen.tolist() == [1, 3, 5, 7]
    assert batch.mask is not None
    assert batch.mask.shape == (4, 4)
    learner, teacher = build(config)
    assert teacher is not None
    assert learner.heads is not None
    value = learner(batch, loss_weights(config, 0), teacher, 0.07)["masked"]
    pixels = batch.images[1::2].float() / 255
    targets = teacher(pixels, learner.vision(pixels), 0.07).patches
    scores = learner.heads.patch(learner.vision(pixels, mask=batch.mask).patches.flatten(1, 2))
    torch.testing.assert_close(value, losses.masked_patches(scores, targets, 0.1))
