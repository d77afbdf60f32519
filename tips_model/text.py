"""The text tower: bidirectional transformer over sentencepiece ids with mean pooling.

Letters in shapes: B texts, L tokens, D width.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tips_model.config import TextConfig
from tips_model.layers import Block, Mlp, init_block, run_block

NORM_EPS = 1e-5
_LONGEST_TIMESCALE = 10_000.0


def sinusoids(length: int, width: int) -> Tensor:
    """Fixed positions (length, width): [sin | cos] over geometric timescales from 1 to 10,000."""
    count = width // 2
    step = math.log(_LONGEST_TIMESCALE) / max(count - 1, 1)
    # The device is explicit because a tower may be built on the meta device and filled afterwards.
    rates = torch.exp(torch.arange(count, dtype=torch.float32, device="cpu") * -step)
    angles = torch.arange(length, dtype=torch.float32, device="cpu")[:, None] * rates
    return torch.cat((angles.sin(), angles.cos()), dim=1)


class TextTower(nn.Module):
    """Token ids to one vector per text. `checkpoint_blocks` trades time for memory in training."""

    position_table: Tensor

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.config = config
        self.checkpoint_blocks = False
        width = config.width
        # Initialised by `init_weights`. Embedding's own would, on the meta device, import torch's
        # compiler: it costs a second for a model that is then read from a file.
        self.embedding = nn.Embedding(config.vocab, width, _weight=torch.empty(config.vocab, width))
        self.register_buffer(
            "position_table", sinusoids(config.max_length, width), persistent=False
        )
        self.blocks = nn.ModuleList(
            Block(width, config.heads, Mlp(width, config.mlp_hidden, F.relu), NORM_EPS)
            for _ in range(config.depth)
        )
        self.norm = nn.LayerNorm(width, eps=NORM_EPS)

    def init_weights(self, generator: torch.Generator) -> None:
        """As the image tower; embeddings normal 1 / sqrt(D), which the forward pass scales to 1."""
        nn.init.normal_(
            self.embedding.weight, std=1 / math.sqrt(self.config.width), generator=generator
        )
        for block in self.blocks:
            assert isinstance(block, Block)
            init_block(block, generator)

    def forward(self, ids: Tensor, paddings: Tensor) -> Tensor:
        """Encode texts: ids (B,L) int64, paddings (B,L) with 1 at padding -> (B,D), unnormalised.

        A text of only padding gives the zero vector and finite gradients.
        """
        batch, length = ids.shape
        if length < 1:
            raise ValueError("a text has at least one token, padding included")
        if batch < 1:
            return self.embedding.weight.new_zeros(0, self.config.width)
        if length > self.config.max_length:
            raise ValueError(f"{length} tokens are more than the {self.config.max_length} allowed")
        real = paddings == 0  # (B,L)
        # A text of only padding keeps one key open: a softmax over nothing is NaN in the backward
        # pass.
        first = torch.arange(length, device=ids.device) == 0
        keys = real | (first & ~real.any(dim=1, keepdim=True))
        x = self.embedding(ids) * math.sqrt(self.config.width)
        x = x + self.position_table[:length].to(x.dtype)
        for block in self.blocks:
            x = run_block(block, x, keys[:, None, None, :], recompute=self.checkpoint_blocks)
        x = self.norm(x)
        weight = real.unsqueeze(-1).to(x.dtype)
        mean: Tensor = (x * weight).sum(1) / weight.sum(1).clamp_min(1)
        return mean
