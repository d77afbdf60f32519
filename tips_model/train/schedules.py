"""Schedules: pure functions of the step for learning rate, loss weights and teacher."""

from __future__ import annotations

import math
from dataclasses import replace

from tips_model.train.config import LOSSES, PAPERS_LOSSES, Objective, TrainConfig


def cosine(start: float, end: float, fraction: float) -> float:
    """Half a cosine from `start` at fraction 0 to `end` at 1."""
    return end + (start - end) * (1 + math.cos(math.pi * min(max(fraction, 0.0), 1.0))) / 2


def lr_factor(config: TrainConfig, step: int) -> float:
    """Factor on all peak learning rates at `step`: linear warm-up, cosine, the stage's factor.

    A schedule spans the stages from one that restarts it (or the first) to the next such stage.
    """
    current, _ = config.at(step)
    starts = [i for i, stage in enumerate(config.stages) if i == 0 or stage.restart]
    first = max(i for i in starts if i <= current)
    last = min([i for i in starts if i > current], default=len(config.stages))
    begin = sum(stage.steps for stage in config.stages[:first])
    length = sum(stage.steps for stage in config.stages[first:last])
    warmup, final = config.stages[first].warmup, config.stages[last - 1].final
    factor = _warm_cosine(
        step - begin,
        length,
        config.optimizer.warmup if warmup is None else warmup,
        config.optimizer.final if final is None else final,
    )
    return config.stages[current].lr * factor


def _warm_cosine(step: int, length: int, warmup: int, final: float) -> float:
    warmup = min(warmup, length)
    if step < warmup:
        return (step + 1) / warmup
    return cosine(1.0, final, (step - warmup) / max(1, length - warmup))


def loss_weights(config: TrainConfig, step: int) -> dict[str, float]:
    """Weights at `step` of the papers' losses and of others with a weight; a stage's ramp
    interpolates from the previous stage's weights."""
    index, within = config.at(step)
    stage = config.stages[index]
    new = stage.weights
    old = config.stages[index - 1].weights if index else replace(new, distill=0.0, masked=0.0)
    part = min(1.0, within / stage.ramp) if stage.ramp else 1.0
    return {
        name: getattr(old, name) * (1 - part) + getattr(new, name) * part
        for name in LOSSES
        if name in PAPERS_LOSSES or getattr(old, name) or getattr(new, name)
    }


def teacher_momentum(objective: Objective, step: int, steps: int) -> float:
    """EMA momentum of the teacher at `step` of `steps`, cosine between its two ends."""
    return cosine(*objective.momentum, step / max(1, steps))


def teacher_temperature(objective: Objective, step: int) -> float:
    """Teacher temperature at `step`: linear warm-up, then constant."""
    start, end = objective.teacher_temperature
    if not objective.temperature_steps:
        return end
    return start + (end - start) * min(1.0, step / objective.temperature_steps)
