"""The ablation: its runs can be run and differ in one thing each, and its statistics are right."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.tips_model.train.pairs import COLOURS, tokenizer
from tests.tips_model.train.test_labelled import table
from tips_model.eval.coco import EvalDataError
from tips_model.registry import TOKENIZER_FILE
from tips_model.train.config import TrainConfig, Weights
from tips_model.train.folder import check_world
from tips_model.train.names import OBJECTS
from tips_model.train.source import DataError

BENCH = Path(__file__).parents[1] / "bench"


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`bench/ablation_runs.py`, a script's own module."""
    monkeypatch.syspath_prepend(BENCH)
    return import_module("ablation_runs")


@pytest.fixture
def told(runs: Any) -> Any:
    """`bench/ablation_report.py`."""
    return import_module("ablation_report")


@pytest.fixture
def ablation(runs: Any) -> Any:
    """`bench/ablation.py`."""
    return import_module("ablation")


def everyone(runs: Any) -> list[str]:
    return ["names", *runs.NAMES.values(), *runs.RUNS]


def test_every_run_can_be_run_and_has_the_same_steps_and_pictures(runs: Any) -> None:
    assert set(runs.ORDER) == set(runs.RUNS)
    waiting = list(everyone(runs)[: 1 + len(runs.NAMES)]) + list(runs.ORDER)
    for name in everyone(runs):
        config: TrainConfig = runs.config(name, 1, Path("out"))
        check_world(config, 1)
        assert (config.seed, {stage.batch for stage in config.stages}) == (1, {runs.BATCH})
        steps = config.steps
        if config.init:
            start = Path(config.init).parent.name.removesuffix("-1")
            begun: TrainConfig = runs.config(start, 1, Path("out"))
            assert runs.needs(name) == (start,)
            assert begun.objective.dual_cls == config.objective.dual_cls
            steps += begun.steps
        if name in runs.RUNS:
            assert steps == runs.NAMES_STEPS + runs.REST_STEPS
        for other in runs.needs(name):
            assert waiting.index(other) < waiting.index(name), (
                f"{name} is started before the {other} that it waits for"
            )


def test_names_are_learnt_from_the_captions_that_follow(runs: Any) -> None:
    for name in runs.RUNS:
        config = runs.config(name, 0, Path("out"))
        if config.init:
            start = runs.config(Path(config.init).parent.name.removesuffix("-0"), 0, Path("out"))
            weights, later = start.stages[0].weights, config.stages[-1].weights
            assert (weights.web, weights.caption) == (later.web, later.caption)
            assert weights == Weights(web=weights.web, caption=weights.caption)


CHANGES = {
    ("clip", "one_cls"): {"dual_cls", "web", "caption"},
    ("one_cls", "dual_cls"): {"dual_cls"},
    ("dual_cls", "distill"): {"teacher", "patch_loss", "momentum", "distill"},
    ("distill", "ibot"): {"masked"},
    ("ibot", "ibot_pp"): {"patch_loss"},
    ("ibot_pp", "head_ema"): {"teacher"},
    ("head_ema", "student"): {"teacher", "teacher_model", "mask_ratio"},
    ("dual_cls", "places"): {"regions", "pointing"},
    ("head_ema", "v2_places"): {"regions", "pointing"},
}
"""What a step of the report changes; a patch loss and momentum without a use count as changes."""


def test_a_step_changes_what_it_says(runs: Any) -> None:
    assert set(runs.STEPS) == set(CHANGES)
    for before, after in runs.STEPS:
        old, new = (runs.config(name, 0, Path("out")) for name in (before, after))
        pairs = [(asdict(old.objective), asdict(new.objective))]
        pairs.append((asdict(old.stages[-1].weights), asdict(new.stages[-1].weights)))
        changed = {key for a, b in pairs for key in a if a[key] != b[key]}
        assert changed == CHANGES[before, after]
        same = {"weights": old.stages[-1].weights, "ramp": 0}
        assert replace(old.stages[-1], **same) == replace(new.stages[-1], **same)


def photographs(folder: Path, size: float = 0.5) -> Path:
    """Twelve pictures with captions and a box that covers `size` of their width, three a colour."""
    (folder / "images").mkdir(parents=True)
    names = list(COLOURS)[:4]
    images, things, captions = [], [], []
    for number in range(12):
        name = names[number % len(names)]
        image = Image.new("RGB", (112, 112), "grey")
        box = (0, 0, round(112 * size), 112 * 3 // 5)
        image.paste(COLOURS[name], box)
        image.save(folder / "images" / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "width": 112, "height": 112})
        things.append({"image_id": number, "category_id": names.index(name), "bbox": box})
        captions.append({"image_id": number, "caption": f"{name} wall"})
    categories = [{"id": number, "name": name} for number, name in enumerate(names)]
    instances = {"images": images, "annotations": things, "categories": categories}
    (folder / "instances.json").write_text(json.dumps(instances))
    (folder / "captions.json").write_text(json.dumps({"images": images, "annotations": captions}))
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = table(tmp_path / "table")
    (folder / TOKENIZER_FILE).write_bytes(tokenizer().model_bytes)
    return folder


