"""The training loop: `run(preset("debug"), source, tokenizer, Path("out"))`.

It reads top to bottom: schedules, losses, backward, finite check, step, teacher, log, and
periodically evaluation and saving.
"""

from __future__ import annotations

import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from tips_model.errors import TipsError, check_installed
from tips_model.model import TIPS
from tips_model.processor import bfloat16_pays
from tips_model.tokenizer import Tokenizer
from tips_model.train import distributed, losses, schedules
from tips_model.train.batch import Batch
from tips_model.train.checkpoint import (
    load_state,
    newest_state,
    random_state_kept,
    save_state,
    write_atomically,
)
from tips_model.train.config import TrainConfig
from tips_model.train.export import export
from tips_model.train.folder import check_folder, check_tokenizer, check_world, claim_folder
from tips_model.train.loader import load
from tips_model.train.metrics import Metrics, draw_curves
from tips_model.train.objective import Learner
from tips_model.train.optim import make_optimizers, set_lr
from tips_model.train.setup import build
from tips_model.train.source import BadItems, Source, bad_items
from tips_model.train.supervision import Given, check_given, given_of
from tips_model.train.teacher import Teacher

Evaluate = Callable[[TIPS, int], dict[str, float]]


class NotFiniteError(TipsError):
    """A loss or gradient is not finite; that step changed nothing."""


class TooLargeError(TipsError):
    """A batch does not fit into the device's memory."""


