"""Run by torchrun from test_nodes.py: the training command, of which one process dies once.

torchrun ... -m tests.tips_model.train.killed_node GRAVE STEP PRESET --data D --out DIR --resume

The second process kills itself after step STEP, unless the file GRAVE says that it has done so.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from tips_model.train import __main__, data, distributed, train


def main(grave: Path, kill: int, arguments: list[str]) -> int:
    """Train as `python -m tips_model.train` does, without the evaluation at the end."""
    step_taken = train.train_step

    def mortal(trainer: train.Trainer, batch: object, out: Path) -> dict[str, float]:
        values = step_taken(trainer, batch, out)  # type: ignore[arg-type]
        if distributed.rank() == 1 and trainer.step == kill and not grave.exists():
            grave.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return values

    train.train_step = mortal
    data.scene_evaluation = lambda config: None  # type: ignore[assignment, return-value]
    return __main__.main(arguments)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
