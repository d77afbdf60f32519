"""Reader for Google's Scenic (Flax) weights: one npz per tower, names joined with "/".

Flax stores kernels as (inputs, outputs), attention kernels with separate heads, (D,H,K) in and
(H,K,D) out, and convolutions as (height, width, inputs, outputs). There is no mask token.
"""

import torch
from torch import Tensor

from tips_model.config import TextConfig, TIPSConfig, VisionConfig
from tips_model.google_npz import with_grid
from tips_model.tensors import State, TensorSource

_TOKENS = "encoder/ToTokenSequence_0"


def read_scenic(
    vision: TensorSource, text: TensorSource, config: TIPSConfig
) -> tuple[State, TIPSConfig]:
    """Both towers under our names, with the temperature, and their configuration."""
    rows, columns = vision.shape(f"{_TOKENS}/posembed_input")[1:3]
    config = with_grid(config, rows * columns, vision.label)
    state = {
        **{f"vision.{key}": value for key, value in _vision(vision, config.vision).items()},
        **{f"text.{key}": value for key, value in _text(text, config.text).items()},
        "temperature": text.take("temperature_contrastive", ()),
    }
    vision.finish()
    text.finish()
    return state, config


def _vision(source: TensorSource, config: VisionConfig) -> State:
    width, grid, patch = config.width, config.grid, config.patch
    kernel = source.take(f"{_TOKENS}/embedding/kernel", (patch, patch, 3, width))
    state = {
        "positions": source.take(f"{_TOKENS}/posembed_input", (1, grid, grid, width))[0],
        "cls": source.take(f"{_TOKENS}/cls", (1, 2, width))[0],
        "mask_token": torch.zeros(width),
        "patch_embed.weight": kernel.permute(3, 2, 0, 1).contiguous(),
        "patch_embed.bias": source.take(f"{_TOKENS}/embedding/bias", (width,)),
        **_norm(source, "encoder/encoder_norm", "norm", width),
    }
    for index in range(config.depth):
        theirs, ours = f"encoder/transformer/encoderblock_{index}", f"blocks.{index}"
        state |= _attention_half(source, theirs, ours, width, config.heads)
        if config.ffn == "swiglu":
            state |= _swiglu(source, f"{theirs}/FFNSwiGluFused_0", f"{ours}.mlp", config)
        else:
            state |= _mlp(source, f"{theirs}/MlpBlock_0", f"{ours}.mlp", width, config.mlp_hidden)
    return state


def _text(source: TensorSource, config: TextConfig) -> State:
    width = config.width
    state = {
        "embedding.weight": source.take("token_emb/emb_var", (config.vocab, width)),
        **_norm(source, "text_encoder_norm", "norm", width),
    }
    for index in range(config.depth):
        theirs, ours = f"transformer/encoderblock_{index}", f"blocks.{index}"
        state |= _attention_half(source, theirs, ours, width, config.heads)
        state |= _mlp(source, f"{theirs}/MlpBlock_0", f"{ours}.mlp", width, config.mlp_hidden)
    return state


def _attention_half(source: TensorSource, theirs: str, ours: str, width: int, heads: int) -> State:
    attention = f"{theirs}/MultiHeadDotProductAttention_0"
    per_head = width // heads
    kernels, biases = [], []
    for part in ("query", "key", "value"):
        kernel = source.take(f"{attention}/{part}/kernel", (width, heads, per_head))
        kernels.append(kernel.reshape(width, width).T)
        biases.append(source.take(f"{attention}/{part}/bias", (heads, per_head)).reshape(width))
    out = source.take(f"{attention}/out/kernel", (heads, per_head, width))
    return {
        **_norm(source, f"{theirs}/LayerNorm_0", f"{ours}.norm1", width),
        **_norm(source, f"{theirs}/LayerNorm_1", f"{ours}.norm2", width),
        f"{ours}.attn.qkv.weight": torch.cat(kernels),
        f"{ours}.attn.qkv.bias": torch.cat(biases),
        f"{ours}.attn.proj.weight": out.reshape(width, width).T.contiguous(),
        f"{ours}.attn.proj.bias": source.take(f"{attention}/out/bias", (width,)),
    }


def _mlp(source: TensorSource, theirs: str, ours: str, width: int, hidden: int) -> State:
    up, up_bias = _dense(source, f"{theirs}/Dense_0", width, hidden)
    down, down_bias = _dense(source, f"{theirs}/Dense_1", hidden, width)
    return {
        f"{ours}.fc1.weight": up,
        f"{ours}.fc1.bias": up_bias,
        f"{ours}.fc2.weight": down,
        f"{ours}.fc2.bias": down_bias,
    }


def _swiglu(source: TensorSource, theirs: str, ours: str, config: VisionConfig) -> State:
    width, hidden = config.width, config.mlp_hidden
    gate, gate_bias = _dense(source, f"{theirs}/Dense_0", width, hidden)
    up, up_bias = _dense(source, f"{theirs}/Dense_1", width, hidden)
    down, down_bias = _dense(source, f"{theirs}/Dense_2", hidden, width)
    return {
        f"{ours}.gate_up.weight": torch.cat((gate, up)),
        f"{ours}.gate_up.bias": torch.cat((gate_bias, up_bias)),
        f"{ours}.down.weight": down,
        f"{ours}.down.bias": down_bias,
    }


def _dense(source: TensorSource, name: str, inputs: int, outputs: int) -> tuple[Tensor, Tensor]:
    kernel = source.take(f"{name}/kernel", (inputs, outputs))
    return kernel.T.contiguous(), source.take(f"{name}/bias", (outputs,))


def _norm(source: TensorSource, theirs: str, ours: str, width: int) -> State:
    return {
        f"{ours}.weight": source.take(f"{theirs}/scale", (width,)),
        f"{ours}.bias": source.take(f"{theirs}/bias", (width,)),
    }
