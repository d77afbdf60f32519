from dataclasses import replace

import pytest

from tests.tips_model.train.pairs import FULL, tiny_config
from tips_model.train.config import Objective, Optimizer, Stage, Weights
from tips_model.train.schedules import (
    cosine,
    loss_weights,
    lr_factor,
    teacher_momentum,
    teacher_temperature,
)

STAGE = Stage(name="a", steps=10, batch=8, resolution=16, weights=Weights())


def test_cosine_has_its_ends_and_its_middle() -> None:
    assert [cosine(1, 0, f) for f in (0, 0.5, 1, 2)] == pytest.approx([1, 0.5, 0, 0])


def test_rate_warms_up_then_falls_to_the_end_over_all_stages() -> None:
    config = tiny_config(
        stages=(STAGE, replace(STAGE, name="b")), optimizer=Optimizer(warmup=4, final=0.1)
    )
    factors = [lr_factor(config, step) for step in range(21)]
    assert factors[:5] == pytest.approx([0.25, 0.5, 0.75, 1, 1])
    assert factors[12] == pytest.approx(0.55)
    assert factors[20] == pytest.approx(0.1)
    assert factors[4:] == sorted(factors[4:], reverse=True)


def test_a_stage_can_restart_the_schedule_with_its_own_factor() -> None:
    config = tiny_config(
        stages=(STAGE, replace(STAGE, name="b", restart=True, lr=0.1)),
        optimizer=Optimizer(warmup=2),
    )
    assert lr_factor(config, 9) < 0.05
    assert lr_factor(config, 10) == pytest.approx(0.05)
    assert lr_factor(config, 12) == pytest.approx(0.1)


def test_weights_ramp_from_the_stage_before() -> None:
    stages = (
        STAGE,
        replace(
            STAGE, name="b", ramp=4, crops=1, crop_resolution=8, weights=replace(FULL, web=1.0)
        ),
    )
    config = tiny_config(stages=stages)
    assert loss_weights(config, 9) == {"web": 0.5, "caption": 0.5, "distill": 0, "masked": 0}
    assert loss_weights(config, 10) == loss_weights(config, 9)
    assert loss_weights(config, 12) == {"web": 0.75, "caption": 0.5, "distill": 0.5, "masked": 1}
    assert loss_weights(config, 14) == {"web": 1, "caption": 0.5, "distill": 1, "masked": 2}


def test_a_ramp_of_the_first_stage_starts_with_the_contrastive_losses() -> None:
    config = tiny_config(stages=(replace(tiny_config().stages[0], ramp=2),))
    assert loss_weights(config, 0) == {"web": 0.5, "caption": 0.5, "distill": 0, "masked": 0}
    assert loss_weights(config, 1)["masked"] == 1


def test_teacher_momentum_goes_between_its_ends() -> None:
    objective = Objective(momentum=(0.9, 0.99))
    assert teacher_momentum(objective, 0, 10) == pytest.approx(0.9)
    assert teacher_momentum(objective, 5, 10) == pytest.approx(0.945)
    assert teacher_momentum(objective, 10, 10) == pytest.approx(0.99)


def test_teacher_temperature_warms_up_linearly() -> None:
    objective = Objective(teacher_temperature=(0.04, 0.08), temperature_steps=4)
    assert [teacher_temperature(objective, s) for s in (0, 2, 4, 9)] == pytest.approx(
        [0.04, 0.06, 0.08, 0.08]
    )
    assert teacher_temperature(replace(objective, temperature_steps=0), 0) == 0.08


def test_a_stage_may_keep_its_rate_and_the_next_one_end_at_nothing() -> None:
    base = tiny_config(Weights()).stages[0]
    steady = replace(base, name="steady", steps=20, final=1.0, warmup=4)
    end = replace(base, name="end", steps=10, restart=True, warmup=0, final=None)
    config = tiny_config(Weights(), stages=(steady, end))
    assert [lr_factor(config, step) for step in range(4)] == [0.25, 0.5, 0.75, 1.0]
    assert {lr_factor(config, step) for step in range(4, 20)} == {1.0}
    assert lr_factor(config, 20) == 1.0
    assert lr_factor(config, 25) == pytest.approx(0.5)
    assert lr_factor(config, 29) < 0.03


def test_losses_beyond_the_papers_are_named_where_they_have_a_weight() -> None:
    stage = tiny_config(Weights()).stages[0]
    config = tiny_config(Weights(), stages=(replace(stage, weights=Weights(regions=0.5)),))
    assert loss_weights(config, 0) == {
        "web": 0.5, "caption": 0.5, "distill": 0.0, "masked": 0.0, "regions": 0.5
    }  # fmt: skip
