"""Reader for the safetensors of `google/tipsv2-*`, under the hub's or the `transformers` names.

The hub's files carry Google's PyTorch names prefixed with `vision_encoder.` and `text_encoder.`;
`transformers` has its own names prefixed with `vision_model.` and `text_model.`, which are mapped
back to Google's here, so that only one reader knows the layout. The published files contain no
temperature: it is in config.json.
"""

import re
from pathlib import Path

import torch
from torch import Tensor

from tips_model.config import TIPSConfig
from tips_model.errors import WeightsError
from tips_model.google_npz import read_google
from tips_model.tensors import State, TensorSource, read_safetensors
from tips_model.untrusted import parse_json

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
# Names that `transformers` writes when it saves under the hub's names.
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
# The parts that transformers stores separately, in the order in which Google stacks them.
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
    """Both towers under our names from a folder with `model*.safetensors` and `config.json`."""
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
    """The same from such a model's tensors, including `temperature`; `label` names their source."""
    rest = dict(tensors)
    vision = _Renamed(rest, "vision_encoder.", _HUB_VISION_NAMES)
    vision.add(rest, "vision_model.", _VISION_NAMES)
    text = _Renamed(rest, "text_encoder.", ())
    text.add(rest, "text_model.", _TEXT_NAMES)
    if "temperature" in rest:
        temperature = rest.pop("temperature")
        if temperature.numel() != 1:
            raise WeightsError(
                f"{label}: temperature has shape {tuple(temperature.shape)}, not ()."
            )
        text.tensors["temperature"] = temperature.reshape(())
    TensorSource(rest, label).finish()
    return read_google(
        vision.stacked(_VISION_STACKS, label), text.stacked(_TEXT_STACKS, label), config
    )


class _Renamed:
    """One tower's tensors under Google's names, and their original names."""

    def __init__(self, rest: State, prefix: str, rules: tuple[tuple[str, str], ...]) -> None:
        self.tensors: State = {}
        self._names: dict[str, str] = {}
        self.add(rest, prefix, rules)

    def add(self, rest: State, prefix: str, rules: tuple[tuple[str, str], ...]) -> None:
        """Move the tensors with this prefix from `rest`, renamed by the rules."""
        for key in [key for key in rest if key.startswith(prefix)]:
            name = key.removeprefix(prefix)
            for pattern, replacement in rules:
                name = re.sub(pattern, replacement, name)
            self.tensors[name] = rest.pop(key)
            self._names[name] = key

    def stacked(self, stacks: tuple[tuple[tuple[str, ...], str], ...], label: str) -> TensorSource:
        """The tensors with each set of parts replaced by its stack."""
        result, names = dict(self.tensors), dict(self._names)
        for parts, whole in stacks:
            stems = {
                key.removesuffix(part)
                for key in self.tensors
                for part in parts
                if key.endswith(part)
            }
            for stem in sorted(stems):
                found = [result.pop(stem + part, None) for part in parts]
                there = next(p for p, f in zip(parts, found, strict=True) if f is not None)
                called = self._names[stem + there].removesuffix(there)
                for part, tensor in zip(parts, found, strict=True):
                    if tensor is None:
                        raise WeightsError(f"{label}: the tensor {called}{part} is missing.")
                whole_parts = [tensor for tensor in found if tensor is not None]
                if len({tensor.shape[1:] for tensor in whole_parts}) > 1:
                    shapes = [tuple(tensor.shape) for tensor in whole_parts]
                    raise WeightsError(
                        f"{label}: {called}{parts[0]} and its like have shapes {shapes}, which do "
                        "not belong together."
                    )
                result[stem + whole] = torch.cat(whole_parts)
                names[stem + whole] = called + parts[0]
        return TensorSource(result, label, names)


def _stated_temperature(folder: Path) -> Tensor:
    path = folder / "config.json"
    try:
        config = parse_json(path.read_text(encoding="utf-8"))
        return torch.tensor(float(config["temperature_init_value"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(
            f"{path} does not state temperature_init_value; download the model's config.json."
        ) from error
