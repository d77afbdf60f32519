"""Whole runs with a tiny model: what they learn, and what is left on disk."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.tips_model.train.pairs import ColourSource, tiny_config, tokenizer, with_stage
from tests.tips_model.train.states import assert_equal, final_state
from tips_model import load as load_model
from tips_model.model import TIPS
from tips_model.train import train as training
from tips_model.train.checkpoint import saved_steps
from tips_model.train.config import ConfigError, TrainConfig, Weights
from tips_model.train.loader import assemble
from tips_model.train.metrics import read_log
from tips_model.train.optim import Float32Muon
from tips_model.train.train import (
    NotFiniteError,
    RunResult,
    TooLargeError,
    backward,
    make_trainer,
    run,
    train_step,
)

TOKENIZER = tokenizer()
CPU = torch.device("cpu")


def go(config: TrainConfig, out: Path, **options: object) -> RunResult:
    return run(config, ColourSource(), TOKENIZER, out, **options)  # type: ignore[arg-type]


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
    state = torch.load(path, weights_only=True)
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


def test_a_batch_that_does_not_fit_is_one_sentence(tmp_path: Path) -> None:
    def full(*words: object) -> None:
        raise torch.OutOfMemoryError

    config = tiny_config(Weights())
    trainer, stage = make_trainer(config, CPU), config.stages[0]
    batch = assemble(ColourSource().batch(stage, 0, 0, 1, 8), config, stage, 0, 0, TOKENIZER)
    trainer.called.register_forward_pre_hook(full)
    with pytest.raises(TooLargeError, match=r"^Step 1 does not fit into the memory of cpu: start"):
        train_step(trainer, batch, tmp_path)


def test_a_run_that_stops_before_its_first_line_still_tells_what_it_saw(tmp_path: Path) -> None:
    go(tiny_config(Weights(), log_every=10), tmp_path, stop_after=2)
    assert read_log(tmp_path / "log.jsonl")["web"][0] == [2]
    assert (tmp_path / "curves.png").exists()


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


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
@pytest.mark.filterwarnings("ignore")  # of the compiler, about its own looking at tensors
def test_compiling_changes_no_gradient(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    plain, values = gradients(tiny_config(Weights(), pad_captions=8))
    compiled, same = gradients(tiny_config(Weights(), pad_captions=8, compile=True))
    assert same == pytest.approx(values, rel=1e-4)
    assert plain.keys() == compiled.keys()
    for name, grad in plain.items():
        torch.testing.assert_close(compiled[name], grad, rtol=1e-3, atol=1e-5)


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
    heads = load_file(tmp_path / "teacher" / "heads.safetensors")
    assert not any(name.startswith("heads.patch.") for name in heads)  # the shared head, once
    assert trainer.teacher.heads is not None
    assert trainer.teacher.heads.patch is trainer.teacher.heads.cls
    own = trainer.teacher.heads.cls.prototypes
    assert torch.equal(own, heads["heads.cls.prototypes"])
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


def test_training_computes_in_float32_where_bfloat16_is_slow_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for able in (True, False):
        monkeypatch.setattr(training, "bfloat16_pays", lambda device, able=able: able)
        trainer = make_trainer(tiny_config(precision="bf16"), torch.device("cpu"))
        assert trainer.half is able
        assert isinstance(trainer.optimizers[0], Float32Muon) is not able
        assert ("training uses float32" in capsys.readouterr().err) is not able
