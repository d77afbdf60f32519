"""`tips train` as users call it: exit codes, sentences, what is left in the folder."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest
from PIL import Image

import tips_model
from tests.ui.conftest import tips
from tips_model import load
from tips_model.train import data
from tips_model.train.checkpoint import saved_steps
from tips_model.train.config import Stage
from tips_model.train.dataset import TableSource
from tips_model.train.source import RawBatch
from ui.options import STOPPED


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve pairs in a training table, with the bundled model's tokenizer."""
    folder = tmp_path_factory.mktemp("train")
    lines = ["image,caption,synthetic"]
    for n in range(12):
        Image.new("RGB", (40, 32), (20 * n, 90, 200 - 10 * n)).save(folder / f"{n}.png")
        lines.append(f"{n}.png,a wall {n},one wall of colour {n}")
    (folder / "pairs.csv").write_text("\n".join(lines))
    assert tips("data", "list", folder / "pairs.csv", "-o", folder / "table").exit_code == 0
    bundled = Path(tips_model.__file__).parent / "nano" / "tokenizer.model"
    shutil.copy(bundled, folder / "table")
    return folder / "table"


def test_a_preset_is_trained_on_a_table(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    done = tips("train", "debug", "--data", table, "--out", out)
    assert (done.exit_code, f"The model is in {out / 'model'}" in done.output) == (0, True)
    assert saved_steps(out)[-1][0] == 8
    assert load(str(out / "model")).config.name == "debug"
    assert (out / "curves.png").read_bytes().startswith(b"\x89PNG")
    again = tips("train", "debug", "--data", table, "--out", out)
    assert (again.exit_code, "already contains a run: add --resume" in again.output) == (2, True)
    assert tips("train", "debug", "--data", table, "--out", out, "--resume").exit_code == 0


def test_ctrl_c_saves_and_resuming_ends_with_the_same_weights(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupting(TableSource):
        def batch(self, stage: Stage, step: int, rank: int, world: int, size: int) -> RawBatch:
            if (stage.name, step) == ("names", 2):
                os.kill(os.getpid(), signal.SIGINT)
            return super().batch(stage, step, rank, world, size)

    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert tips("train", "debug", "--data", table, "--out", whole).exit_code == 0
    opened = data.open_data
    with monkeypatch.context() as patch:
        patch.setattr(
            data, "open_data", lambda *words: (Interrupting(table, seed=0), opened(*words)[1])
        )
        stopped = tips("train", "debug", "--data", table, "--out", parts)
    assert stopped.exit_code == STOPPED
    step = saved_steps(parts)[-1][0]
    assert 0 < step < 8
    assert f"Stopped and saved at step {step}; resume with --resume." in stopped.output
    assert tips("train", "debug", "--data", table, "--out", parts, "--resume").exit_code == 0
    assert load(str(parts / "model")).weights_id == load(str(whole / "model")).weights_id


@pytest.mark.parametrize(
    ("preset", "source", "words"),
    [
        ("nosuch", "scenes", "There is no preset 'nosuch'; there are nano, debug, tips_s14"),
        ("debug", "no/such/folder", "There is no training data at no/such/folder"),
        ("distill_nano", "scenes", "has no heads.safetensors"),
        ("distill_b14", "scenes", "run `tips models fetch tipsv2-g14`"),
    ],
)
def test_a_mistake_is_one_sentence_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, preset: str, source: str, words: str
) -> None:
    monkeypatch.setenv("TIPS_CACHE", str(tmp_path / "cache"))
    failed = tips("train", preset, "--data", source, "--out", tmp_path / "out")
    assert failed.exit_code == 2
    assert failed.output.startswith("tips: ")
    assert words in failed.output
    assert failed.output.count("\n") == 1
    assert not (tmp_path / "out").exists()
