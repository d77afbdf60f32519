"""The folder of a run, and checks before data or models are loaded.

A run writes its configuration to `config.json` when it starts, so that a folder is recognised as a
run's even if the run was killed before its first checkpoint.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tips_model.atomic import replacing
from tips_model.tokenizer import Tokenizer
from tips_model.train.checkpoint import check_config, plain, saved_steps
from tips_model.train.config import ConfigError, TrainConfig

CONFIG = "config.json"


def check_folder(config: TrainConfig, out: Path, *, resume: bool) -> None:
    """Reject a folder that contains a run, unless it is to be resumed and has this configuration.

    Raises ConfigError, also if config.json belongs to something else (such as a model).
    """
    path = out / CONFIG
    if not path.exists() and not saved_steps(out):
        return
    saved = _read(path) if path.exists() else None
    if not resume:
        raise ConfigError(f"{out} already contains a run: add --resume or choose another folder.")
    if saved is not None:
        check_config(path, saved, config)


def claim_folder(config: TrainConfig, out: Path) -> None:
    """Write the configuration of the run that starts or resumes in `out`."""
    with replacing(out / CONFIG) as file:
        file.write((json.dumps(plain(config), indent=2) + "\n").encode())


def check_tokenizer(config: TrainConfig, tokenizer: Tokenizer) -> None:
    """Reject a tokenizer with more pieces than the text tower has embeddings."""
    if tokenizer.vocab > config.model.text.vocab:
        raise ConfigError(
            f"The tokenizer has {tokenizer.vocab} pieces, the model of preset '{config.name}' "
            f"{config.model.text.vocab}: take the tokenizer that the preset was made for."
        )


def check_world(config: TrainConfig, world: int) -> None:
    """Reject batches that cannot be divided equally among `world` processes and the passes."""
    for stage in config.stages:
        parts = world * stage.accumulate
        size = stage.batch // parts
        if stage.batch % parts or round(size * stage.self_share, 6) % 1:
            raise ConfigError(
                f"Stage '{stage.name}' has batch {stage.batch} and self_share {stage.self_share}, "
                f"which {world} processes with {stage.accumulate} passes cannot share equally."
            )


def _read(path: Path) -> dict[str, Any]:
    """The configuration in a run's config.json."""
    try:
        saved: dict[str, Any] = json.loads(path.read_bytes())
        if "stages" not in saved:
            raise ValueError
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(
            f"{path} is not the configuration of a run: choose another folder."
        ) from error
    return saved
