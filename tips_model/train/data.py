"""From the words of a command line to a run: the preset, its data, its tokenizer."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from tips_model.model import TIPS
from tips_model.tokenizer import Tokenizer
from tips_model.train.config import ConfigError, TrainConfig
from tips_model.train.presets import preset
from tips_model.train.source import Source
from tips_model.train.train import Evaluate, RunResult, run

SCENES = "scenes"


def open_data(data: str, config: TrainConfig) -> tuple[Source, Tokenizer]:
    """`scenes` (drawn as they are needed) or the folder of a training table, with its tokenizer.

    A folder may hold `tokenizer.model`; else the published TIPS tokenizer is taken. Raises
    ConfigError when there is no such folder.
    """
    length = config.model.text.max_length
    if data == SCENES:
        from tips_model.train.scenes import SceneSource
        from tips_model.train.scenes.vocabulary import train_tokenizer

        return SceneSource(seed=config.seed), Tokenizer(train_tokenizer(), length)
    folder = Path(data)
    if not folder.is_dir():
        raise ConfigError(f"There is no training data at {data}: name a folder, or `{SCENES}`.")
    from tips_model.registry import tokenizer_path
    from tips_model.train.dataset import TableSource

    own = folder / "tokenizer.model"
    path = own if own.is_file() else tokenizer_path(folder, config.model.name)
    return TableSource(folder, seed=config.seed), Tokenizer(path, length)


def train_preset(name: str, data: str, out: Path, *, resume: bool = False) -> RunResult:
    """Train preset `name` on `data` into `out`; everything is checked before data are opened.

    On scenes, a preset with `evaluate_every` is also evaluated on held-out ones.
    """
    config = preset(name)
    share_cores()
    source, tokenizer = open_data(data, config)
    evaluate: Evaluate | None = None
    if data == SCENES and config.evaluate_every:
        from tips_model.eval.scenes import SceneEvaluator

        scenes = SceneEvaluator()

        def evaluate(model: TIPS, step: int) -> dict[str, float]:
            return scenes(model)

    return run(config, source, tokenizer, out, resume=resume, evaluate=evaluate)


def share_cores() -> None:
    """Give each of torchrun's processes its part of the cores, unless OMP_NUM_THREADS says."""
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    if processes > 1 and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // processes))
