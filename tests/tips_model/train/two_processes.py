"""Run by torchrun from test_distributed.py: what two processes compute, written to a folder."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import torch

from tests.tips_model.train.pairs import ColourSource, tiny_config, tokenizer, with_stage
from tips_model.train import distributed
from tips_model.train.checkpoint import saved_steps
from tips_model.train.config import TrainConfig
from tips_model.train.loader import assemble
from tips_model.train.presets import preset
from tips_model.train.train import backward, make_trainer, run


def step(config: TrainConfig, device: torch.device) -> dict[str, object]:
    """Losses and gradients of the first step, as this process has them."""
    torch.manual_seed(1)
    trainer = make_trainer(config, device)
    stage, rank, world = config.stages[0], distributed.rank(), distributed.world()
    size = stage.batch // world
    raw = ColourSource().batch(stage, 0, rank, world, size)
    values = backward(trainer, assemble(raw, config, stage, 0, rank * size, tokenizer()))
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
    accumulating = tiny_config(replace(config.stages[0].weights, web=0, caption=0))
    return {
        "ddp": config,
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


def main(out: Path) -> None:
    """Write gradients.pt, and the runs of `runs()` (whole, and interrupted once) to `out`."""
    with distributed.processes() as device:
        found = {name: step(config, device) for name, config in configurations().items()}
        if distributed.rank() == 0:
            torch.save(found, out / "gradients.pt")
        for name, config in runs().items():
            run(config, ColourSource(), tokenizer(), out / name)
            run(config, ColourSource(), tokenizer(), out / f"{name}-resumed", stop_after=3)
            run(config, ColourSource(), tokenizer(), out / f"{name}-resumed", resume=True)
            assert saved_steps(out / name)[-1][0] == 5


if __name__ == "__main__":
    main(Path(sys.argv[1]))
