"""Distributed training: process groups, gather, average, `parallelize()`; all collectives are here.

A single process without `torchrun` is the plain case: every function then returns its input.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from tips_model.train.config import TrainConfig


@contextmanager
def processes() -> Iterator[torch.device]:
    """Join the processes started by `torchrun`, if any; yields this one's device."""
    cuda = torch.cuda.is_available()
    device = torch.device(f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if cuda else "cpu")
    if cuda:
        torch.cuda.set_device(device)
    ours = "WORLD_SIZE" in os.environ and not dist.is_initialized()
    if ours:
        dist.init_process_group("nccl" if cuda else "gloo")
    yield device
    # Not after an error: the others may be waiting in a collective, and torchrun ends them all.
    if ours:
        dist.destroy_process_group()


def rank() -> int:
    """Number of this process."""
    return dist.get_rank() if dist.is_initialized() else 0


def world() -> int:
    """Number of processes."""
    return dist.get_world_size() if dist.is_initialized() else 1


def barrier() -> None:
    """Wait for all processes."""
    if world() > 1:
        dist.barrier()


def any_process(flag: bool, device: torch.device) -> bool:
    """Whether `flag` is true in any process."""
    if world() == 1:
        return flag
    value = torch.tensor(int(flag), device=device)
    dist.all_reduce(value, dist.ReduceOp.MAX)
    return bool(value.item())


def all_mean(value: Tensor) -> Tensor:
    """Mean over the processes, without gradient."""
    if world() == 1:
        return value
    value = value.clone()
    dist.all_reduce(value)
    return value / world()


def gather_objects(value: Any) -> list[Any]:
    """One picklable value from every process, in order of rank."""
    if world() == 1:
        return [value]
    values: list[Any] = [None] * world()
    dist.all_gather_object(values, value)
    return values


def gather(value: Tensor) -> Tensor:
    """(B, ...) of every process -> (G, ...), without gradient."""
    if world() == 1:
        return value
    parts = [torch.empty_like(value) for _ in range(world())]
    dist.all_gather(parts, value.contiguous())
    return torch.cat(parts)


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        ctx.size = len(value)
        return gather(value)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        total = grads[0].contiguous().clone()
        dist.all_reduce(total)
        return total[rank() * ctx.size : (rank() + 1) * ctx.size]


def gather_with_grad(value: Tensor) -> Tensor:
    """As `gather`; each process receives the gradients of all processes for its rows.

    The gradients are summed, and `parallelize` averages those of the parameters: the result is the
    gradient of the mean of the processes' losses, as in one process with all rows.
    """
    if world() == 1:
        return value
    gathered: Tensor = _Gather.apply(value)
    return gathered


def parallelize(module: nn.Module, config: TrainConfig) -> nn.Module:
    """Activation checkpointing, then compilation, then DDP or FSDP2, for a training module.

    Transformer blocks are the unit of all of them. Returns the module to call in a step.
    """
    towers = [m for m in module.modules() if hasattr(m, "checkpoint_blocks")]
    blocks = [block for tower in towers for block in tower.blocks]  # type: ignore[union-attr]
    for tower in towers:
        tower.checkpoint_blocks = config.checkpoint_blocks  # type: ignore[assignment]
    if config.compile:
        for block in blocks:
            block.compile()
    if not dist.is_initialized():
        return module
    learns = any(p.requires_grad for p in module.parameters())
    if config.parallel == "fsdp":
        for block in blocks:
            fully_shard(block)
        # A frozen module has no backward pass that would free its unsharded weights.
        fully_shard(module, reshard_after_forward=None if learns else True)
        return module
    if not learns:
        return module
    # Stages skip losses of weight 0, and with them some parameters.
    return nn.parallel.DistributedDataParallel(module, find_unused_parameters=True)


@contextmanager
def gradient_sync(module: nn.Module, enabled: bool) -> Iterator[None]:
    """Whether the backward passes inside synchronise gradients (only the last of a step must)."""
    if isinstance(module, nn.parallel.DistributedDataParallel) and not enabled:
        with module.no_sync():
            yield
        return
    if isinstance(module, FSDPModule):
        module.set_requires_gradient_sync(enabled)
    yield


def full(value: Tensor) -> Tensor:
    """A sharded tensor as a whole; all processes must call. Plain tensors are returned
    unchanged.
    """
    return value.full_tensor() if isinstance(value, DTensor) else value


def like(value: Tensor, reference: Tensor) -> Tensor:
    """`value` sharded like `reference`, if that is sharded and has the same shape."""
    if isinstance(reference, DTensor) and value.shape == reference.shape:
        value = value.to(reference.device)
        return distribute_tensor(value, reference.device_mesh, reference.placements)
    return value