@dataclass(slots=True)
class Trainer:
    """All state of a running training; `step` counts the finished steps."""

    config: TrainConfig
    learner: Learner
    called: nn.Module
    """The learner as `parallelize` wrapped it."""
    teacher: Teacher | None
    optimizers: list[torch.optim.Optimizer]
    device: torch.device
    bad: BadItems
    half: bool
    """Whether products are computed in bfloat16: if the configuration requests it and the device
    supports it natively."""
    step: int = 0

    @property
    def parts(self) -> dict[str, nn.Module]:
        """The contents of a checkpoint besides the optimisers."""
        parts: dict[str, nn.Module] = {"learner": self.learner}
        return parts if self.teacher is None else parts | {"teacher": self.teacher}


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended."""

    step: int
    finished: bool
    evaluation: dict[str, float]


def make_trainer(
    config: TrainConfig,
    device: torch.device,
    given: Given | None = None,
    tokenizer: Tokenizer | None = None,
) -> Trainer:
    """Model, heads, teacher and optimisers of a new run, on `device`."""
    learner, teacher = build(config, given, tokenizer)
    learner.to(device)
    called = distributed.parallelize(learner, config)
    if teacher is not None:
        distributed.parallelize(teacher.to(device), config)
    able = bfloat16_pays(device)
    if config.precision == "bf16" and not able and distributed.rank() == 0:
        print(
            "This processor is slow in bfloat16: training uses float32.",
            file=sys.stderr,
            flush=True,
        )
    optimizers = make_optimizers(learner, config.optimizer, half=able)
    half = config.precision == "bf16" and able
    bad = BadItems(config.bad_limit)
    return Trainer(config, learner, called, teacher, optimizers, device, bad, half)


def train_step(trainer: Trainer, batch: Batch, out: Path) -> dict[str, float]:
    """One optimiser step. A non-finite loss or gradient raises NotFiniteError before anything is
    changed, and saves the batch to `out`. Raises TooLargeError when memory runs out.

    Returns the named losses, their weighted sum, the gradient norm, tau and the learning rate
    factor.
    """
    config, step = trainer.config, trainer.step
    factor = schedules.lr_factor(config, step)
    set_lr(trainer.optimizers, factor)
    try:
        values = backward(trainer, batch)
    except torch.OutOfMemoryError as error:
        raise TooLargeError(
            f"Step {step + 1} does not fit into the memory of {trainer.device}: start more "
            "processes, or raise `accumulate` in the preset's stages."
        ) from error
    parameters = [p for p in trainer.learner.parameters() if p.grad is not None]
    norm = distributed.full(
        nn.utils.clip_grad_norm_(parameters, config.optimizer.clip or math.inf)
    ).item()
    if not (math.isfinite(norm) and math.isfinite(values["loss"])):
        raise not_finite(step + 1, values["loss"], norm, batch, out)
    for optimizer in trainer.optimizers:
        optimizer.step()
        optimizer.zero_grad()
    if trainer.teacher is not None:
        momentum = schedules.teacher_momentum(config.objective, step, config.steps)
        assert trainer.learner.heads is not None
        trainer.teacher.update(trainer.learner.vision, trainer.learner.heads, momentum)
    trainer.step += 1
    tau = distributed.full(trainer.learner.log_tau.detach()).exp().item()
    return values | {"grad_norm": norm, "tau": tau, "lr": factor}


def backward(trainer: Trainer, batch: Batch) -> dict[str, float]:
    """Gradients of the weighted sum of the losses, averaged over passes and processes.

    Returns the losses and their weighted sum under `loss`, averaged in the same way.
    """
    config, step = trainer.config, trainer.step
    weights = schedules.loss_weights(config, step)
    tau = schedules.teacher_temperature(config.objective, step)
    passes = config.stages[config.at(step)[0]].accumulate
    sums: dict[str, Tensor] = {}
    for i, part in enumerate(batch.split(passes)):
        part = part.to(trainer.device)
        with (
            distributed.gradient_sync(trainer.called, i == passes - 1),
            torch.autocast(trainer.device.type, torch.bfloat16, enabled=trainer.half),
        ):
            found = trainer.called(part, weights, trainer.teacher, tau)
            loss = losses.total(found, weights) / passes
            loss.backward()  # type: ignore[no-untyped-call]
        for name, value in (found | {"loss": loss * passes}).items():
            sums[name] = sums.get(name, 0) + value.detach() / passes
    means = distributed.all_mean(torch.stack(list(sums.values())).float())
    return dict(zip(sums, means.tolist(), strict=True))


@contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set; the run then finishes its step, saves and ends."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    old = {
        kind: signal.signal(kind, lambda *_: asked.set())
        for kind in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield asked
    finally:
        for kind, handler in old.items():
            signal.signal(kind, handler)


def run(
    config: TrainConfig,
    source: Source,
    tokenizer: Tokenizer,
    out: Path,
    *,
    resume: bool = False,
    evaluate: Evaluate | None = None,
    stop_after: int | None = None,
) -> RunResult:
    """Train and write checkpoints, logs, curves and the exported model to `out`.

    `evaluate(model, step)` runs in the first process every `config.evaluate_every` steps and at the
    end. `stop_after` ends the run after that many steps in total, as Ctrl-C would. `resume`
    continues from the last checkpoint, or starts if there is none, so that one command serves a job
    that may be killed. Raises ConfigError when `out` contains a run and `resume` is not set.
    """
    check_installed("train", "matplotlib", "tensorboard")
    check_tokenizer(config, tokenizer)
    check_given(config, given_of(source))
    with distributed.processes() as device, stop_signals() as asked:
        rank, world = distributed.rank(), distributed.world()
        check_world(config, world)
        check_folder(config, out, resume=resume)
        saved = newest_state(out, config)
        trainer = make_trainer(config, device, given_of(source), tokenizer)
        trainer.bad = bad_items(source) or trainer.bad
        if saved is not None:
            trainer.step = load_state(saved, trainer.parts, trainer.optimizers)
            trainer.bad.merge(saved.get("bad", ()))
        folder = out if rank == 0 else None
        distributed.barrier()  # every process has checked the folder
        if rank == 0:
            claim_folder(config, out)
        if trainer.step == config.steps:  # maybe it was killed before the export
            export(config, trainer.learner, trainer.teacher, tokenizer, out)
        evaluation: dict[str, float] = {}
        with (
            Metrics(folder, config.log_every, config.steps, trainer.step) as metrics,
            closing(load(config, source, tokenizer, rank, world, trainer.step)) as batches,
        ):
            while trainer.step < config.steps:
                start = time.perf_counter()
                batch = next(batches)
                waited = time.perf_counter() - start
                values = train_step(trainer, batch, out)
                metrics.add(trainer.step, values, len(batch.images) * world, waited)
                stop = distributed.any_process(asked.is_set(), device)
                stop = stop or trainer.step in (stop_after, config.steps)
                if stop or not (
                    trainer.step % config.log_every and trainer.step % config.save_every
                ):
                    trainer.bad.merge(*distributed.gather_objects(trainer.bad.names()))
                if stop:
                    metrics.flush(trainer.step)
                evaluation = after_step(trainer, tokenizer, out, metrics, evaluate, stop)
                if stop:
                    break
        if folder is not None:
            draw_curves(folder)
        return RunResult(trainer.step, trainer.step == config.steps, evaluation)


def after_step(
    trainer: Trainer,
    tokenizer: Tokenizer,
    out: Path,
    metrics: Metrics,
    evaluate: Evaluate | None,
    stop: bool,
) -> dict[str, float]:
    """Save and evaluate when due; returns the evaluation's results."""
    config, step, start = trainer.config, trainer.step, time.perf_counter()
    save = stop or step % config.save_every == 0
    due = config.evaluate_every and step % config.evaluate_every == 0
    look = evaluate is not None and (due or step == config.steps)
    found: dict[str, float] = {}
    if not (save or look):
        return found
    if save:
        save_state(out, step, config, trainer.parts, trainer.optimizers, trainer.bad.names())
    with random_state_kept():  # a run resumed from here skips this block
        model = export(config, trainer.learner, trainer.teacher, tokenizer, out)
        if look and evaluate is not None and distributed.rank() == 0:
            with torch.inference_mode():
                found = evaluate(model, step)
            metrics.write(step, {f"eval/{name}": value for name, value in found.items()})
            shown = "  ".join(f"{name} {value:.4g}" for name, value in found.items())
            print(f"step {step}  evaluation: {shown}", file=sys.stderr, flush=True)
    distributed.barrier()
    metrics.pause(time.perf_counter() - start)
    return found


def not_finite(step: int, loss: float, norm: float, batch: Batch, out: Path) -> NotFiniteError:
    """Save the batch of a failed step; returns the error that names both."""
    path = out / f"not_finite_step_{step}_rank_{distributed.rank()}.pt"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, {name: getattr(batch, name) for name in batch.__slots__})
    return NotFiniteError(
        f"Step {step} is not finite (loss {loss}, gradient norm {norm}); the batch is in {path}, "
        "and the last checkpoint is intact."
    )
