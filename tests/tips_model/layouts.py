"""Random reference models of `transformers`, and their weights written in the layouts of others.

The mappings here are written from the layouts' descriptions and know nothing of the readers.
"""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import Tipsv2Config, Tipsv2Model

from tips_model.config import TextConfig, TIPSConfig, VisionConfig

State = dict[str, Tensor]

SMALL = TIPSConfig(
    name="small",
    vision=VisionConfig(width=32, depth=3, heads=4, mlp_hidden=128, grid=32),
    text=TextConfig(width=32, depth=2, heads=4, mlp_hidden=128, vocab=1000),
)
SMALL_SWIGLU = replace(
    SMALL,
    vision=VisionConfig(width=32, depth=3, heads=4, mlp_hidden=88, ffn="swiglu", grid=32),
)
TOKENIZER = Path(__file__).parent / "data" / "tokenizer.model"


def reference(config: TIPSConfig, *, plain: bool = False) -> Tipsv2Model:
    """A model of `transformers` with every parameter random.

    plain: without what Scenic's layout cannot hold (layer scale, a position of the first CLS, a
    mask token).
    """
    v, t = config.vision, config.text
    ratio = 4 if v.ffn == "swiglu" else v.mlp_hidden / v.width
    theirs = Tipsv2Config(
        vision_config={
            "hidden_size": v.width,
            "num_hidden_layers": v.depth,
            "num_attention_heads": v.heads,
            "mlp_ratio": ratio,
            "use_swiglu_ffn": v.ffn == "swiglu",
            "image_size": v.grid * v.patch,
            "patch_size": v.patch,
        },
        text_config={
            "hidden_size": t.width,
            "num_hidden_layers": t.depth,
            "num_attention_heads": t.heads,
            "intermediate_size": t.mlp_hidden,
            "vocab_size": t.vocab,
        },
    )
    model = Tipsv2Model(theirs).eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(1)
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if "norm" in name or "lambda1" in name:
            parameter.copy_(
                1 + 0.2 * noise if name.endswith(("weight", "lambda1")) else noise * 0.2
            )
        elif parameter.ndim > 1 and "embeddings" not in name:
            parameter.copy_(noise * parameter.shape[-1] ** -0.5)
        elif parameter.ndim == 0:
            parameter.fill_(0.0123)
        else:
            parameter.copy_(noise * 0.2)
    if plain:
        for name, parameter in model.named_parameters():
            if "lambda1" in name:
                parameter.fill_(1)
        model.vision_model.embeddings.position_embeddings[:, 0] = 0
        model.vision_model.embeddings.mask_token.zero_()
    return model


def google_pair(model: Tipsv2Model) -> tuple[State, State]:
    """The weights as in Google's PyTorch npz pair: image tower, text tower."""
    state = model.state_dict()
    vision: State = {}
    text: State = {"temperature": state["temperature"].reshape(())}
    embeddings = "vision_model.embeddings."
    vision["cls_token"] = state[embeddings + "cls_token"]
    vision["register_tokens"] = state[embeddings + "register_tokens"]
    vision["mask_token"] = state[embeddings + "mask_token"]
    vision["pos_embed"] = state[embeddings + "position_embeddings"]
    for part in ("weight", "bias"):
        vision[f"patch_embed.proj.{part}"] = state[
            f"{embeddings}patch_embeddings.projection.{part}"
        ]
        vision[f"norm.{part}"] = state[f"vision_model.layernorm.{part}"]
        text[f"ln_final.{part}"] = state[f"text_model.final_layer_norm.{part}"]
    for i in range(model.config.vision_config.num_hidden_layers):
        _google_vision_block(state, vision, i)
    text["token_embedding.weight"] = state["text_model.embeddings.token_embedding.weight"]
    for i in range(model.config.text_config.num_hidden_layers):
        _google_text_block(state, text, i)
    return vision, text


def _google_vision_block(state: State, vision: State, i: int) -> None:
    theirs, ours = f"vision_model.encoder.layer.{i}", f"blocks.{i}"
    for part in ("weight", "bias"):
        for norm in ("norm1", "norm2"):
            vision[f"{ours}.{norm}.{part}"] = state[f"{theirs}.{norm}.{part}"]
        vision[f"{ours}.attn.qkv.{part}"] = torch.cat(
            [state[f"{theirs}.attention.{p}_proj.{part}"] for p in "qkv"]
        )
        vision[f"{ours}.attn.proj.{part}"] = state[f"{theirs}.attention.o_proj.{part}"]
        if f"{theirs}.mlp.gate_proj.{part}" in state:
            vision[f"{ours}.mlp.w12.{part}"] = torch.cat(
                [state[f"{theirs}.mlp.{p}_proj.{part}"] for p in ("gate", "up")]
            )
            vision[f"{ours}.mlp.w3.{part}"] = state[f"{theirs}.mlp.down_proj.{part}"]
        else:
            for layer in ("fc1", "fc2"):
                vision[f"{ours}.mlp.{layer}.{part}"] = state[f"{theirs}.mlp.{layer}.{part}"]
    for n in "12":
        vision[f"{ours}.ls{n}.gamma"] = state[f"{theirs}.layer_scale{n}.lambda1"]


