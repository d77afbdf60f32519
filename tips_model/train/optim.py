"""Optimisers (Muon, AdamW, Adafactor) and their parameter groups.

Muon updates the matrices of the transformer blocks, AdamW everything else; AdamW or Adafactor (the
papers' choice, unsharded weights only) can also be used alone. No weight decay on biases, norms and
single tokens.
"""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor, nn

from tips_model.train.config import Optimizer

BLOCK = re.compile(r"^(vision|text)\.blocks\.(\d+)\.")
TOKENS = re.compile(r"(^|\.)(cls|mask_token|log_tau)$")


def decays(name: str, parameter: nn.Parameter) -> bool:
    """Whether weight decay applies: matrices and tables, not biases, norms and tokens."""
    return parameter.ndim >= 2 and not TOKENS.search(name)


def depth_factor(name: str, depths: dict[str, int], decay: float) -> float:
    """Layer-wise factor: `decay` to the power of the number of blocks above; the embeddings are
    below all.
    """
    tower = name.split(".")[0]
    if tower not in depths or name.startswith(f"{tower}.norm"):
        return 1.0
    found = BLOCK.match(name)
    above = depths[tower] - 1 - int(found[2]) if found else depths[tower]
    return float(decay**above)


def groups(learner: nn.Module, config: Optimizer, *, muon: bool) -> list[dict[str, Any]]:
    """Parameter groups: those for Muon (`muon`) or the rest; all when Muon is not used.

    Each has `peak` (its largest learning rate) beside PyTorch's own fields.
    """
    depths = {
        tower: 1
        + max(
            int(m[2])
            for name, _ in learner.named_parameters()
            if (m := BLOCK.match(name)) and m[1] == tower
        )
        for tower in ("vision", "text")
    }
    found: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in learner.named_parameters():
        if not parameter.requires_grad:
            continue
        matrix = bool(BLOCK.match(name)) and parameter.ndim == 2
        if config.kind == "muon" and matrix != muon:
            continue
        factor = depth_factor(name, depths, config.layer_decay)
        found.setdefault((factor, decays(name, parameter)), []).append(parameter)
    base = config.matrix_lr if muon else config.lr
    return [
        {
            "params": parameters,
            "peak": base * factor,
            "lr": base * factor,
            "weight_decay": config.weight_decay if decayed else 0.0,
        }
        for (factor, decayed), parameters in found.items()
    ]


class Float32Muon(torch.optim.Muon):
    """`torch.optim.Muon` for processors that are slow in bfloat16: the original orthogonalises in
    bfloat16 regardless of the weights' type. State and rule are the same."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One step for all parameters that have a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = torch.zeros_like(parameter.grad)
                held = state["momentum_buffer"]
                held.lerp_(parameter.grad, 1 - group["momentum"])
                update = parameter.grad.lerp(held, group["momentum"]) if group["nesterov"] else held
                update = orthogonal(
                    update, group["ns_coefficients"], group["ns_steps"], group["eps"]
                )
                tall = max(1.0, parameter.shape[0] / parameter.shape[1]) ** 0.5
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_(update, alpha=-group["lr"] * tall)
        return loss


def orthogonal(
    matrix: Tensor, coefficients: tuple[float, float, float], steps: int, eps: float
) -> Tensor:
    """Approximately the nearest orthogonal matrix, by `steps` of the quintic Newton-Schulz
    iteration (K. Jordan, Muon, 2024) in the matrix's own precision."""
    a, b, c = coefficients
    x = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    x = x / x.norm().clamp_min(eps)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    found: Tensor = x.T if matrix.shape[0] > matrix.shape[1] else x
    return found


def make_optimizers(
    learner: nn.Module, config: Optimizer, *, half: bool = True
) -> list[torch.optim.Optimizer]:
    """The optimisers of a run: [AdamW], [Adafactor], or [Muon, AdamW]; `half`: the processor is
    fast in bfloat16."""
    rest = groups(learner, config, muon=False)
    if config.kind == "adafactor":
        return [torch.optim.Adafactor(rest, lr=config.lr)]
    adamw = torch.optim.AdamW(rest, lr=config.lr, betas=config.betas, fused=True)
    if config.kind == "adamw":
        return [adamw]
    matrices = groups(learner, config, muon=True)
    muon = torch.optim.Muon if half else Float32Muon
    return [muon(matrices, lr=config.matrix_lr, momentum=config.momentum), adamw]


def set_lr(optimizers: list[torch.optim.Optimizer], factor: float) -> None:
    """Set every group's learning rate to its peak times `factor`."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * factor
