"""Transformer layers of both towers: attention, feed-forward, pre-norm block.

Letters in shapes: B batch, T tokens, D width, H heads, K = D / H.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

# Below this many tokens the backward pass of fused attention in bfloat16 on the CPU costs more than
# the plain product (a third of a training step at 64 tokens); above it the T x T matrix does.
_PLAIN_ATTENTION_TOKENS = 256
_MOST_HEAD_TOKENS = 4096  # 32 MB of scores


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """softmax(q k^T / sqrt(K)) v. q (B,H,Q,K), k and v (B,H,T,K); mask bool, True = attend."""
    plain = (
        q.device.type == "cpu"
        and q.dtype == torch.bfloat16
        and torch.is_grad_enabled()
        and q.requires_grad
        and k.shape[-2] <= _PLAIN_ATTENTION_TOKENS
    )
    if not plain:
        if mask is None and _head_by_head(q, k):
            return _attend_by_heads(q, k, v)
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    return torch.softmax(scores, dim=-1) @ v


def _head_by_head(q: Tensor, k: Tensor) -> bool:
    """Whether plain products of one head at a time are faster than fused attention: in bfloat16 on
    the CPU, without a gradient. Fused attention gains nothing from bfloat16 there, while one head's
    scores of a thousand tokens stay in the cache (13 against 23 ms for 12 heads of 1,026 tokens).
    """
    return (
        q.device.type == "cpu"
        and q.dtype == torch.bfloat16
        and not torch.is_grad_enabled()
        and _PLAIN_ATTENTION_TOKENS < k.shape[-2] <= _MOST_HEAD_TOKENS
    )


def _attend_by_heads(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    scaled, out = q * q.shape[-1] ** -0.5, torch.empty_like(q)
    for picture in range(q.shape[0]):
        for head in range(q.shape[1]):
            scores = scaled[picture, head] @ k[picture, head].T
            torch.mm(torch.softmax(scores, dim=-1), v[picture, head], out=out[picture, head])
    return out


class Attention(nn.Module):
    """Multi-head self-attention with one fused, biased projection for query, key and value."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """x (B,T,D), mask bool broadcastable to (B,H,T,T) -> (B,T,D)."""
        q, k, v = self._split(self.qkv(x), 3)
        return self._merge(attend(q, k, v, mask))

    def first_and_values(self, x: Tensor, first: int) -> tuple[Tensor, Tensor]:
        """Attention for the first tokens only, and the projected values of all the others.

        The second is the value trick (MaskCLIP, arXiv 2112.01071): a token's own value vector
        replaces the attention output, so it stays local to its position in the picture.
        x (B,T,D) -> (B,first,D), (B,T-first,D).
        """
        width = x.shape[-1]
        weight, bias = self.qkv.weight, self.qkv.bias
        (q,) = self._split(F.linear(x[:, :first], weight[:width], bias[:width]), 1)
        values = F.linear(x, weight[width:], bias[width:])
        k, v = self._split(values, 2)
        return self._merge(attend(q, k, v)), self.proj(values[:, first:, width:])

    def _split(self, fused: Tensor, parts: int) -> tuple[Tensor, ...]:
        """(B,T,parts*D) -> parts tensors (B,H,T,K)."""
        batch, tokens, _ = fused.shape
        return fused.view(batch, tokens, parts, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)

    def _merge(self, mixed: Tensor) -> Tensor:
        """(B,H,T,K) -> output projection (B,T,D)."""
        merged: Tensor = self.proj(mixed.transpose(1, 2).flatten(2))
        return merged


class Mlp(nn.Module):
    """Linear, activation, Linear: exact GELU in the image tower, ReLU in the text tower."""

    def __init__(self, width: int, hidden: int, activation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) -> (..., D)."""
        result: Tensor = self.fc2(self.activation(self.fc1(x)))
        return result


class SwiGlu(nn.Module):
    """down(silu(gate(x)) * up(x)), gate and up fused (arXiv 2002.05202), as in the g models."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gate_up = nn.Linear(width, 2 * hidden)
        self.down = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) -> (..., D)."""
        gate, up = self.gate_up(x).chunk(2, dim=-1)
        result: Tensor = self.down(F.silu(gate) * up)
        return result


class Block(nn.Module):
    """Pre-norm transformer block: x + attention(norm(x)), then x + feed-forward(norm(x))."""

    def __init__(self, width: int, heads: int, mlp: nn.Module, eps: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=eps)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=eps)
        self.mlp = mlp

    def forward(
        self, x: Tensor, mask: Tensor | None = None, *, first: int = 0, ffn: bool = True
    ) -> Tensor:
        """(B,T,D) -> (B,T,D); mask as in `Attention.forward`.

        With `first`, only the first `first` tokens attend; the others become their own values, with
        residual and feed-forward (`ffn`) or without both.
        """
        if not first:
            x = x + self.attn(self.norm1(x), mask)
            return self.feed_forward(x)
        head, values = self.attn.first_and_values(self.norm1(x), first)
        head = self.feed_forward(x[:, :first] + head)
        if ffn:
            values = self.feed_forward(x[:, first:] + values)
        return torch.cat((head, values), dim=1)

    def feed_forward(self, x: Tensor) -> Tensor:
        """The feed-forward half alone, with its residual."""
        result: Tensor = x + self.mlp(self.norm2(x))
        return result


def run_block(block: nn.Module, x: Tensor, mask: Tensor | None, *, recompute: bool) -> Tensor:
    """Run a block; with `recompute`, activations are recomputed in the backward pass."""
    if recompute and torch.is_grad_enabled():
        return checkpoint(block, x, mask, use_reentrant=False)  # type: ignore[no-any-return]
    return block(x, mask)  # type: ignore[no-any-return]


def init_linear(layer: nn.Linear, generator: torch.Generator, *, parts: int = 1) -> None:
    """Xavier-uniform kernel, each of the `parts` stacked outputs as its own matrix; zero bias.

    Scenic stores query, key, value (and gate, up) separately, so each is scaled by its own fan-out.
    """
    for part in layer.weight.chunk(parts, dim=0):
        nn.init.xavier_uniform_(part, generator=generator)
    nn.init.zeros_(layer.bias)


def init_block(block: Block, generator: torch.Generator) -> None:
    """The official Scenic initialisation of one block: feed-forward biases normal 1e-6."""
    init_linear(block.attn.qkv, generator, parts=3)
    init_linear(block.attn.proj, generator)
    for layer in block.mlp.children():
        if isinstance(layer, nn.Linear):
            fused = isinstance(block.mlp, SwiGlu) and layer is block.mlp.gate_up
            init_linear(layer, generator, parts=2 if fused else 1)
            nn.init.normal_(layer.bias, std=1e-6, generator=generator)
