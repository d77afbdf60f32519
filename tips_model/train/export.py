"""Exports a run's results: the model in our own format, and the heads for distillation."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from tips_model.atomic import replacing
from tips_model.checkpoints import save_model
from tips_model.model import TIPS
from tips_model.tokenizer import Tokenizer
from tips_model.train import distributed
from tips_model.train.checkpoint import full_state
from tips_model.train.config import ConfigError, Objective, TrainConfig
from tips_model.train.heads import Heads
from tips_model.train.objective import Learner
from tips_model.train.teacher import Teacher

HEADS = "heads.safetensors"


def export(
    config: TrainConfig, learner: Learner, teacher: Teacher | None, tokenizer: Tokenizer, out: Path
) -> TIPS:
    """Write the weights for users to OUT/model, and the teacher's heads to OUT/heads.safetensors.

    Returns the model as written, on the CPU. All processes must call. Draws no random numbers.
    """
    state = full_state(learner)
    with torch.device("meta"):
        model = TIPS(config.model)
    kept = {k: v for k, v in state.items() if k.split(".")[0] in ("vision", "text")}
    temperature = {"temperature": state["log_tau"].exp()[0]}
    model.load_state_dict(kept | temperature, assign=True)
    model.tokenizer = tokenizer
    model.requires_grad_(False).eval()
    heads = {} if teacher is None else heads_state(full_state(teacher), config.objective)
    if distributed.rank() == 0:
        model.weights_id = save_model(model, out / "model")
        if heads:
            with replacing(out / HEADS) as file:
                file.write(save(heads))
    return model


def heads_state(teacher: dict[str, Tensor], objective: Objective) -> dict[str, Tensor]:
    """The exported part of a teacher's state: its heads, a shared one once."""
    heads = {k: v for k, v in teacher.items() if k.startswith("heads.")}
    if objective.head.shared:
        heads = {k: v for k, v in heads.items() if not k.startswith("heads.patch.")}
    return heads


def load_heads(teacher: Teacher, folder: Path) -> None:
    """Fill a teacher's heads with those exported by a run.

    Its centres start from the first batch's mean: the centres at the end of the run belong to
    pictures with other crops. Raises ConfigError if the sizes differ from the teacher's.
    """
    assert isinstance(teacher.heads, Heads)
    found = load_file(folder / HEADS)
    state = {k: v for k, v in found.items() if k.startswith("heads.")}
    if teacher.objective.head.shared:
        # Module and state list a shared head twice, the file once.
        own = {k: v for k, v in state.items() if k.startswith("heads.cls.")}
        state |= {k.replace("heads.cls.", "heads.patch.", 1): v for k, v in own.items()}
    wanted = {name for name in teacher.state_dict() if name.startswith("heads.")}
    try:
        if state.keys() != wanted:
            raise RuntimeError("other names")
        teacher.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise ConfigError(
            f"The heads in {folder} have other sizes than the preset's `head`."
        ) from error
