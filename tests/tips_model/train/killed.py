"""Run by test_train.py: a training that saves every other step and may be killed on its way.

python -m tests.tips_model.train.killed OUT STEP    (STEP 0: not killed)
"""

from __future__ import annotations

import os
import random
import signal
import sys
from pathlib import Path

import numpy as np
import torch

from tests.tips_model.train.pairs import ColourSource, tiny_config, tokenizer
from tips_model.model import TIPS
from tips_model.train import train


def main(out: Path, kill: int) -> None:
    """Train into `out`; SIGKILL after step `kill` was taken and before it is logged or saved."""
    step_taken = train.train_step

    def drawing(trainer: train.Trainer, batch: object, folder: Path) -> dict[str, float]:
        """A step of which a value depends on every kind of random number."""
        values = step_taken(trainer, batch, folder)  # type: ignore[arg-type]
        if trainer.step == kill:
            os.kill(os.getpid(), signal.SIGKILL)
        return values | {"draw": random.random() + np.random.rand() + torch.rand(()).item()}

    def evaluate(model: TIPS, step: int) -> dict[str, float]:
        """Draws as many numbers as it likes."""
        return {"noise": random.random() + np.random.rand() + torch.rand(step).sum().item()}

    train.train_step = drawing
    config = tiny_config(save_every=2, evaluate_every=2)
    train.run(config, ColourSource(), tokenizer(), out, resume=True, evaluate=evaluate)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
