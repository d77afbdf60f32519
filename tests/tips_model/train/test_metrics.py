import json
from pathlib import Path

import pytest

from tips_model.train.metrics import Metrics, draw_curves, read_log


def test_values_are_averaged_over_the_interval_and_the_last_step_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Metrics(tmp_path, every=2, steps=3, start=0) as metrics:
        for step, loss in ((1, 4.0), (2, 2.0), (3, 1.0)):
            metrics.add(step, {"loss": loss}, images=8, waited=0.0)
        metrics.write(3, {"eval/recall": 0.5})
    curves = read_log(tmp_path / "log.jsonl")
    assert curves["loss"] == ([2, 3], [3.0, 1.0])
    assert curves["eval/recall"] == ([3], [0.5])
    assert curves["wait"][1] == [0.0, 0.0]
    assert "step 2/3  loss 3 " in capsys.readouterr().err
    assert list((tmp_path / "tensorboard").iterdir())


def test_resuming_drops_the_lines_that_will_be_written_again(tmp_path: Path) -> None:
    lines = [json.dumps({"step": step, "loss": 1.0}) for step in (10, 20, 30)]
    (tmp_path / "log.jsonl").write_text("\n".join(lines) + "\n")
    with Metrics(tmp_path, every=10, steps=30, start=20):
        pass
    assert read_log(tmp_path / "log.jsonl")["loss"][0] == [10, 20]


def test_a_line_that_was_torn_by_a_kill_is_dropped(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text('{"step": 10, "loss": 1.0}\n{"step": 20, "lo')
    assert read_log(log)["loss"] == ([10], [1.0])
    with Metrics(tmp_path, every=10, steps=30, start=20) as metrics:
        metrics.write(20, {"loss": 2.0})
    assert log.read_text().count("\n") == 2
    assert read_log(log)["loss"] == ([10, 20], [1.0, 2.0])


def test_what_was_added_since_the_last_line_is_written_at_a_stop(tmp_path: Path) -> None:
    with Metrics(tmp_path, every=10, steps=30, start=0) as metrics:
        metrics.add(1, {"loss": 4.0}, images=8, waited=0.0)
        metrics.add(2, {"loss": 2.0}, images=8, waited=0.0)
        metrics.flush(2)
        metrics.flush(2)
    assert read_log(tmp_path / "log.jsonl")["loss"] == ([2], [3.0])


def test_curves_are_a_picture(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text('{"step": 1, "a": 1.0, "b": 2.0}\n{"step": 2, "a": 0.5}\n')
    assert draw_curves(tmp_path).read_bytes().startswith(b"\x89PNG")


def test_without_a_folder_nothing_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    with Metrics(None, every=1, steps=1, start=0) as metrics:
        metrics.add(1, {"loss": 1.0}, images=1, waited=0.0)
    assert capsys.readouterr().err == ""
