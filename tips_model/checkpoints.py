"""Load and save models: our own folder format, and detection of the official formats.

Our folder holds `model.safetensors` (our names), `config.json` and `tokenizer.model`. config.json
is written last and contains the weights id, so a folder mixed by two writers is detected.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from tips_model.atomic import replacing
from tips_model.config import VARIANTS, TIPSConfig
from tips_model.errors import ModelNameError, WeightsError
from tips_model.google_npz import read_google
from tips_model.huggingface import read_huggingface
from tips_model.model import TIPS
from tips_model.registry import (
    FORMAT,
    NANO_FOLDER,
    TOKENIZER_FILE,
    cached_folder,
    missing_sentence,
    tokenizer_path,
)
from tips_model.scenic_npz import read_scenic
from tips_model.tensors import State, TensorSource, fingerprint, read_npz, read_safetensors
from tips_model.tokenizer import Tokenizer
from tips_model.untrusted import parse_json

FORMAT_VERSION = 1


def load(
    name: str,
    *,
    weights: str | Path | None = None,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
) -> TIPS:
    """A model in evaluation mode, float32 unless `dtype` says otherwise.

    name: one of VARIANTS, or a folder in our own format.
    weights: a folder with the weights; None means the package's own for `nano` and otherwise the
    files downloaded by `tips models fetch NAME`. A folder in our own format states its own model
    name; for a folder with Google's npz pair or the Hugging Face files, `name` says which model
    they are.
    Raises ModelNameError for an unknown name, WeightsError when weights are missing or do not fit.
    """
    if weights is None and name not in VARIANTS and Path(name).is_dir():
        weights = name
    if weights is not None:
        folder = Path(weights)
        if not folder.is_dir():
            raise WeightsError(f"The weights folder {folder} does not exist.")
        if _is_own(folder):
            return load_model(folder, device=device, dtype=dtype)
    if name not in VARIANTS:
        raise ModelNameError(
            f"There is no model {name!r}; there are {', '.join(VARIANTS)}, openclip:ARCH/TAG, "
            "and folders written by `tips train`."
        )
    if weights is None:
        if name == "nano":
            return load_model(NANO_FOLDER, device=device, dtype=dtype)
        found = cached_folder(name)
        if found is None:
            raise WeightsError(missing_sentence(name))
        folder = found
    state, config = read_foreign(folder, VARIANTS[name])
    tokenizer = Tokenizer(tokenizer_path(folder, name), config.text.max_length)
    return _fill(_on_meta(config), state, tokenizer, device=device, dtype=dtype)


def read_foreign(folder: Path, config: TIPSConfig) -> tuple[State, TIPSConfig]:
    """The weights in a folder with Google's npz pair (either layout) or Hugging Face's files.

    Returns them under our names, float32, and the configuration with the file's position table
    size.
    """
    pair = [sorted(folder.glob(f"*_{tower}.npz")) for tower in ("vision", "text")]
    if any(pair):
        for tower, found in zip(("vision", "text"), pair, strict=True):
            if len(found) != 1:
                raise WeightsError(
                    f"{folder} has {len(found)} files *_{tower}.npz; it takes one of each tower."
                )
        vision, text = (TensorSource(read_npz(found[0]), str(found[0])) for found in pair)
        scenic = any(key.startswith("encoder/") for key in vision.keys())  # noqa: SIM118
        return (read_scenic if scenic else read_google)(vision, text, config)
    if any(folder.glob("model*.safetensors")):
        return read_huggingface(folder, config)
    raise WeightsError(
        f"{folder} holds no weights: expected *_vision.npz and *_text.npz, or model.safetensors "
        "with config.json."
    )


def save_model(
    model: TIPS, folder: str | Path, *, dtype: torch.dtype | None = None, note: str | None = None
) -> str:
    """Write a model in our own format and return its weights id.

    dtype: storage type of the tensors, by default unchanged. note: a sentence for users, by default
    the model's. Each file is replaced atomically, config.json last.
    """
    folder = Path(folder)
    state = {
        key: tensor.detach().to("cpu", dtype).contiguous()
        for key, tensor in model.state_dict().items()
    }
    weights_id = fingerprint(state)
    config = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "weights_id": weights_id,
        "note": model.note if note is None else note,
        "model": model.config.to_dict(),
    }
    _write(folder / "model.safetensors", save(state))
    if model.tokenizer is not None:
        _write(folder / TOKENIZER_FILE, model.tokenizer.model_bytes)
    text = json.dumps(config, indent=2, ensure_ascii=False) + "\n"
    _write(folder / "config.json", text.encode())
    return weights_id


def load_model(
    folder: str | Path,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
) -> TIPS:
    """Read a folder written by `save_model`; strict about keys, shapes and the weights id."""
    folder = Path(folder)
    stated = _read_config(folder)
    config: TIPSConfig = stated["model"]
    label = str(folder / "model.safetensors")
    source = TensorSource(read_safetensors(folder / "model.safetensors"), label)
    model = _on_meta(config)
    wanted = model.state_dict()
    state = {key: source.take(key, tuple(tensor.shape)) for key, tensor in wanted.items()}
    source.finish()
    tokenizer_file = folder / TOKENIZER_FILE
    tokenizer = (
        Tokenizer(tokenizer_file, config.text.max_length) if tokenizer_file.exists() else None
    )
    _fill(model, state, tokenizer, device=device, dtype=dtype)
    if model.weights_id != stated["weights_id"]:
        raise WeightsError(
            f"{label} is not the file that config.json describes (weights {model.weights_id}, "
            f"stated {stated['weights_id']}): damaged, or two saves mixed."
        )
    model.note = str(stated["note"])
    return model


def _is_own(folder: Path) -> bool:
    try:
        return bool(parse_json((folder / "config.json").read_bytes()).get("format") == FORMAT)
    except (OSError, ValueError, AttributeError):
        return False


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    try:
        stated = parse_json(path.read_bytes())
        if (stated["format"], stated["version"]) != (FORMAT, FORMAT_VERSION):
            raise ValueError(f"format {stated['format']!r} version {stated['version']!r}")
        return {
            "model": TIPSConfig.from_dict(stated["model"]),
            "weights_id": stated["weights_id"],
            "note": stated["note"],
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{path} describes no model that can be read here ({error}).") from error


def _on_meta(config: TIPSConfig) -> TIPS:
    """The model on the meta device: nothing is allocated or initialised."""
    with torch.device("meta"):
        return TIPS(config)


def _fill(
    model: TIPS,
    state: State,
    tokenizer: Tokenizer | None,
    *,
    device: str | torch.device,
    dtype: torch.dtype | None,
) -> TIPS:
    if tokenizer is not None and tokenizer.vocab > model.config.text.vocab:
        raise WeightsError(
            f"The tokenizer has {tokenizer.vocab} pieces, the model {model.config.name} only "
            f"{model.config.text.vocab}: they do not match."
        )
    # The file's tensors become the parameters.
    model.load_state_dict(state, strict=True, assign=True)
    model.weights_id = fingerprint(state)
    model.tokenizer = tokenizer
    model.requires_grad_(False).eval().to(device=device, dtype=dtype or torch.float32)
    # Logits are divided by it: in half precision, all of them would shift.
    model.temperature.data = state["temperature"].to(device=device, dtype=torch.float32)
    return model


def _write(path: Path, content: bytes) -> None:
    with replacing(path) as file:
        file.write(content)
