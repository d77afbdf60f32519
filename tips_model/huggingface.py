"""The safetensors of `google/tipsv2-*`, under the hub's names or those of `transformers`.

The hub's files carry Google's PyTorch names behind `vision_encoder.` and `text_encoder.`;
`transformers` has names of its own behind `vision_model.` and `text_model.`, which are turned back
into Google's here, so that one reader knows the layout. The published files have no temperature:
it stands in config.json.
"""

import json
import re
from pathlib import Path

import torch
from torch import Tensor

from tips_model.config import TIPSConfig
from tips_model.errors import WeightsError
from tips_model.google_npz import read_google
from tips_model.tensors import State, TensorSource, read_safetensors

_VISION_NAMES = (
    (r"^embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
    (r"^embeddings\.position_embeddings$", "pos_embed"),
    (r"^embeddings\.", ""),
    (r"^layernorm\.", "norm."),
    (r"^encoder\.layer\.", "blocks."),
    (r"\.attention\.o_proj\.", ".attn.proj."),
    (r"\.attention\.", ".attn."),
    (r"\.layer_scale([12])\.lambda1$", r".ls\1.gamma"),
    (r"\.mlp\.down_proj\.", ".mlp.w3."),
)
# What `transformers` writes when it saves under the hub's names.
_HUB_VISION_NAMES = ((r"\.mlp\.c_fc\.", ".mlp.fc1."), (r"\.mlp\.c_proj\.", ".mlp.fc2."))
_TEXT_NAMES = (
    (r"^embeddings\.", ""),
    (r"^final_layer_norm\.", "ln_final."),
    (r"^encoder\.layers\.", "transformer.resblocks."),
    (r"\.layer_norm([12])\.", r".ln_\1."),
    (r"\.self_attn\.", ".attn."),
    (r"\.mlp\.fc1\.", ".mlp.c_fc."),
    (r"\.mlp\.fc2\.", ".mlp.c_proj."),
)
# The parts that transformers keeps apart, in the order in which Google stacks them.
_VISION_STACKS = (
    (("q_proj.weight", "k_proj.weight", "v_proj.weight"), "qkv.weight"),
    (("q_proj.bias", "k_proj.bias", "v_proj.bias"), "qkv.bias"),
    (("gate_proj.weight", "up_proj.weight"), "w12.weight"),
    (("gate_proj.bias", "up_proj.bias"), "w12.bias"),
)
_TEXT_STACKS = (
    (("q_proj.weight", "k_proj.weight", "v_proj.weight"), "in_proj_weight"),
    (("q_proj.bias", "k_proj.bias", "v_proj.bias"), "in_proj_bias"),
)


def read_huggingface(folder: Path, config: TIPSConfig) -> tuple[State, TIPSConfig]:
    """Both towers in our names from a folder with `model*.safetensors` and `config.json`."""
    files = sorted(folder.glob("model*.safetensors"))
    if not files:
        raise WeightsError(f"{folder} has no model.safetensors.")
    tensors: State = {}
    for file in files:
        tensors |= read_safetensors(file)
    if "temperature" not in tensors:
        tensors["temperature"] = _stated_temperature(folder)
    return convert_huggingface(tensors, config, str(folder / files[0].name))


def convert_huggingface(tensors: State, config: TIPSConfig, label: str) -> tuple[State, TIPSConfig]:
    """The same from the tensors of such a model, `temperature` among them; `label` names them."""
    vision, text, rest = _split_towers(tensors)
    TensorSource(rest, label).finish()
    return read_google(TensorSource(vision, label), TensorSource(text, label), config)


def _split_towers(tensors: State) -> tuple[State, State, State]:
    vision: State = {}
    text: State = {}
    rest: State = {}
    for key, tensor in tensors.items():
        prefix, _, name = key.partition(".")
        if prefix == "vision_encoder":
            vision[_rename(name, _HUB_VISION_NAMES)] = tensor
        elif prefix == "text_encoder":
            text[name] = tensor
        elif prefix == "vision_model":
            vision[_rename(name, _VISION_NAMES)] = tensor
        elif prefix == "text_model":
            text[_rename(name, _TEXT_NAMES)] = tensor
        elif key == "temperature":
            text[key] = tensor.reshape(())
        else:
            rest[key] = tensor
    return _stack(vision, _VISION_STACKS), _stack(text, _TEXT_STACKS), rest


def _rename(name: str, rules: tuple[tuple[str, str], ...]) -> str:
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


def _stack(tensors: State, stacks: tuple[tuple[tuple[str, ...], str], ...]) -> State:
    """Replace each complete set of parts by their stack; incomplete sets stay and are refused."""
    result = dict(tensors)
    for parts, whole in stacks:
        for key in [key for key in tensors if key.endswith(parts[0])]:
            stem = key.removesuffix(parts[0])
            if all(stem + part in tensors for part in parts):
                result[stem + whole] = torch.cat([result.pop(stem + part) for part in parts])
    return result


def _stated_temperature(folder: Path) -> Tensor:
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        return torch.tensor(float(config["temperature_init_value"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(
            f"{path} does not state temperature_init_value; fetch the model's config.json."
        ) from error
