"""What is checked between the words of a command line and the first step."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.tips_model.train.pairs import tiny_config, tokenizer
from tips_model.config import VARIANTS
from tips_model.eval import scenes as scene_evaluation_module
from tips_model.model import TIPS
from tips_model.train import data
from tips_model.train.config import ConfigError, TrainConfig
from tips_model.train.dataset import TableSource, write_table
from tips_model.train.folder import claim_folder
from tips_model.train.source import DataError

PAPERS = (replace(tiny_config().stages[0], resolution=28, crop_resolution=14),)
"""A stage for models with patches of 14 pixels."""


@pytest.fixture(autouse=True)
def no_fetched_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tips_model.registry.cache_folder", lambda: tmp_path / "cache")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    folder = tmp_path / "table"
    write_table(folder, [])
    return folder


def test_an_empty_folder_is_told_before_its_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no training table"):
        data.open_data(str(tmp_path), tiny_config())


def test_a_table_without_tokenizer_says_which_one_is_needed(table: Path) -> None:
    with pytest.raises(ConfigError, match=r"at most 1024 pieces .* `tips scenes table` writes"):
        data.open_data(str(table), tiny_config())
    large = replace(tiny_config(), model=VARIANTS["tips-b14-hr"], stages=PAPERS)
    with pytest.raises(
        ConfigError, match=r"at most 32000 .* `tips models fetch tipsv2-b14` brings"
    ):
        data.open_data(str(table), large)


def test_a_tokenizer_that_does_not_fit_is_told_before_the_table_is_opened(
    table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (table / "tokenizer.model").write_bytes(tokenizer().model_bytes)
    config = tiny_config()
    small = replace(config.model, text=replace(config.model.text, vocab=100))
    monkeypatch.setattr(TableSource, "__init__", _never)
    with pytest.raises(ConfigError, match="the model of preset"):
        data.open_data(str(table), replace(config, model=small))


@pytest.mark.parametrize(
    ("change", "world", "resume", "words"),
    [
        ({}, "1", False, "already contains a run"),
        ({"seed": 1}, "1", True, "another `seed`"),
        ({}, "3", True, "3 processes .* cannot share"),
        ({"teacher": "runs/none"}, "1", True, r"has no heads\.safetensors"),
        ({"teacher": "tips-l14-hr"}, "1", True, "run `tips models fetch tips-l14-hr`"),
    ],
)
def test_nothing_is_opened_when_the_folder_or_the_preset_does_not_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    change: dict[str, object], world: str, resume: bool, words: str,
) -> None:  # fmt: skip
    config = tiny_config()
    claim_folder(config, tmp_path)
    wanted = replace(config, **{k: v for k, v in change.items() if k != "teacher"})  # type: ignore[arg-type]
    if "teacher" in change:
        frozen = {"teacher": "frozen", "teacher_model": change["teacher"], "mask_ratio": 0.0}
        if "/" not in str(change["teacher"]):
            frozen["targets"] = "features"
        wanted = replace(wanted, objective=replace(wanted.objective, **frozen))  # type: ignore[arg-type]
    monkeypatch.setattr(data, "preset", lambda name: wanted)
    monkeypatch.setattr(data, "open_data", _never)
    monkeypatch.setattr(data, "share_cores", lambda: None)
    monkeypatch.setenv("WORLD_SIZE", world)
    with pytest.raises(ConfigError, match=words):
        data.train_preset("tiny", "scenes", tmp_path, resume=resume)


def test_scenes_are_evaluated_in_whole_patches_and_drawn_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[dict[str, int]] = []

    class Evaluator:
        def __init__(self, **sizes: int) -> None:
            made.append(sizes)

        def __call__(self, model: TIPS) -> dict[str, float]:
            return {"name": 1.0}

    monkeypatch.setattr(scene_evaluation_module, "SceneEvaluator", Evaluator)
    config = tiny_config(evaluate_scenes=7, model=VARIANTS["tips-b14-hr"], stages=PAPERS)
    evaluate = data.scene_evaluation(config)
    assert made == []
    with torch.device("meta"):
        model = TIPS(tiny_config().model)
    assert evaluate(model, 1) == evaluate(model, 2) == {"name": 1.0}
    assert made == [{"single": 7, "many": 7, "single_size": 70, "size": 98}]


def test_scenes_are_evaluated_at_the_end_without_being_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, object] = {}

    def run(config: TrainConfig, *rest: object, **options: object) -> None:
        seen.update(options)

    monkeypatch.setattr(data, "preset", lambda name: tiny_config())
    monkeypatch.setattr(data, "open_data", lambda *words: (None, None))
    monkeypatch.setattr(data, "run", run)
    data.train_preset("tiny", "scenes", tmp_path)
    assert seen["evaluate"] is not None
    data.train_preset("tiny", str(tmp_path), tmp_path)
    assert seen["evaluate"] is None


def _never(*words: object, **options: object) -> None:
    raise AssertionError("nothing may be opened")