def _google_text_block(state: State, text: State, i: int) -> None:
    theirs, ours = f"text_model.encoder.layers.{i}", f"transformer.resblocks.{i}"
    for part in ("weight", "bias"):
        text[f"{ours}.attn.in_proj_{part}"] = torch.cat(
            [state[f"{theirs}.self_attn.{p}_proj.{part}"] for p in "qkv"]
        )
        for a, b in (
            ("ln_1", "layer_norm1"),
            ("ln_2", "layer_norm2"),
            ("attn.out_proj", "self_attn.out_proj"),
            ("mlp.c_fc", "mlp.fc1"),
            ("mlp.c_proj", "mlp.fc2"),
        ):
            text[f"{ours}.{a}.{part}"] = state[f"{theirs}.{b}.{part}"]


def scenic_pair(model: Tipsv2Model) -> tuple[State, State]:
    """The weights as in Google's Scenic npz pair; the model must be `plain`."""
    state = model.state_dict()
    config = model.config
    embeddings, tokens = "vision_model.embeddings.", "encoder/ToTokenSequence_0"
    positions = state[embeddings + "position_embeddings"][:, 1:]
    side = int(positions.shape[1] ** 0.5)
    projection = f"{embeddings}patch_embeddings.projection"
    vision = {
        f"{tokens}/embedding/kernel": state[f"{projection}.weight"].permute(2, 3, 1, 0),
        f"{tokens}/embedding/bias": state[f"{projection}.bias"],
        f"{tokens}/posembed_input": positions.unflatten(1, (side, side)),
        f"{tokens}/cls": torch.cat(
            (state[embeddings + "cls_token"], state[embeddings + "register_tokens"]), dim=1
        ),
        **_flax_norm(state, "encoder/encoder_norm", "vision_model.layernorm"),
    }
    heads = config.vision_config.num_attention_heads
    for i in range(config.vision_config.num_hidden_layers):
        theirs, ours = f"vision_model.encoder.layer.{i}", f"encoder/transformer/encoderblock_{i}"
        vision |= _flax_norm(state, f"{ours}/LayerNorm_0", f"{theirs}.norm1")
        vision |= _flax_norm(state, f"{ours}/LayerNorm_1", f"{theirs}.norm2")
        vision |= _flax_attention(state, ours, f"{theirs}.attention", "o_proj", heads)
        swiglu = f"{theirs}.mlp.gate_proj.weight" in state
        layers = ("gate_proj", "up_proj", "down_proj") if swiglu else ("fc1", "fc2")
        module = "FFNSwiGluFused_0" if swiglu else "MlpBlock_0"
        for n, layer in enumerate(layers):
            vision |= _flax_dense(state, f"{ours}/{module}/Dense_{n}", f"{theirs}.mlp.{layer}")
    text = {
        "temperature_contrastive": state["temperature"].reshape(()),
        "token_emb/emb_var": state["text_model.embeddings.token_embedding.weight"],
        **_flax_norm(state, "text_encoder_norm", "text_model.final_layer_norm"),
    }
    heads = config.text_config.num_attention_heads
    for i in range(config.text_config.num_hidden_layers):
        theirs, ours = f"text_model.encoder.layers.{i}", f"transformer/encoderblock_{i}"
        text |= _flax_norm(state, f"{ours}/LayerNorm_0", f"{theirs}.layer_norm1")
        text |= _flax_norm(state, f"{ours}/LayerNorm_1", f"{theirs}.layer_norm2")
        text |= _flax_attention(state, ours, f"{theirs}.self_attn", "out_proj", heads)
        for n, layer in enumerate(("fc1", "fc2")):
            text |= _flax_dense(state, f"{ours}/MlpBlock_0/Dense_{n}", f"{theirs}.mlp.{layer}")
    return vision, text


def _flax_norm(state: State, ours: str, theirs: str) -> State:
    return {f"{ours}/scale": state[f"{theirs}.weight"], f"{ours}/bias": state[f"{theirs}.bias"]}


def _flax_dense(state: State, ours: str, theirs: str) -> State:
    return {f"{ours}/kernel": state[f"{theirs}.weight"].T, f"{ours}/bias": state[f"{theirs}.bias"]}


def _flax_attention(state: State, ours: str, theirs: str, out: str, heads: int) -> State:
    module = f"{ours}/MultiHeadDotProductAttention_0"
    result: State = {}
    for letter, name in (("q", "query"), ("k", "key"), ("v", "value")):
        weight = state[f"{theirs}.{letter}_proj.weight"]
        result[f"{module}/{name}/kernel"] = weight.T.unflatten(1, (heads, -1))
        result[f"{module}/{name}/bias"] = state[f"{theirs}.{letter}_proj.bias"].unflatten(
            0, (heads, -1)
        )
    result[f"{module}/out/kernel"] = state[f"{theirs}.{out}.weight"].T.unflatten(0, (heads, -1))
    result[f"{module}/out/bias"] = state[f"{theirs}.{out}.bias"]
    return result


def write_npz_pair(folder: Path, pair: tuple[State, State], stem: str = "tips_v2_oss_b14") -> None:
    """Two npz files and the tokenizer in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for tower, tensors in zip(("vision", "text"), pair, strict=True):
        arrays = {key: tensor.numpy() for key, tensor in tensors.items()}
        np.savez(folder / f"{stem}_{tower}.npz", **arrays)
    (folder / "tokenizer.model").write_bytes(TOKENIZER.read_bytes())


def write_safetensors(folder: Path, tensors: State, **config: float) -> None:
    """model.safetensors, config.json and the tokenizer in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({k: v.contiguous().clone() for k, v in tensors.items()}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_type": "tipsv2", **config}))
    (folder / "tokenizer.model").write_bytes(TOKENIZER.read_bytes())
