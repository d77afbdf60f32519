"""Floating-point work of a training step over the least that its passes need; JSON on stdout.

    python bench/train_flops.py --preset tipsv2_b14 --images 2

Counted: torch's `FlopCounterMode` over one forward and backward of the whole objective. The least,
from the shapes alone: the matrix products of each pass that the papers' figures show (the student's
whole, masked and local crops, two captions, the heads, the teacher), three times for what learns
(forward, gradient of the input, gradient of the weights) and once for the teacher. Activation
checkpointing is off: it trades work for memory on purpose.
"""

from __future__ import annotations

import argparse
import itertools
import json
from dataclasses import dataclass, replace

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from tips_model.config import TextConfig, VisionConfig
from tips_model.train.config import Head, Stage, TrainConfig
from tips_model.train.loader import Batch, assemble
from tips_model.train.losses import total
from tips_model.train.presets import PRESETS, preset
from tips_model.train.schedules import loss_weights
from tips_model.train.source import RawBatch
from tips_model.train.train import make_trainer

CLS = 2
CAPTION = 32
"""Tokens of a caption here."""


@dataclass(frozen=True)
class Tokens:
    """What a tokenizer gives; here random ids."""

    ids: torch.Tensor
    paddings: torch.Tensor


def tokenize(texts: list[str], *, pad_to: int | None = None) -> Tokens:
    """Captions of `CAPTION` tokens."""
    shape = (len(texts), CAPTION)
    return Tokens(torch.randint(1, 900, shape), torch.zeros(shape))


def blocks(tokens: int, width: int, depth: int, hidden: int, matrices: int) -> float:
    """Forward work of a tower on one item: two operations per multiply-add."""
    linear = 2 * tokens * (4 * width**2 + matrices * width * hidden)
    attention = 4 * tokens**2 * width
    return depth * (linear + attention)


def vision(config: VisionConfig, side: int) -> float:
    """Forward work of the vision tower on a square picture."""
    patches = (side // config.patch) ** 2
    matrices = 3 if config.ffn == "swiglu" else 2
    stem = 2 * patches * 3 * config.patch**2 * config.width
    return stem + blocks(patches + CLS, config.width, config.depth, config.mlp_hidden, matrices)


def text(config: TextConfig) -> float:
    """Forward work of the text tower on one caption."""
    return blocks(CAPTION, config.width, config.depth, config.mlp_hidden, 2)


def head(config: Head, width: int) -> float:
    """Forward work of the projection head on one token."""
    sizes = [width, *[config.hidden] * (config.layers - 1), config.bottleneck, config.prototypes]
    return sum(2 * a * b for a, b in itertools.pairwise(sizes))


def least(config: TrainConfig, stage: Stage) -> float:
    """The least work of one image in one step."""
    model, objective = config.model, config.objective
    patches = (stage.resolution // model.vision.patch) ** 2
    whole = vision(model.vision, stage.resolution)
    local = stage.crops * vision(model.vision, stage.crop_resolution)
    one = head(objective.head, model.vision.width)
    seen = patches
    if objective.patch_loss == "masked":
        seen = round(patches * objective.mask_ratio)
    student = 2 * whole + local + 2 * text(model.text) + one * (stage.crops + seen)
    teacher = one * (1 + patches) + (whole if objective.teacher == "ema" else 0)
    return 3 * student + teacher


def counted(config: TrainConfig, stage: Stage, images: int) -> float:
    """What torch counts for one image of a step."""
    trainer = make_trainer(config, torch.device("cpu"))
    side = stage.resolution
    raw = RawBatch(
        torch.randint(256, (images, 3, side, side), dtype=torch.uint8),
        [f"web {n}" for n in range(images)],
        [[f"caption {n}"] for n in range(images)],
    )
    step = config.steps - 1
    batch: Batch = assemble(raw, config, stage, step, 0, tokenize)
    weights = loss_weights(config, step)
    # The counter does not know the processor's fused attention; the plain one is counted whole.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        total(trainer.called(batch, weights, trainer.teacher, 0.05), weights).backward()
    return counter.get_total_flops() / images


def main() -> None:
    """Count one preset's first stage with all losses."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--preset", default="tipsv2_b14", choices=PRESETS, metavar="NAME")
    parser.add_argument("--images", type=int, default=2)
    options = parser.parse_args()
    config = preset(options.preset)
    stage = next(s for s in config.stages if s.weights.masked)
    stage = replace(stage, steps=1, batch=options.images, ramp=0, self_share=1.0, late_cls=0.0)
    config = replace(config, stages=(stage,), checkpoint_blocks=False, pad_captions=0)
    used, needed = counted(config, stage, options.images), least(config, stage)
    result = {"preset": options.preset, "images": options.images, "resolution": stage.resolution}
    result |= {"gflop_per_image": used / 1e9, "least": needed / 1e9, "ratio": used / needed}
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
