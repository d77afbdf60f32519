"""The interface of all models: embeddings of images and texts, and facts about the model.

Letters in shapes: B pictures, h x w patches, D width.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from tips_model.config import Prompts

# Tokens per forward pass: enough to keep matrix products busy, bounded in memory.
_BATCH_TOKENS = 8192


@dataclass(frozen=True, slots=True)
class FeatureBatch:
    """Features of some of the pictures of one call, all of one size.

    indices: their indices in the call. heads: name -> (B,D) float32, unit norm.
    patches: (B,h,w,D) float32, unit norm, the dense feature that is compared with text.
    """

    indices: tuple[int, ...]
    heads: dict[str, np.ndarray]
    patches: Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelInfo:
    """What a collection must know about the model that made its vectors.

    model_id: equal ids mean comparable vectors (name, weights, preprocessing, dense feature).
    note: empty, or a plain sentence for users. prompts: how names are compared with regions.
    """

    name: str
    model_id: str
    dim: int
    heads: tuple[str, ...]
    retrieval_head: str
    patch: int
    image_size: int
    note: str = ""
    prompts: Prompts = "tcl"


class Embedder(Protocol):
    """The interface of every model; `prepare` may be called from several threads at once."""

    info: ModelInfo

    def prepare(self, image: Image.Image) -> Tensor:
        """A picture as uint8 (3,H,W) at the size the model takes."""

    def embed_images(self, images: Sequence[Tensor]) -> Iterator[FeatureBatch]:
        """Features of prepared pictures, grouped by size; every index occurs exactly once."""

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """(N,D) float32, unit norm; texts unchanged, without templates."""

    def truncated(self, text: str) -> bool:
        """Whether the model sees only the beginning of this text."""


def group_by_size(images: Sequence[Tensor], patch: int) -> Iterator[tuple[int, ...]]:
    """Indices of pictures (3,H,W) of one size each, in batches of bounded token count."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for index, image in enumerate(images):
        groups.setdefault(tuple(image.shape), []).append(index)
    for (_, height, width), indices in groups.items():
        step = max(_BATCH_TOKENS // (height // patch * (width // patch)), 1)
        for start in range(0, len(indices), step):
            yield tuple(indices[start : start + step])


def unit_rows(vectors: Tensor) -> np.ndarray:
    """(N,D) on any device -> float32 numpy with rows of length 1."""
    return F.normalize(vectors.float(), dim=-1).cpu().numpy()
