"""Teach the bundled model your own photos and captions.

    python examples/train_on_photos.py captions.csv runs/mine --steps 500
    tips index ~/Pictures --model nano --weights runs/mine/model -c mine.tips

captions.csv has the columns `image` (a path, seen from the file's folder) and `caption`. Training
needs the extra: `pip install -e '.[train]'`. Run it again to resume.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from dataclasses import replace
from pathlib import Path

from tips_model.errors import TipsError
from tips_model.registry import NANO_FOLDER, TOKENIZER_FILE
from tips_model.train.config import Objective, Optimizer, Stage, TrainConfig
from tips_model.train.data import open_data
from tips_model.train.importers import import_pairs, read_list
from tips_model.train.presets import preset
from tips_model.train.train import run


def fine_tuning(steps: int, batch: int) -> TrainConfig:
    """A short run that starts from `nano` and holds captions against photos, nothing else."""
    stage = Stage(name="photos", steps=steps, batch=batch, resolution=168)
    return replace(
        preset("nano"),
        name="mine",
        init="nano",
        stages=(stage,),
        objective=Objective(teacher="none"),
        optimizer=Optimizer(kind="adamw", lr=5e-5, warmup=max(1, steps // 10)),
        save_every=100,
        log_every=10,
    )


def main() -> None:
    """Make a training table of the list, and train on it."""
    parser = argparse.ArgumentParser(description="Teach the bundled model your own captions.")
    parser.add_argument("captions", type=Path, help="CSV file with the columns image and caption")
    parser.add_argument("out", type=Path, help="folder for the table, checkpoints and the model")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--batch", type=int, default=32, help="photos a step; more is better")
    options = parser.parse_args()

    table = options.out / "table"
    if not table.exists():
        report = import_pairs(read_list(options.captions), table)
        print(f"{report.rows} photos with captions, {len(report.dropped)} left out.")
        # The model knows the pieces of its own tokenizer only.
        shutil.copy(NANO_FOLDER / TOKENIZER_FILE, table)
    config = fine_tuning(options.steps, options.batch)
    source, tokenizer = open_data(str(table), config)
    result = run(config, source, tokenizer, options.out, resume=True)
    print(f"Step {result.step} of {config.steps}; the model is in {options.out / 'model'}.")


if __name__ == "__main__":
    try:
        main()
    except TipsError as error:  # a mistake that can be repaired, in one sentence
        sys.exit(str(error))
