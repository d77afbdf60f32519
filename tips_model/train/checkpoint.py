"""Training state on disk: everything that an exact continuation needs, written atomically.

One file `checkpoints/step_00001000.pt` in the run's folder holds the learner, the teacher with
its centres, the optimisers, the step, the configuration and every process's random states. There
is no data position: batches are a pure function of the step. The weights for users are another
file, see `tips_model.checkpoints`.
"""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from tips_model.train.config import ConfigError, TrainConfig
from tips_model.train.distributed import barrier, full, gather_objects, like, rank

VERSION = 1
# Fields that may differ between the run that saved and the one that goes on.
FREE = ("workers", "log_every", "save_every", "keep", "evaluate_every", "parallel")


def saved_steps(folder: Path) -> list[tuple[int, Path]]:
    """(step, file) of the checkpoints in a run's folder, oldest first."""
    files = (folder / "checkpoints").glob("step_*.pt")
    return sorted((int(file.stem.removeprefix("step_")), file) for file in files)


def save_state(
    folder: Path,
    step: int,
    config: TrainConfig,
    parts: dict[str, nn.Module],
    optimizers: list[torch.optim.Optimizer],
) -> None:
    """Save the state after `step` steps; keep the last `config.keep`. All processes must call."""
    state = {
        "version": VERSION,
        "step": step,
        "config": plain(config),
        "parts": {name: full_state(part) for name, part in parts.items()},
        "optimizers": [_gathered(optimizer.state_dict()) for optimizer in optimizers],
        "random": gather_objects(random_state()),
    }
    if rank() == 0:
        path = folder / "checkpoints" / f"step_{step:08d}.pt"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, state)
        for _, old in saved_steps(folder)[: -config.keep]:
            old.unlink()
    barrier()


def load_state(
    path: Path,
    config: TrainConfig,
    parts: dict[str, nn.Module],
    optimizers: list[torch.optim.Optimizer],
) -> int:
    """Put a saved state into the parts and optimisers; returns the step to go on from.

    Raises ConfigError, before anything is changed, when the state is of another configuration.
    """
    state = torch.load(path, map_location="cpu", weights_only=False)
    check_config(path, state["config"], config)
    for name, part in parts.items():
        own = part.state_dict()
        part.load_state_dict({k: like(v, own[k]) for k, v in state["parts"][name].items()})
    for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        for index, values in saved["state"].items():
            for key, value in values.items():
                if isinstance(value, torch.Tensor):
                    values[key] = like(value, parameters[index])
        optimizer.load_state_dict(saved)
    restore_random(state["random"][rank() % len(state["random"])])
    return int(state["step"])


def check_config(path: Path, saved: dict[str, Any], config: TrainConfig) -> None:
    """Refuse to go on with another configuration; names the first field that differs."""
    wanted = plain(config)
    for key in sorted(saved.keys() | wanted.keys()):
        if key not in FREE and saved.get(key) != wanted.get(key):
            raise ConfigError(
                f"{path} was saved with another `{key}` than preset '{config.name}' has now: "
                "resume with the preset it was started with, or choose another folder"
            )


def plain(config: TrainConfig) -> dict[str, Any]:
    """The configuration as JSON would give it back."""
    values: dict[str, Any] = json.loads(json.dumps(config.to_dict()))
    return values


def full_state(part: nn.Module) -> dict[str, torch.Tensor]:
    """A module's state with whole tensors on the CPU. All processes must call."""
    return {name: full(value).detach().cpu().clone() for name, value in part.state_dict().items()}


def write_atomically(path: Path, value: Any) -> None:
    """torch.save beside `path`, flushed to disk, then moved to it."""
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        torch.save(value, file)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def random_state() -> dict[str, Any]:
    """The random states of this process."""
    return {
        "python": random.getstate(),
        "numpy": np.random.get_state(),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore_random(state: dict[str, Any]) -> None:
    """Undo everything that was drawn since `random_state`."""
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])
    torch.set_rng_state(state["torch"])
    if len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])


def _gathered(value: Any) -> Any:
    """A copy of nested dicts and lists with whole CPU tensors."""
    if isinstance(value, torch.Tensor):
        return full(value).detach().cpu().clone()
    if isinstance(value, dict):
        return {key: _gathered(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_gathered(entry) for entry in value]
    return value
