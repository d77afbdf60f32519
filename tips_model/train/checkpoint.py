"""Training checkpoints: everything needed for an exact resume, written atomically.

One file `checkpoints/step_00001000.pt` in the run's folder contains the learner, the teacher with
its centres, the optimisers, the step, the configuration, the names of unreadable items, and every
process's random states. There is no data position: batches are a pure function of the step. A
frozen teacher's weights stay in their own file. The exported weights for users are separate, see
`tips_model.checkpoints`.

A file contains tensors and plain values only and is loaded with `weights_only`: a checkpoint from
elsewhere can be wrong, but it cannot run code.
"""

from __future__ import annotations

import json
import pickle
import random
import sys
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from tips_model.atomic import replacing
from tips_model.errors import TipsError
from tips_model.train.config import ConfigError, TrainConfig
from tips_model.train.distributed import barrier, full, gather_objects, like, rank
from tips_model.train.teacher import Teacher

VERSION = 2
# Fields that may differ between the run that saved and the one that resumes.
FREE = (
    "workers", "log_every", "save_every", "keep", "evaluate_every", "evaluate_scenes", "parallel",
    "bad_limit",
)  # fmt: skip
# Exceptions of torch.load for a truncated or overwritten file.
DAMAGE = (
    RuntimeError, OSError, EOFError, ValueError, LookupError, TypeError, AttributeError,
    pickle.UnpicklingError,
)  # fmt: skip


class CheckpointError(TipsError):
    """No checkpoint can be read."""


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
    bad: Collection[str] = (),
) -> None:
    """Save the state after `step` steps; keep the last `config.keep`. All processes must call.

    `bad`: the names of the items that could not be read so far.
    """
    state = {
        "version": VERSION,
        "step": step,
        "config": plain(config),
        "parts": {name: full_state(part, changing(part)) for name, part in parts.items()},
        "optimizers": [_gathered(optimizer.state_dict()) for optimizer in optimizers],
        "bad": sorted(bad),
        "random": gather_objects(random_state()),
    }
    if rank() == 0:
        path = folder / "checkpoints" / f"step_{step:08d}.pt"
        write_atomically(path, state)
        for _, old in saved_steps(folder)[: -config.keep]:
            old.unlink()
    barrier()


def newest_state(folder: Path, config: TrainConfig) -> dict[str, Any] | None:
    """The newest readable checkpoint; None when there is none. All processes must call.

    A damaged checkpoint is reported on stderr and renamed to `*.damaged`, and the previous one is
    used. Raises ConfigError if the state has another configuration, CheckpointError if it has
    another version or no checkpoint can be read.
    """
    state, damaged = None, []
    for _, path in reversed(saved_steps(folder)):
        try:
            found = torch.load(path, map_location="cpu", weights_only=True)
            check_version(path, found["version"])
            check_config(path, found["config"], config)
        except DAMAGE as error:
            damaged.append((path, type(error).__name__))
            continue
        state = found
        break
    if damaged and state is None:
        raise CheckpointError(
            f"No checkpoint in {folder / 'checkpoints'} can be read, they are damaged: start "
            "over in another folder."
        )
    barrier()  # every process has finished reading before a file is renamed
    for path, kind in damaged if rank() == 0 else ():
        assert state is not None
        path.replace(path.with_name(path.name + ".damaged"))
        say = f"{path} is damaged ({kind}) and was set aside; resuming from step {state['step']}."
        print(say, file=sys.stderr, flush=True)
    return state


def load_state(
    state: dict[str, Any], parts: dict[str, nn.Module], optimizers: list[torch.optim.Optimizer]
) -> int:
    """Load a saved state into the parts and optimisers; returns the step to resume from."""
    for name, part in parts.items():
        own, saved = part.state_dict(), state["parts"][name]
        for key in changing(part):
            own[key] = like(saved[key], own[key])
        part.load_state_dict(own)
    for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        for index, values in saved["state"].items():
            for key, value in values.items():
                if isinstance(value, torch.Tensor):
                    values[key] = like(value, parameters[index])
        optimizer.load_state_dict(saved)
    restore_random(state["random"][rank() % len(state["random"])])
    return int(state["step"])


def check_version(path: Path, version: object) -> None:
    """Reject a checkpoint written by another version of this module."""
    if version != VERSION:
        raise CheckpointError(
            f"{path} has format {version}, this version reads {VERSION}: start over in another "
            "folder, or resume with the program that wrote it."
        )


def check_config(path: Path, saved: dict[str, Any], config: TrainConfig) -> None:
    """Refuse to resume with another configuration; names the first field that differs."""
    wanted = plain(config)
    for key in sorted(saved.keys() | wanted.keys()):
        if key not in FREE and saved.get(key) != wanted.get(key):
            raise ConfigError(
                f"{path} was saved with another `{key}` than preset '{config.name}' has now: "
                "resume with the preset it was started with, or choose another folder."
            )


def plain(config: TrainConfig) -> dict[str, Any]:
    """The configuration after a JSON round trip."""
    values: dict[str, Any] = json.loads(json.dumps(config.to_dict()))
    return values


def changing(part: nn.Module) -> list[str]:
    """Names of the state that training changes: everything except a frozen teacher's weights."""
    frozen = isinstance(part, Teacher) and part.objective.teacher == "frozen"
    return [key for key in part.state_dict() if not frozen or key.startswith("centre_")]


def full_state(part: nn.Module, names: Iterable[str] | None = None) -> dict[str, torch.Tensor]:
    """A module's state (or these names of it) with unsharded tensors on the CPU. All processes must
    call."""
    state = part.state_dict()
    return {name: full(state[name]).detach().cpu().clone() for name in names or state}


def write_atomically(path: Path, value: Any) -> None:
    """Atomic torch.save: write beside `path`, flush to disk, then rename."""
    with replacing(path) as file:
        torch.save(value, file)


def random_state() -> dict[str, Any]:
    """The random states of this process, as tensors and plain values."""
    kind, keys, *rest = np.random.get_state(legacy=True)
    return {
        "python": random.getstate(),
        "numpy": (kind, np.asarray(keys).tolist(), *rest),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore_random(state: dict[str, Any]) -> None:
    """Restore the random states to those of `random_state`."""
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])
    torch.set_rng_state(state["torch"])
    if len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])


@contextmanager
def random_state_kept() -> Iterator[None]:
    """Restore the random states after the block, so that evaluating and saving do not
    change a run.
    """
    state = random_state()
    try:
        yield
    finally:
        restore_random(state)


def _gathered(value: Any) -> Any:
    """A copy of nested dicts and lists with unsharded CPU tensors."""
    if isinstance(value, torch.Tensor):
        return full(value).detach().cpu().clone()
    if isinstance(value, dict):
        return {key: _gathered(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_gathered(entry) for entry in value]
    return value
