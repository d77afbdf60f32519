"""Two gloo processes against one: the same gradients, and runs that can be interrupted."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.tips_model.train.states import final_state
from tests.tips_model.train.two_processes import configurations, runs, step, write_broken
from tips_model import load
from tips_model.train import distributed
from tips_model.train.checkpoint import saved_steps
from tips_model.train.metrics import read_log

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which two processes left what they computed."""
    out = tmp_path_factory.mktemp("two")
    (out / "broken.json").write_text(json.dumps(write_broken(out / "table")))
    command = [
        sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2",
        "--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0", "--local-addr", "localhost",
        "-m", "tests.tips_model.train.two_processes", str(out),
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return out


@pytest.mark.parametrize("name", list(configurations()))
def test_two_processes_have_the_gradients_and_losses_of_one(two: Path, name: str) -> None:
    theirs = torch.load(two / "gradients.pt", weights_only=True)[name]
    ours = step(configurations()[name], torch.device("cpu"))
    assert theirs["values"] == pytest.approx(ours["values"], rel=1e-5)
    assert theirs["grads"].keys() == ours["grads"].keys()  # type: ignore[attr-defined]
    for key, grad in ours["grads"].items():  # type: ignore[attr-defined]
        scale = grad.abs().max().item()
        torch.testing.assert_close(theirs["grads"][key], grad, rtol=1e-4, atol=1e-5 * scale + 1e-8)


@pytest.mark.parametrize("name", list(runs()))
def test_an_interrupted_run_of_two_processes_ends_with_the_same_weights(
    two: Path, name: str
) -> None:
    whole, resumed = (
        torch.load(saved_steps(two / folder)[-1][1], weights_only=True)
        for folder in (name, f"{name}-resumed")
    )
    for part in ("learner", "teacher"):
        for key, value in whole["parts"][part].items():
            torch.testing.assert_close(resumed["parts"][part][key], value, rtol=0, atol=0)
    for one, other in zip(whole["optimizers"], resumed["optimizers"], strict=True):
        for index, values in one["state"].items():
            for key, value in values.items():
                torch.testing.assert_close(other["state"][index][key], value, rtol=0, atol=0)
    assert len(whole["random"]) == 2
    assert load(str(two / name / "model")).config.name == "tiny"


@pytest.mark.parametrize("name", ["log", "save"])
def test_what_both_processes_skipped_stops_both_with_the_sum(two: Path, name: str) -> None:
    """Each skipped two of at most three items; at step 2 they tell each other and stop."""
    skipped = json.loads((two / "broken.json").read_text())
    ranks = [json.loads((two / f"limited-{name}-{rank}.json").read_text()) for rank in (0, 1)]
    assert [len(rank["own"]) for rank in ranks] == [2, 2]
    assert sorted(ranks[0]["own"] + ranks[1]["own"]) == skipped
    assert ranks[0]["told"] == ranks[1]["told"]
    assert ranks[0]["told"].startswith(f"4 items of {two / 'table'} cannot be read, more than the")
    assert "limit of 3, one of them k" in ranks[0]["told"]
    steps, _ = read_log(two / f"limited-{name}" / "log.jsonl").get("loss", ([], []))
    assert steps == ([2] if name == "log" else [])
    assert saved_steps(two / f"limited-{name}") == []


def test_within_the_limit_the_items_of_both_processes_are_saved(two: Path) -> None:
    skipped = json.loads((two / "broken.json").read_text())
    assert final_state(two / "limited-within")["bad"] == skipped
    assert saved_steps(two / "limited-within")[-1][0] == 5


def test_a_ctrl_c_of_one_process_stops_both_at_the_same_step_and_saves(two: Path) -> None:
    first, second = (json.loads((two / f"interrupted-{rank}.json").read_text()) for rank in (0, 1))
    assert first == second < 50
    assert saved_steps(two / "interrupted")[-1][0] == first


def test_one_process_is_the_plain_case() -> None:
    value = torch.arange(3.0, requires_grad=True)
    assert (distributed.rank(), distributed.world()) == (0, 1)
    assert distributed.gather_with_grad(value) is value
    assert distributed.all_mean(value) is value
    assert distributed.gather_objects("x") == ["x"]
    assert distributed.any_process(True, torch.device("cpu"))
