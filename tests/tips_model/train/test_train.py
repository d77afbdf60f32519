"""Whole runs with a tiny model: exact resuming, learning, stopping, and what is left on disk."""

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.tips_model.train.pairs import ColourSource, tiny_config, tokenizer, with_stage
from tips_model import load as load_model
from tips_model.model import TIPS
from tips_model.train.checkpoint import saved_steps
from tips_model.train.config import ConfigError, Stage, TrainConfig, Weights
from tips_model.train.loader import assemble
from tips_model.train.metrics import read_log
from tips_model.train.source import RawBatch
from tips_model.train.train import (
    NotFiniteError,
    RunResult,
    backward,
    make_trainer,
    run,
)

TOKENIZER = tokenizer()
CPU = torch.device("cpu")


def go(config: TrainConfig, out: Path, **options: object) -> RunResult:
    return run(config, ColourSource(), TOKENIZER, out, **options)  # type: ignore[arg-type]


def final_state(out: Path) -> dict[str, object]:
    state: dict[str, object] = torch.load(saved_steps(out)[-1][1], weights_only=False)
    return state


def assert_equal(one: object, other: object, where: str = "state") -> None:
    """Bitwise equality of nested states."""
    assert type(one) is type(other), where
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other), where  # type: ignore[arg-type]
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), where  # type: ignore[attr-defined]
        for key in one:
            assert_equal(one[key], other[key], f"{where}.{key}")  # type: ignore[index]
    elif isinstance(one, list | tuple):
        for i, (a, b) in enumerate(zip(one, other, strict=True)):  # type: ignore[call-overload]
            assert_equal(a, b, f"{where}[{i}]")
    elif hasattr(one, "tobytes"):
        assert one.tobytes() == other.tobytes(), where  # type: ignore[attr-defined]
    else:
        assert one == other, where


@pytest.mark.parametrize("teacher", ["head", "ema"])
def test_an_interrupted_and_resumed_run_equals_the_uninterrupted_one(
    tmp_path: Path, teacher: str
) -> None:
    config = tiny_config(precision="bf16")
    config = replace(config, objective=replace(config.objective, teacher=teacher))
    first = config.stages[0]
    # The interruption falls into the second stage's ramp, with a head that had no gradient before.
    config = replace(
        config,
        stages=(
            replace(first, steps=2, weights=Weights()),
            replace(first, name="b", steps=4, ramp=3),
        ),
    )
    go(config, tmp_path / "whole")
    assert not go(config, tmp_path / "parts", stop_after=3).finished
    torch.rand(5)  # what happens in between must not matter
    assert go(config, tmp_path / "parts", resume=True).finished
    assert_equal(final_state(tmp_path / "whole"), final_state(tmp_path / "parts"))


@pytest.mark.parametrize("kind", ["muon", "adamw", "adafactor"])
def test_eight_pairs_are_learnt_by_heart(tmp_path: Path, kind: str) -> None:
    config = with_stage(tiny_config(Weights()), steps=40, crops=0, flip=0.0)
    optimizer = replace(config.optimizer, kind=kind, lr=5e-3, warmup=5, weight_decay=0.0)
    config = replace(config, optimizer=optimizer)
    run(config, ColourSource(fixed=True), TOKENIZER, tmp_path)
    web = read_log(tmp_path / "log.jsonl")["web"][1]
    assert web[0] > 1.9
    assert web[-1] < 0.15


def test_what_a_run_leaves_behind(tmp_path: Path) -> None:
    config = tiny_config(save_every=1, keep=2)
    result = go(config, tmp_path)
    assert result == RunResult(5, True, {})
    assert [step for step, _ in saved_steps(tmp_path)] == [4, 5]
    assert (tmp_path / "curves.png").stat().st_size > 1000
    assert (tmp_path / "heads.safetensors").exists()
    assert {"web", "caption", "distill", "masked", "loss", "grad_norm", "tau", "lr"} <= set(
        read_log(tmp_path / "log.jsonl")
    )
    model = load_model(str(tmp_path / "model"))
    assert model.config == config.model
    assert model.tokenizer is not None
    state = final_state(tmp_path)["parts"]["learner"]  # type: ignore[index]
    assert model.temperature.item() == pytest.approx(state["log_tau"].exp().item())
    assert torch.equal(model.vision.positions, state["vision.positions"])
    assert not list(tmp_path.rglob("*.part"))