def test_all_runs_train_and_are_reported_and_not_repeated(
    runs: Any, told: Any, ablation: Any, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for steps in ("NAMES_STEPS", "REST_STEPS"):
        monkeypatch.setattr(runs, steps, 2)
    monkeypatch.setattr(runs, "BATCH", 4)
    pictures, out = photographs(tmp_path / "pictures"), tmp_path / "out"
    for name in ("names", *runs.NAMES.values(), *runs.ORDER):
        ablation.one(name, 0, data, pictures, out)
    found = told.results(out)
    assert set(found) == set(runs.RUNS)
    figures = found["v2_places"][0]
    assert figures["values pointing chance"] == pytest.approx(0.5 * 67 / 112)
    assert figures["values pointing middle"] == 1
    assert figures["values search chance P@1"] == pytest.approx(3 / 12)
    assert all(0 <= value <= 1 for own in found.values() for value in own[0].values())
    assert len(told.means(found).splitlines()) == 2 + len(runs.RUNS)
    ablation.everything(data, pictures, out, 1, 1)
    logs = list(out.glob("*.log"))
    assert len(logs) == len(everyone(runs))
    assert not any(log.stat().st_size for log in logs), "a finished run was started again"
    with pytest.raises(DataError, match="holds runs on other data"):
        ablation.everything(data, photographs(tmp_path / "others"), out, 1, 1)


def test_what_lacks_boxes_or_small_ones_is_named_before_anything_is_trained(
    ablation: Any, data: Path, tmp_path: Path
) -> None:
    with pytest.raises(EvalDataError, match="boxes below 40 %"):
        ablation.check(data, photographs(tmp_path / "large", size=0.9))
    (data / OBJECTS).unlink()
    with pytest.raises(DataError, match="has no boxes"):
        ablation.check(data, photographs(tmp_path / "pictures"))


def write(out: Path, told: Any, name: str, *values: float | None) -> None:
    """A made-up result of `name` for each seed that has a value: the value in T→I R@1, 0.5 in all
    other figures."""
    for seed, value in enumerate(values):
        if value is None:
            continue
        keys = [key for _, key in (*told.COLUMNS, *told.REFERENCES)]
        figures = dict.fromkeys(keys, 0.5) | {told.COLUMNS[0][1]: value}
        folder = out / f"{name}-{seed}"
        folder.mkdir(parents=True)
        (folder / "result.json").write_text(json.dumps(figures))


def rows(text: str) -> list[list[str]]:
    """The cells of a table in Markdown, without its head."""
    return [line.strip("| ").split(" | ") for line in text.splitlines()[2:]]


def test_means_and_deviations_are_those_of_the_seeds(told: Any, tmp_path: Path) -> None:
    write(tmp_path, told, "clip", 0.1, 0.2, 0.3)
    write(tmp_path, told, "places", 0.4, None, 0.6)
    write(tmp_path, told, "v2_places", 0.25)
    (tmp_path / "ibot-0").mkdir()  # not finished
    found = {own[0]: own[1:] for own in rows(told.means(told.results(tmp_path)))}
    assert {name: (own[0], own[1]) for name, own in found.items()} == {
        "web captions only (CLIP)": ("3", "20.0 ± 10.0"),
        "dual CLS + names on places": ("2", "50.0 ± 14.1"),
        "v2 + names on places": ("1", "25.0"),
    }
    assert found["web captions only (CLIP)"][2:] == ["50.0 ± 0.0"] * (len(told.COLUMNS) - 1)


def test_differences_are_seed_by_seed_and_bold_where_all_agree(told: Any, tmp_path: Path) -> None:
    write(tmp_path, told, "clip", 0.1, 0.2, 0.3)
    write(tmp_path, told, "one_cls", 0.15, 0.26, 0.34)
    write(tmp_path, told, "dual_cls", 0.16, 0.25, 0.36)
    write(tmp_path, told, "distill", 0.14, None, 0.35)
    write(tmp_path, told, "head_ema", 0.5)
    write(tmp_path, told, "v2_places", 0.6)
    found = rows(told.differences(told.results(tmp_path)))
    assert {own[1]: (own[2], own[3]) for own in found} == {
        "+ synthetic captions, one CLS": ("3", "**+4.0 to +6.0**"),
        "dual CLS": ("3", "-1.0 to +2.0"),
        "+ self-distillation": ("2", "**-2.0 to -1.0**"),
        "v2 + names on places": ("1", "+10.0"),
    }
    text = told.report(told.results(tmp_path))
    assert "chance for name P@1 50.0" in text
    assert "always at the middle of the picture 50.0" in text


def test_a_folder_without_results_is_named(told: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no finished run"):
        told.results(tmp_path)
