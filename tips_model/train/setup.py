"""Builds the modules of a run from its configuration: model, heads, teacher."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import torch

from tips_model.checkpoints import load
from tips_model.model import TIPS
from tips_model.registry import OFFICIAL, cached_folder
from tips_model.tokenizer import Tokenizer
from tips_model.train.config import ConfigError, TrainConfig
from tips_model.train.export import HEADS, load_heads
from tips_model.train.heads import FeatureHeads, GivenHeads, Heads
from tips_model.train.objective import Learner
from tips_model.train.supervision import Given
from tips_model.train.teacher import Teacher, make_teacher


def build(
    config: TrainConfig, given: Given | None = None, tokenizer: Tokenizer | None = None
) -> tuple[Learner, Teacher | None]:
    """The learner and its teacher before the first step; random parts follow `config.seed`.

    `given`, with the run's tokenizer: the data's names and vectors for the losses on them.
    """
    random.seed(config.seed)
    np.random.seed(config.seed % 2**32)
    torch.manual_seed(config.seed)
    check_teacher(config)
    model = initial_model(config)
    objective, width = config.objective, config.model.vision.width
    if objective.teacher == "frozen":
        teacher = frozen_teacher(config)
        assert teacher.vision is not None
        heads = (
            Heads(width, objective.head)
            if objective.targets == "prototypes"
            else FeatureHeads(width, teacher.vision.config.width)
        )
        return Learner(model, objective, heads, _given_heads(config, given, tokenizer)), teacher
    if objective.teacher == "none":
        return Learner(model, objective, None, _given_heads(config, given, tokenizer)), None
    heads = Heads(width, objective.head)
    learner = Learner(model, objective, heads, _given_heads(config, given, tokenizer))
    assert learner.heads is not None
    return learner, make_teacher(objective, learner.vision, learner.heads)


def _given_heads(
    config: TrainConfig, given: Given | None, tokenizer: Tokenizer | None
) -> GivenHeads | None:
    if given is None:
        return None
    assert tokenizer is not None
    return GivenHeads(config.model.vision.width, given, tokenizer, config.objective.captions)


def initial_model(config: TrainConfig) -> TIPS:
    """A random model, or `config.init`, loaded and checked against the configuration."""
    model = TIPS(config.model, seed=config.seed)
    if config.init:
        start = load(config.init)
        if (start.config.vision, start.config.text) != (config.model.vision, config.model.text):
            raise ConfigError(
                f"The model '{config.init}' has other towers than preset '{config.name}'."
            )
        model.load_state_dict(start.state_dict())
    return model


def frozen_teacher(config: TrainConfig) -> Teacher:
    """The teacher of a distillation: `teacher_model`, a run's folder or a model.

    Prototype targets need the heads that a run exported to its folder (heads.safetensors beside
    model/); plain features need only the model. Both patch grids must be equal.
    """
    objective = config.objective
    folder = Path(objective.teacher_model)
    run = (folder / HEADS).is_file()
    model = load(str(folder / "model") if run else objective.teacher_model)
    theirs, ours = model.config.vision, config.model.vision
    if theirs.patch != ours.patch:
        raise ConfigError(
            f"The teacher '{objective.teacher_model}' has patches of {theirs.patch} pixels, "
            f"preset '{config.name}' of {ours.patch}: their patch grids do not meet."
        )
    if objective.targets == "features":
        return Teacher(objective, model.vision, None)
    teacher = Teacher(objective, model.vision, Heads(theirs.width, objective.head))
    load_heads(teacher, folder)
    return teacher


def check_teacher(config: TrainConfig) -> None:
    """Reject a published teacher that is not downloaded, and prototype targets of a teacher without
    heads; loads nothing.
    """
    objective = config.objective
    if objective.teacher != "frozen":
        return
    if objective.targets == "features":
        name = objective.teacher_model
        if name in OFFICIAL and cached_folder(name) is None:
            raise ConfigError(
                f"The teacher of preset '{config.name}' is not installed: run `tips models fetch "
                f"{name}`."
            )
        return
    if not (Path(objective.teacher_model) / HEADS).is_file():
        raise ConfigError(
            f"The teacher '{objective.teacher_model}' has no {HEADS}: name the folder of a run of "
            "this stack, or use targets='features'."
        )
