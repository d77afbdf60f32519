"""From a configuration to the modules of a run: model, heads, teacher."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file

from tips_model.checkpoints import load
from tips_model.model import TIPS
from tips_model.train.config import ConfigError, Objective, TrainConfig
from tips_model.train.heads import FeatureHeads, Heads
from tips_model.train.objective import Learner
from tips_model.train.teacher import Teacher, make_teacher


def build(config: TrainConfig) -> tuple[Learner, Teacher | None]:
    """The learner and its teacher before the first step; random parts follow `config.seed`."""
    torch.manual_seed(config.seed)
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
        return Learner(model, objective, heads), teacher
    if objective.teacher == "none":
        return Learner(model, objective, None), None
    learner = Learner(model, objective, Heads(width, objective.head))
    assert learner.heads is not None
    return learner, make_teacher(objective, learner.vision, learner.heads)


def initial_model(config: TrainConfig) -> TIPS:
    """A random model, or `config.init` read and checked against the configuration."""
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

    Prototype targets need the heads that a run left in its folder (heads.safetensors beside
    model/); plain features need the model only. Patch grids of both must be equal.
    """
    objective = config.objective
    folder = Path(objective.teacher_model)
    run = (folder / "heads.safetensors").is_file()
    model = load(str(folder / "model") if run else objective.teacher_model)
    theirs, ours = model.config.vision, config.model.vision
    if theirs.patch != ours.patch:
        raise ConfigError(
            f"The teacher '{objective.teacher_model}' has patches of {theirs.patch} pixels, "
            f"preset '{config.name}' of {ours.patch}: their patch grids do not meet."
        )
    if objective.targets == "features":
        return Teacher(objective, model.vision, None)
    if not run:
        raise ConfigError(
            f"The teacher '{objective.teacher_model}' has no heads.safetensors: name the folder "
            "of a run of this stack, or use targets='features'."
        )
    return Teacher(objective, model.vision, saved_heads(objective, folder, theirs.width))


def saved_heads(objective: Objective, folder: Path, width: int) -> Heads:
    """The heads that a run left in its folder."""
    heads = Heads(width, objective.head)
    state = load_file(folder / "heads.safetensors")
    state = {k.removeprefix("heads."): v for k, v in state.items() if k.startswith("heads.")}
    try:
        heads.load_state_dict(state)
    except RuntimeError as error:
        raise ConfigError(
            f"The heads in {folder} have other sizes than the preset's `head`."
        ) from error
    return heads
