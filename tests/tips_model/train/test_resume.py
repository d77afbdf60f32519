"""Runs that are stopped, killed or damaged, and go on: exactly, or with a sentence."""

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.tips_model.train.pairs import ColourSource, tiny_config, tokenizer, with_stage
from tests.tips_model.train.states import assert_equal, final_state
from tips_model import load as load_model
from tips_model.train.checkpoint import CheckpointError, saved_steps
from tips_model.train.config import ConfigError, Stage, TrainConfig, Weights
from tips_model.train.source import BadItems, DataError, RawBatch
from tips_model.train.train import RunResult, run

TOKENIZER = tokenizer()
ROOT = Path(__file__).parents[3]


def go(config: TrainConfig, out: Path, **options: object) -> RunResult:
    return run(config, ColourSource(), TOKENIZER, out, **options)  # type: ignore[arg-type]


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


@pytest.mark.parametrize("at", [3, 4])
def test_a_killed_run_equals_the_uninterrupted_one(tmp_path: Path, at: int) -> None:
    """Killed at step 3 (its checkpoint is of step 2) and at step 4 (in between of saving and the
    next step), with an evaluation that draws random numbers."""
    command = [sys.executable, "-m", "tests.tips_model.train.killed"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    def train(folder: str, kill: int) -> int:
        words = [*command, str(tmp_path / folder), str(kill)]
        return subprocess.run(words, cwd=ROOT, env=environment, capture_output=True).returncode

    assert train("whole", 0) == 0
    assert train("parts", at) == -signal.SIGKILL
    assert saved_steps(tmp_path / "parts")[-1][0] < 5
    assert train("parts", 0) == 0
    assert_equal(final_state(tmp_path / "whole"), final_state(tmp_path / "parts"))
    whole, parts = (
        [line.get("draw") for line in map(json.loads, log.read_text().splitlines())]
        for log in (tmp_path / "whole" / "log.jsonl", tmp_path / "parts" / "log.jsonl")
    )
    assert whole == parts


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
    with pytest.raises(ConfigError, match="already contains a run: add --resume"):
        go(tiny_config(Weights()), tmp_path)


def test_a_run_that_was_killed_before_its_first_checkpoint_is_a_run_too(tmp_path: Path) -> None:
    config = tiny_config(Weights())

    class Killed(ColourSource):
        def batch(self, stage: Stage, step: int, rank: int, world: int, size: int) -> RawBatch:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(config, Killed(), TOKENIZER, tmp_path)
    assert not saved_steps(tmp_path)
    with pytest.raises(ConfigError, match="already contains a run"):
        go(config, tmp_path)
    with pytest.raises(ConfigError, match="another `seed`"):
        go(replace(config, seed=1), tmp_path, resume=True)
    assert go(config, tmp_path, resume=True).finished


def test_the_folder_of_a_model_is_not_taken_for_a_run(tmp_path: Path) -> None:
    go(tiny_config(Weights()), tmp_path, stop_after=1)
    with pytest.raises(ConfigError, match=r"config\.json is not the configuration of a run"):
        go(tiny_config(Weights()), tmp_path / "model", resume=True)


def test_a_damaged_checkpoint_is_set_aside_for_the_one_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tiny_config(save_every=1, keep=1000)
    go(config, tmp_path / "whole")
    go(config, tmp_path / "parts", stop_after=4)
    newest = saved_steps(tmp_path / "parts")[-1][1]
    newest.write_bytes(newest.read_bytes()[:1000])
    capsys.readouterr()
    assert go(config, tmp_path / "parts", resume=True).finished
    assert "is damaged (RuntimeError) and was set aside; resuming from step 3." in (
        capsys.readouterr().err
    )
    assert newest.with_name(newest.name + ".damaged").exists()
    assert_equal(final_state(tmp_path / "whole"), final_state(tmp_path / "parts"))
    for _, path in saved_steps(tmp_path / "parts"):
        path.write_bytes(b"nonsense")
    with pytest.raises(CheckpointError, match=r"^No checkpoint in .* can be read"):
        go(config, tmp_path / "parts", resume=True)


class Payload:
    """Unpickled freely, it makes a file."""

    def __init__(self, made: Path) -> None:
        self.made = made

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.made,)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_checkpoint_cannot_run_code(tmp_path: Path, zipped: bool) -> None:
    config, made = tiny_config(Weights()), tmp_path / "made"
    go(config, tmp_path / "run", stop_after=1)
    newest = saved_steps(tmp_path / "run")[-1][1]
    state = final_state(tmp_path / "run") | {"bad": Payload(made)}
    torch.save(state, newest, _use_new_zipfile_serialization=zipped)
    torch.load(newest, weights_only=False)
    assert made.exists()  # the payload works where it is let
    made.unlink()
    with pytest.raises(CheckpointError, match=r"^No checkpoint in .* can be read"):
        go(config, tmp_path / "run", resume=True)
    assert not made.exists()


def test_a_checkpoint_of_another_version_is_refused(tmp_path: Path) -> None:
    config = tiny_config(Weights())
    go(config, tmp_path, stop_after=1)
    torch.save(final_state(tmp_path) | {"version": 1}, saved_steps(tmp_path)[-1][1])
    with pytest.raises(CheckpointError, match=r"has format 1, this version reads 2"):
        go(config, tmp_path, resume=True)


def test_a_model_is_left_when_the_kill_came_right_after_the_last_checkpoint(tmp_path: Path) -> None:
    go(tiny_config(Weights()), tmp_path)
    before = load_model(str(tmp_path / "model")).weights_id
    shutil.rmtree(tmp_path / "model")
    assert go(tiny_config(Weights()), tmp_path, resume=True).finished
    assert load_model(str(tmp_path / "model")).weights_id == before


def test_skipped_items_stay_counted_when_a_run_goes_on(tmp_path: Path) -> None:
    class Skipping(ColourSource):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.bad = BadItems(1)
            self.name = name

        def batch(self, stage: Stage, step: int, rank: int, world: int, size: int) -> RawBatch:
            self.bad.add(self.name)
            return super().batch(stage, step, rank, world, size)

    config = tiny_config(Weights(), bad_limit=1)
    run(config, Skipping("a"), TOKENIZER, tmp_path, stop_after=1)
    assert final_state(tmp_path)["bad"] == ["a"]
    with pytest.raises(DataError, match=r"^2 items .* limit of 1"):
        run(config, Skipping("b"), TOKENIZER, tmp_path, resume=True)


def test_another_configuration_is_refused_by_the_fields_name(tmp_path: Path) -> None:
    go(tiny_config(Weights()), tmp_path, stop_after=1)
    with pytest.raises(ConfigError, match="another `seed`"):
        go(tiny_config(Weights(), seed=1), tmp_path, resume=True)
    assert go(tiny_config(Weights(), workers=2, keep=1), tmp_path, resume=True).finished
