"""Run by torchrun from test_distributed.py: what two processes compute, written to a folder."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image

from tests.tips_model.train.pairs import (
    GIVEN,
    ColourSource,
    LabelledSource,
    tiny_config,
    tokenizer,
    with_stage,
)
from tips_model.train import distributed
from tips_model.train.checkpoint import saved_steps
from tips_model.train.config import Stage, TrainConfig, Weights
from tips_model.train.dataset import TableSource, record_batches, write_table
from tips_model.train.loader import load
from tips_model.train.presets import preset
from tips_model.train.source import DataError, RawBatch
from tips_model.train.supervision import given_of
from tips_model.train.train import backward, make_trainer, run


def step(config: TrainConfig, device: torch.device) -> dict[str, object]:
    """Losses and gradients of the first step, as this process has them."""
    torch.manual_seed(1)
    source = LabelledSource() if config.stages[0].texts else ColourSource()
    trainer = make_trainer(config, device, given_of(source), tokenizer())
    with closing(
        load(config, source, tokenizer(), distributed.rank(), distributed.world(), 0)
    ) as batches:
        values = backward(trainer, next(batches))
    grads = {
        name: distributed.full(p.grad).clone()
        for name, p in trainer.learner.named_parameters()
        if p.grad is not None
    }
    return {"values": values, "grads": grads}


def configurations() -> dict[str, TrainConfig]:
    """The runs that one and two processes shall agree on."""
    config = tiny_config()
    v1 = replace(config.objective, teacher="ema", patch_loss="masked")
    given = with_stage(config, weights=GIVEN, crops=0, texts=8, patch_dropout=0.25, box_crops=0.25)
    plain = replace(config.objective, teacher="none", captions="sentences")
    given = replace(given, objective=plain)
    accumulating = tiny_config(replace(config.stages[0].weights, web=0, caption=0))
    return {
        "ddp": config,
        "ddp-given": given,
        "fsdp-given": replace(given, parallel="fsdp"),
        "fsdp": replace(config, parallel="fsdp"),
        "fsdp-v1": replace(config, parallel="fsdp", objective=v1),
        "ddp-accumulated": with_stage(accumulating, accumulate=2),
        "fsdp-accumulated": replace(with_stage(accumulating, accumulate=2), parallel="fsdp"),
    }


def runs() -> dict[str, TrainConfig]:
    """The runs that are interrupted once: every optimiser with every way to share the work, and
    the large presets with a tiny model."""
    config = tiny_config()
    found = {
        f"{parallel}-{kind}": replace(
            config,
            parallel=parallel,  # type: ignore[arg-type]
            optimizer=replace(config.optimizer, kind=kind),  # type: ignore[arg-type]
        )
        for parallel, kind in (
            ("ddp", "muon"), ("ddp", "adamw"), ("ddp", "adafactor"),
            ("fsdp", "muon"), ("fsdp", "adamw"),
        )
    }  # fmt: skip
    for name in ("tips_b14", "tipsv2_g14"):
        large = preset(name)
        found[name] = replace(
            large,
            model=config.model,
            stages=config.stages,
            objective=replace(large.objective, head=config.objective.head),
            workers=1,
        )
    return found


BROKEN = (1, 3, 4, 5)
"""Places within the first step of the pictures that cannot be read: two for each process, and no
two of them neighbours in the table (a neighbour is read instead)."""
LIMITED = {"log": (2, 100, 3), "save": (100, 2, 3), "within": (2, 100, 4)}
"""Folder -> (log_every, save_every, bad_limit)."""


def limited(name: str) -> TrainConfig:
    """A run on the table of `write_broken`, which is read at most once."""
    log_every, save_every, limit = LIMITED[name]
    return tiny_config(Weights(), log_every=log_every, save_every=save_every, bad_limit=limit)


def write_broken(folder: Path) -> list[str]:
    """A table of 80 pictures of which those at `BROKEN` are damaged; returns their keys."""
    stage = limited("log").stages[0]

    def write(broken: frozenset[str]) -> None:
        rows = []
        for n in range(80):
            content = io.BytesIO()
            Image.new("RGB", (16, 16), (3 * n, 0, 0)).save(content, "PNG")
            image = b"no picture" if f"k{n}" in broken else content.getvalue()
            row = {"key": f"k{n}", "image": image, "web": f"k{n}", "synthetic": ["x"]}
            rows.append(row | {"objects": None})
        write_table(folder, record_batches(rows))

    write(frozenset())
    first = TableSource(folder).batch(stage, 0, 0, 1, stage.batch).web  # its captions are its keys
    broken = [first[place] for place in BROKEN]
    write(frozenset(broken))
    return sorted(broken)


def run_limited(name: str, out: Path) -> None:
    """Run into OUT/limited-NAME; what this process was told, and what it skipped itself."""
    config, rank = limited(name), distributed.rank()
    source, told = TableSource(out / "table", bad_limit=config.bad_limit), ""
    size = config.stages[0].batch // distributed.world()
    source.batch(config.stages[0], 0, rank, distributed.world(), size)
    own = source.bad.names()
    try:
        run(config, source, tokenizer(), out / f"limited-{name}")
    except DataError as error:
        told = str(error)
    (out / f"limited-{name}-{rank}.json").write_text(json.dumps({"own": own, "told": told}))


class Interrupting(ColourSource):
    """The second process, and it alone, is sent a Ctrl-C while it prepares the third step."""

    def batch(self, stage: Stage, step: int, rank: int, world: int, size: int) -> RawBatch:
        if (rank, step) == (1, 2):
            os.kill(os.getpid(), signal.SIGINT)
        return super().batch(stage, step, rank, world, size)


def main(out: Path) -> None:
    """Write gradients.pt, the runs of `runs()` (whole, and interrupted once), those of `LIMITED`
    and one with a Ctrl-C to `out`, in which there is the table of `write_broken`."""
    with distributed.processes() as device:
        found = {name: step(config, device) for name, config in configurations().items()}
        if distributed.rank() == 0:
            torch.save(found, out / "gradients.pt")
        for name, config in runs().items():
            run(config, ColourSource(), tokenizer(), out / name)
            run(config, ColourSource(), tokenizer(), out / f"{name}-resumed", stop_after=3)
            run(config, ColourSource(), tokenizer(), out / f"{name}-resumed", resume=True)
            assert saved_steps(out / name)[-1][0] == 5
        for name in LIMITED:
            run_limited(name, out)
        many = with_stage(tiny_config(Weights()), steps=50)
        result = run(many, Interrupting(), tokenizer(), out / "interrupted")
        (out / f"interrupted-{distributed.rank()}.json").write_text(json.dumps(result.step))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