def test_the_evaluation_sees_the_saved_model_and_goes_to_the_log(tmp_path: Path) -> None:
    seen = []

    def evaluate(model: TIPS, step: int) -> dict[str, float]:
        seen.append((step, model.training, model.weights_id))
        return {"width": float(model.config.vision.width)}

    result = go(tiny_config(evaluate_every=2), tmp_path, evaluate=evaluate)
    assert [(step, training) for step, training, _ in seen] == [(2, False), (4, False), (5, False)]
    assert seen[-1][2] == load_model(str(tmp_path / "model")).weights_id
    assert result.evaluation == {"width": 32.0}
    assert read_log(tmp_path / "log.jsonl")["eval/width"] == ([2, 4, 5], [32.0] * 3)


def test_a_loss_that_is_not_finite_stops_before_anything_changes(tmp_path: Path) -> None:
    config = tiny_config(Weights(), save_every=1)

    go(config, tmp_path, stop_after=2)
    path = saved_steps(tmp_path)[-1][1]
    state = torch.load(path, weights_only=False)
    state["parts"]["learner"]["log_tau"].fill_(float("nan"))
    torch.save(state, path)
    before = path.read_bytes()
    with pytest.raises(NotFiniteError, match=r"Step 3 is not finite .* the batch is in "):
        go(config, tmp_path, resume=True)
    saved = torch.load(tmp_path / "not_finite_step_3_rank_0.pt")
    expected = assemble(
        ColourSource().batch(config.stages[0], 2, 0, 1, 8),
        config,
        config.stages[0],
        2,
        0,
        TOKENIZER,
    )
    assert saved["images"].equal(expected.images)
    assert [step for step, _ in saved_steps(tmp_path)] == [1, 2]
    assert path.read_bytes() == before


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_saves_and_the_run_can_go_on(tmp_path: Path, kind: signal.Signals) -> None:
    class Interrupting(ColourSource):
        def batch(self, stage: Stage, step: int, rank: int, world: int, size: int) -> RawBatch:
            if step == 2:
                os.kill(os.getpid(), kind)
            return super().batch(stage, step, rank, world, size)

    config = with_stage(tiny_config(Weights()), steps=50)
    before = signal.getsignal(kind)
    result = run(config, Interrupting(), TOKENIZER, tmp_path)
    assert not result.finished
    assert signal.getsignal(kind) is before
    assert saved_steps(tmp_path)[-1][0] == result.step
    assert go(config, tmp_path, resume=True, stop_after=result.step + 1).step == result.step + 1


def test_a_folder_with_a_run_is_not_overwritten(tmp_path: Path) -> None:
    go(tiny_config(Weights()), tmp_path, stop_after=1)
    with pytest.raises(ConfigError, match="already holds a run: add --resume"):
        go(tiny_config(Weights()), tmp_path)


def test_another_configuration_is_refused_by_the_fields_name(tmp_path: Path) -> None:
    go(tiny_config(Weights()), tmp_path, stop_after=1)
    with pytest.raises(ConfigError, match="another `seed`"):
        go(tiny_config(Weights(), seed=1), tmp_path, resume=True)
    assert go(tiny_config(Weights(), workers=2, keep=1), tmp_path, resume=True).finished


def test_a_batch_that_passes_cannot_share_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot share equally"):
        go(with_stage(tiny_config(Weights()), accumulate=3), tmp_path)


def test_a_tokenizer_of_another_model_is_refused(tmp_path: Path) -> None:
    config = tiny_config(Weights())
    model = replace(config.model, text=replace(config.model.text, vocab=100))
    with pytest.raises(ConfigError, match=f"{TOKENIZER.vocab} pieces"):
        go(replace(config, model=model), tmp_path)


