from dataclasses import replace

import pytest

from tests.tips_model.train.pairs import tiny_config, with_stage
from tips_model.train.config import ConfigError, Objective, Weights
from tips_model.train.presets import PRESETS, preset
from tips_model.train.schedules import teacher_temperature


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"resolution": 15}, "resolution 15, not a multiple of the patch 8"),
        ({"crop_resolution": 9}, "crop resolution 9"),
        ({"crops": 0}, "no local crops"),
        ({"steps": 0}, "at least 1"),
        ({"self_share": 0.0}, "self_share"),
        ({"global_scale": (0.5, 0.4)}, r"`global_scale` \(0.5, 0.4\), it must rise"),
        ({"crop_scale": (0.0, 0.4)}, "`crop_scale`"),
        ({"weights": Weights(masked=-1)}, "weight -1 on `masked`, below 0"),
        ({"weights": Weights(web=0, caption=0)}, "no loss"),
    ],
)
def test_a_stage_that_cannot_be_run_is_refused(change: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        with_stage(tiny_config(), **change)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"teacher": "none"}, "no teacher"),
        ({"teacher": "frozen"}, "needs `teacher_model`"),
        ({"targets": "features"}, "frozen teacher only"),
        ({"mask_ratio": 1.0}, "must be in"),
        ({"teacher_temperature": (0.04, 0.07)}, "changes needs `temperature_steps`"),
        ({"mask_ratio": 0.0, "patch_loss": "masked"}, "above 0"),
    ],
)
def test_an_objective_that_cannot_be_run_is_refused(change: dict[str, object], words: str) -> None:
    config = tiny_config()
    with pytest.raises(ConfigError, match=words):
        replace(config, objective=replace(config.objective, **change))  # type: ignore[arg-type]


def test_adafactor_is_refused_where_weights_are_sharded() -> None:
    config = tiny_config()
    adafactor = replace(config, optimizer=replace(config.optimizer, kind="adafactor"))
    with pytest.raises(ConfigError, match=r"Adafactor cannot .* take `kind='adamw'`"):
        replace(adafactor, parallel="fsdp")


@pytest.mark.parametrize("field", ["save_every", "log_every", "workers", "keep"])
def test_counts_that_cannot_be_are_refused(field: str) -> None:
    with pytest.raises(ConfigError, match=f"`{field}` is 0, it must be at least 1"):
        tiny_config(**{field: 0})


def test_the_teachers_temperature_rises_in_the_large_presets() -> None:
    objective = preset("tipsv2_g14").objective
    found = [teacher_temperature(objective, step) for step in (0, 15_000, 30_000, 90_000)]
    assert found == pytest.approx([0.04, 0.055, 0.07, 0.07])


def test_at_maps_global_steps_to_stages() -> None:
    first = tiny_config().stages[0]
    config = tiny_config(stages=(first, replace(first, name="b", steps=3)))
    assert [config.at(step) for step in (0, 4, 5, 7, 8)] == [(0, 0), (0, 4), (1, 0), (1, 2), (1, 3)]
    assert config.steps == 8


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_a_valid_run_of_its_name(name: str) -> None:
    assert preset(name).name == name


def test_an_unknown_preset_is_one_sentence_with_the_names() -> None:
    with pytest.raises(ConfigError, match=r"There is no preset 'nanoo'; there are nano, debug"):
        preset("nanoo")


def test_v1_v2_and_distillation_differ_in_named_fields_only() -> None:
    v1, v2, student = preset("tips_b14"), preset("tipsv2_b14"), preset("distill_b14")
    assert (v1.objective.teacher, v1.objective.patch_loss) == ("ema", "masked")
    assert (v2.objective.teacher, v2.objective.patch_loss) == ("head", "all")
    assert (
        replace(v1.objective, teacher="head", patch_loss="all", momentum=v2.objective.momentum)
        == v2.objective
    )
    assert (
        replace(
            student.objective,
            teacher="head",
            teacher_model="",
            targets="prototypes",
            mask_ratio=0.75,
        )
        == v2.objective
    )


def test_the_papers_stages() -> None:
    low, high = preset("tipsv2_g14").stages
    assert (low.resolution, low.crops, low.crop_resolution) == (224, 6, 98)
    assert (low.batch, low.steps) == (8192, 90_000)
    assert (high.resolution, high.crops, high.crop_resolution) == (448, 6, 140)
    assert (high.batch, high.steps) == (4096, 9_000)
    assert low.weights == Weights(web=0.5, caption=0.5, distill=1.0, masked=2.0)
    assert isinstance(preset("tipsv2_g14").objective, Objective)
