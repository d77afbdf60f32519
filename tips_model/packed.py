"""An image tower for bfloat16 on the CPU with weights prepacked for oneDNN.

Autocast converts a weight to bfloat16, and oneDNN reorders it, at every call. A packed tower does
both once: about 8 % more pictures a second (`bench/encoder.py`), for half the memory of the float32
weights on top of these.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from tips_model.layers import Block
from tips_model.vision import VisionTower

# Row count for which the layout is optimised; others work as well.
_ROWS = 2048


class PackedLinear(nn.Module):
    """`nn.Linear` with a packed bfloat16 weight; no gradient."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight = linear.weight.detach().to(torch.bfloat16)
        self._weight: Any = torch.ops.mkldnn._reorder_linear_weight(weight, _ROWS)
        self._bias = linear.bias.detach().to(torch.bfloat16)

    def forward(self, x: Tensor) -> Tensor:
        """(..., inputs) -> (..., outputs) bfloat16."""
        x = x.to(torch.bfloat16).contiguous()
        result: Tensor = torch.ops.mkldnn._linear_pointwise(
            x, self._weight, self._bias, "none", [], ""
        )
        return result


def can_pack() -> bool:
    """Whether this build of torch has what packing needs (oneDNN)."""
    ops = torch.ops.mkldnn
    built = bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]
    names = ("_reorder_linear_weight", "_linear_pointwise")
    return built and all(hasattr(ops, name) for name in names)


def packed(tower: VisionTower) -> VisionTower:
    """A tower with packed linear layers; it shares all other parameters with the given one."""
    shared = {id(parameter): parameter for parameter in tower.parameters()}
    made = copy.deepcopy(tower, shared)
    last = len(made.blocks) - 1
    for index, block in enumerate(made.blocks):
        assert isinstance(block, Block)
        for part in (block.attn, block.mlp):
            for name, child in list(part.named_children()):
                # The value trick slices the last block's fused projection.
                if isinstance(child, nn.Linear) and not (name == "qkv" and index == last):
                    setattr(part, name, PackedLinear(child))
    return made