def gradients(config: TrainConfig) -> tuple[dict[str, torch.Tensor], dict[str, float]]:
    trainer = make_trainer(config, CPU)
    stage = config.stages[0]
    raw = ColourSource().batch(stage, 0, 0, 1, stage.batch)
    values = backward(trainer, assemble(raw, config, stage, 0, 0, TOKENIZER))
    grads = {n: p.grad for n, p in trainer.learner.named_parameters() if p.grad is not None}
    return grads, values


def test_accumulated_passes_give_the_gradients_of_one() -> None:
    # Without the contrastive losses, whose negatives are those of a pass.
    config = tiny_config(Weights(web=0, caption=0, distill=1, masked=2))
    once, values = gradients(config)
    twice, again = gradients(with_stage(config, accumulate=2))
    assert values == pytest.approx(again, rel=1e-5)
    for name, grad in once.items():
        torch.testing.assert_close(twice[name], grad, rtol=1e-4, atol=1e-5)


def test_activation_checkpointing_changes_no_gradient() -> None:
    plain, _ = gradients(tiny_config())
    recomputed, _ = gradients(tiny_config(checkpoint_blocks=True))
    assert_equal(plain, recomputed)


def test_a_student_learns_from_the_heads_of_an_earlier_run(tmp_path: Path) -> None:
    config = tiny_config()
    go(config, tmp_path / "teacher")
    objective = replace(
        config.objective,
        teacher="frozen",
        teacher_model=str(tmp_path / "teacher"),
        mask_ratio=0.0,
    )
    student = replace(config, objective=objective)
    trainer = make_trainer(student, CPU)
    assert trainer.teacher is not None
    wanted = load_model(str(tmp_path / "teacher" / "model")).vision.positions
    assert trainer.teacher.vision is not None
    assert torch.equal(trainer.teacher.vision.positions, wanted)
    assert not torch.equal(trainer.learner.vision.positions, wanted)
    student = with_stage(student, steps=30)
    go(replace(student, optimizer=replace(student.optimizer, lr=5e-3)), tmp_path / "student")
    after = final_state(tmp_path / "student")["parts"]["teacher"]  # type: ignore[index]
    assert set(after) == {"centre_cls", "centre_patch"}  # its weights have a file of their own
    masked = read_log(tmp_path / "student" / "log.jsonl")["masked"][1]
    assert sum(masked[-5:]) < 0.8 * sum(masked[2:7])


def test_a_student_learns_from_plain_features_of_a_model_without_heads(tmp_path: Path) -> None:
    config = tiny_config()
    go(config, tmp_path / "teacher", stop_after=1)
    changes = {
        "teacher": "frozen",
        "teacher_model": str(tmp_path / "teacher" / "model"),
        "mask_ratio": 0.0,
    }
    bare = replace(config.objective, **changes)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"no heads\.safetensors"):
        make_trainer(replace(config, objective=bare), CPU)
    student = replace(config, objective=replace(bare, targets="features"))
    student = with_stage(student, steps=30)
    go(replace(student, optimizer=replace(student.optimizer, lr=5e-3)), tmp_path / "student")
    masked = read_log(tmp_path / "student" / "log.jsonl")["masked"][1]
    assert masked[-1] < 0.6 * masked[0]


def test_training_can_start_from_a_model(tmp_path: Path) -> None:
    config = tiny_config(Weights())
    go(config, tmp_path)
    trainer = make_trainer(replace(config, init=str(tmp_path / "model"), seed=9), CPU)
    wanted = load_model(str(tmp_path / "model")).vision.positions
    assert torch.equal(trainer.learner.vision.positions, wanted)


def test_the_log_is_json_with_every_step(tmp_path: Path) -> None:
    go(tiny_config(Weights()), tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5]
    assert lines[0]["tau"] == pytest.approx(0.07, rel=0.01)
