"""Command-line entry: resolves preset, data and tokenizer, and starts the run."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from tips_model.config import VARIANTS
from tips_model.errors import WeightsError
from tips_model.registry import TOKENIZER_FILE, tokenizer_path
from tips_model.tokenizer import Tokenizer
from tips_model.train.config import ConfigError, TrainConfig
from tips_model.train.folder import check_folder, check_tokenizer, check_world
from tips_model.train.presets import preset
from tips_model.train.setup import check_teacher
from tips_model.train.source import Source
from tips_model.train.train import Evaluate, RunResult, run

if TYPE_CHECKING:
    from tips_model.eval.scenes import SceneEvaluator

SCENES = "scenes"
PUBLISHED = "tipsv2-b14"
"""Any model whose files include the published tokenizer."""


def open_data(data: str, config: TrainConfig) -> tuple[Source, Tokenizer]:
    """`scenes` (drawn on demand) or the folder of a training table, with its tokenizer.

    A folder may contain `tokenizer.model`; otherwise the published TIPS tokenizer is used. Raises
    ConfigError when the folder or a fitting tokenizer is missing, DataError when the folder
    contains no table.
    """
    length = config.model.text.max_length
    if data == SCENES:
        from tips_model.train.scenes import SceneSource
        from tips_model.train.scenes.vocabulary import train_tokenizer

        tokenizer = Tokenizer(train_tokenizer(), length)
        check_tokenizer(config, tokenizer)
        return SceneSource(seed=config.seed), tokenizer
    folder = Path(data)
    if not folder.is_dir():
        raise ConfigError(f"There is no training data at {data}: name a folder, or `{SCENES}`.")
    from tips_model.train.dataset import TableSource, check_table

    check_table(folder)
    tokenizer = Tokenizer(table_tokenizer(folder, config), length)
    check_tokenizer(config, tokenizer)
    source = TableSource(folder, seed=config.seed, bad_limit=config.bad_limit)
    source.read_given(config)
    return source, tokenizer


def table_tokenizer(folder: Path, config: TrainConfig) -> Path:
    """The tokenizer beside a training table, else that of any downloaded model (all share one).

    Raises ConfigError that says which one is needed and how to get it.
    """
    try:
        return tokenizer_path(folder, PUBLISHED)
    except WeightsError as error:
        pieces = config.model.text.vocab
        source = (
            f"`tips models fetch {PUBLISHED}` brings the published one"
            if pieces >= VARIANTS[PUBLISHED].text.vocab
            else "`tips scenes table` writes one beside its table"
        )
        raise ConfigError(
            f"{folder} has no {TOKENIZER_FILE}: preset '{config.name}' needs a sentencepiece model "
            f"of at most {pieces} pieces there; {source}."
        ) from error


def train_preset(name: str, data: str, out: Path, *, resume: bool = False) -> RunResult:
    """Train preset `name` on `data` into `out`; checks as much as possible before opening the data.

    On scenes, the model is also evaluated, on seen and on held-out drawings.
    """
    config = preset(name)
    share_cores()
    check_world(config, int(os.environ.get("WORLD_SIZE", 1)))
    check_teacher(config)
    check_folder(config, out, resume=resume)
    source, tokenizer = open_data(data, config)
    evaluate = scene_evaluation(config) if data == SCENES else None
    return run(config, source, tokenizer, out, resume=resume, evaluate=evaluate)


def scene_evaluation(config: TrainConfig) -> Evaluate:
    """Evaluation on scenes, which are drawn on the first call.

    Their sides are those of `SceneEvaluator`, rounded up to whole patches of the model.
    """
    patch, count = config.model.vision.patch, config.evaluate_scenes

    @cache
    def scenes() -> SceneEvaluator:
        from tips_model.eval.scenes import SceneEvaluator

        small, large = (-(-side // patch) * patch for side in (64, 96))
        return SceneEvaluator(single=count, many=count, single_size=small, size=large)

    return lambda model, step: scenes()(model)


def share_cores() -> None:
    """Divide the cores among torchrun's processes, unless OMP_NUM_THREADS is set."""
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    if processes > 1 and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // processes))
