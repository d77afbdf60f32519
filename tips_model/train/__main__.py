"""Train from the command line, alone or under torchrun.

python -m tips_model.train drawn --data scenes --out runs/drawn
torchrun --nproc-per-node 2 -m tips_model.train drawn --data scenes --out runs/drawn --resume
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from tips_model.errors import TipsError
from tips_model.train.data import train_preset


def main(arguments: list[str] | None = None) -> int:
    """Parse and train; 0 when finished, 1 when stopped before the end, 2 for a user's mistake."""
    parser = argparse.ArgumentParser(prog="python -m tips_model.train", description=__doc__)
    parser.add_argument("preset", help="name of the preset, such as nano or tipsv2_b14")
    parser.add_argument("--data", required=True, help="`scenes`, or the folder of a training table")
    parser.add_argument("--out", required=True, type=Path, help="folder for all outputs")
    parser.add_argument("--resume", action="store_true", help="resume from the last checkpoint")
    options = parser.parse_args(arguments)
    try:
        result = train_preset(options.preset, options.data, options.out, resume=options.resume)
    except (TipsError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    if not result.finished and os.environ.get("RANK", "0") == "0":
        print(f"Stopped and saved at step {result.step}; resume with --resume.", file=sys.stderr)
    return 0 if result.finished else 1


if __name__ == "__main__":
    sys.exit(main())
