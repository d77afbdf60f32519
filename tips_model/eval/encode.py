"""Encodes images and texts to a model's unit vectors, in batches, for the evaluators.

Letters: N pictures, h x w patches, D width, T texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import normalize

from tips_model.model import TIPS
from tips_model.preprocess import to_float

PatchKind = Literal["values", "values_ffn", "final"]
"""Which dense feature: the last block's values alone, these with residual and FFN, or the output
tokens of the ordinary forward pass."""


@dataclass(frozen=True, slots=True)
class ImageFeatures:
    """cls_web and cls_caption (N, D), patches (N, h, w, D): float32 of unit norm."""

    cls_web: Tensor
    cls_caption: Tensor
    patches: Tensor


@torch.inference_mode()
def encode_images(
    model: TIPS, images: Tensor, *, patches: PatchKind | None = None, batch: int = 128
) -> ImageFeatures:
    """Encode uint8 (N, 3, H, W); H and W are multiples of the patch.

    `patches` None takes the dense feature of the model's own configuration. The model keeps its
    mode (training or evaluation).
    """
    vision = model.vision
    training, dense = vision.training, vision.dense
    device = model.temperature.device
    vision.eval()
    if patches in ("values", "values_ffn"):
        vision.dense = patches
    parts = []
    for start in range(0, len(images), batch):
        pixels = to_float(images[start : start + batch].to(device))
        out = vision(pixels, values=patches != "final")
        parts.append([normalize(part.float(), dim=-1).cpu() for part in out])
    vision.train(training)
    vision.dense = dense
    return ImageFeatures(*(torch.cat(column) for column in zip(*parts, strict=True)))


@torch.inference_mode()
def encode_texts(
    model: TIPS, texts: Sequence[str], *, templates: Sequence[str] = ("{}",), batch: int = 256
) -> Tensor:
    """(T, D) float32 of unit norm: for each text the mean of its templates' unit vectors."""
    assert model.tokenizer is not None, "evaluation needs the model's tokenizer"
    training = model.text.training
    model.text.eval()
    device = model.temperature.device
    filled = [template.format(text) for text in texts for template in templates]
    parts = []
    for start in range(0, len(filled), batch):
        tokens = model.tokenizer(filled[start : start + batch])
        out = model.text(tokens.ids.to(device), tokens.paddings.to(device))
        parts.append(normalize(out.float(), dim=-1).cpu())
    model.text.train(training)
    vectors = torch.cat(parts).reshape(len(texts), len(templates), -1)
    return normalize(vectors.mean(1), dim=-1)
