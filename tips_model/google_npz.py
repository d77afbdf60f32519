"""Reader for Google's PyTorch weights: one npz per tower, or the same names prefixed, on the hub.

The image tower there is a DINOv2 with one register token: `cls_token` is our web CLS and the
register our caption CLS, the position table has a row for the first CLS, and there is a LayerScale
after both halves of a block. All of that folds into our plainer tower without loss: the CLS row is
added to the CLS, and a scale per output channel is a factor on the rows of the matrix before it.
"""

import math
from dataclasses import replace

from torch import Tensor

from tips_model.config import TextConfig, TIPSConfig, VisionConfig
from tips_model.errors import WeightsError
from tips_model.tensors import State, TensorSource


def fold_scale(state: State, layer: str, scale: Tensor) -> None:
    """Multiply the outputs of a linear layer, weight and bias, by scale (D,)."""
    state[f"{layer}.weight"] = state[f"{layer}.weight"] * scale[:, None]
    state[f"{layer}.bias"] = state[f"{layer}.bias"] * scale


def with_grid(config: TIPSConfig, positions: int, label: str) -> TIPSConfig:
    """The configuration with the file's position table size: `positions` square cells.

    The files of the high-resolution v1 models exist with both table sizes; the file decides.
    """
    side = math.isqrt(positions)
    if side * side != positions or side == 0:
        raise WeightsError(f"{label}: a position table of {positions} cells is not square.")
    return replace(config, vision=replace(config.vision, grid=side))


def read_google(
    vision: TensorSource, text: TensorSource, config: TIPSConfig
) -> tuple[State, TIPSConfig]:
    """Both towers under our names, with the temperature, and their configuration."""
    config = with_grid(config, vision.shape("pos_embed")[1] - 1, vision.label)
    state = {
        **{f"vision.{key}": value for key, value in _vision(vision, config.vision).items()},
        **{f"text.{key}": value for key, value in _text(text, config.text).items()},
        "temperature": text.take("temperature", ()),
    }
    vision.finish()
    text.finish()
    return state, config


def _vision(source: TensorSource, config: VisionConfig) -> State:
    width, grid, patch = config.width, config.grid, config.patch
    positions = source.take("pos_embed", (1, 1 + grid * grid, width))[0]
    web = source.take("cls_token", (1, 1, width))[0, 0] + positions[0]
    caption = source.take("register_tokens", (1, 1, width))[0, 0]
    state = {
        "positions": positions[1:].reshape(grid, grid, width).clone(),
        "cls": web.new_empty(2, width),
        "mask_token": source.take("mask_token", (1, width))[0],
        "patch_embed.weight": source.take("patch_embed.proj.weight", (width, 3, patch, patch)),
        "patch_embed.bias": source.take("patch_embed.proj.bias", (width,)),
        **_norm(source, "norm", "norm", width),
    }
    state["cls"][0], state["cls"][1] = web, caption
    for index in range(config.depth):
        block = f"blocks.{index}"
        state |= _norm(source, f"{block}.norm1", f"{block}.norm1", width)
        state |= _norm(source, f"{block}.norm2", f"{block}.norm2", width)
        state |= _linear(source, f"{block}.attn.qkv", f"{block}.attn.qkv", width, 3 * width)
        state |= _linear(source, f"{block}.attn.proj", f"{block}.attn.proj", width, width)
        last = _feed_forward(source, state, f"{block}.mlp", config)
        fold_scale(state, f"{block}.attn.proj", source.take(f"{block}.ls1.gamma", (width,)))
        fold_scale(state, last, source.take(f"{block}.ls2.gamma", (width,)))
    return state


def _feed_forward(source: TensorSource, state: State, mlp: str, config: VisionConfig) -> str:
    """Add the layers of one feed-forward to state; returns the name of the last one."""
    width, hidden = config.width, config.mlp_hidden
    if config.ffn == "swiglu":
        state |= _linear(source, f"{mlp}.w12", f"{mlp}.gate_up", width, 2 * hidden)
        state |= _linear(source, f"{mlp}.w3", f"{mlp}.down", hidden, width)
        return f"{mlp}.down"
    state |= _linear(source, f"{mlp}.fc1", f"{mlp}.fc1", width, hidden)
    state |= _linear(source, f"{mlp}.fc2", f"{mlp}.fc2", hidden, width)
    return f"{mlp}.fc2"


def _text(source: TensorSource, config: TextConfig) -> State:
    width, hidden = config.width, config.mlp_hidden
    state = {
        "embedding.weight": source.take("token_embedding.weight", (config.vocab, width)),
        **_norm(source, "ln_final", "norm", width),
    }
    for index in range(config.depth):
        theirs, ours = f"transformer.resblocks.{index}", f"blocks.{index}"
        state |= _norm(source, f"{theirs}.ln_1", f"{ours}.norm1", width)
        state |= _norm(source, f"{theirs}.ln_2", f"{ours}.norm2", width)
        state[f"{ours}.attn.qkv.weight"] = source.take(
            f"{theirs}.attn.in_proj_weight", (3 * width, width)
        )
        state[f"{ours}.attn.qkv.bias"] = source.take(f"{theirs}.attn.in_proj_bias", (3 * width,))
        state |= _linear(source, f"{theirs}.attn.out_proj", f"{ours}.attn.proj", width, width)
        state |= _linear(source, f"{theirs}.mlp.c_fc", f"{ours}.mlp.fc1", width, hidden)
        state |= _linear(source, f"{theirs}.mlp.c_proj", f"{ours}.mlp.fc2", hidden, width)
    return state


def _norm(source: TensorSource, theirs: str, ours: str, width: int) -> State:
    return {
        f"{ours}.{part}": source.take(f"{theirs}.{part}", (width,)) for part in ("weight", "bias")
    }


def _linear(source: TensorSource, theirs: str, ours: str, inputs: int, outputs: int) -> State:
    return {
        f"{ours}.weight": source.take(f"{theirs}.weight", (outputs, inputs)),
        f"{ours}.bias": source.take(f"{theirs}.bias", (outputs,)),
    }
