"""Images and texts to unit vectors: the model interface for indexing and search.

Letters in shapes: B pictures, h x w patches, D width.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from tips_model import preprocess
from tips_model.checkpoints import load
from tips_model.errors import TipsError, WeightsError
from tips_model.features import Embedder, FeatureBatch, ModelInfo, group_by_size, unit_rows
from tips_model.model import TIPS
from tips_model.packed import can_pack, packed
from tips_model.processor import bfloat16_pays

_TEXT_BATCH = 256
# Narrower towers are not dominated by matrix products.
_BF16_MIN_WIDTH = 384


class TipsEmbedder:
    """The `Embedder` of a TIPS model.

    With `bf16` the image tower's matrix products run in bfloat16 (the default on CUDA and on the
    CPUs where it is faster); sums, norms and results stay float32. Texts are always float32.
    """

    def __init__(self, model: TIPS, *, bf16: bool | None = None) -> None:
        if model.tokenizer is None:
            raise WeightsError(
                f"The model {model.config.name} has no tokenizer.model, so it cannot read texts; "
                "put the one it was trained with beside its weights."
            )
        config = model.config
        self._model = model.eval()
        self._tokenizer = model.tokenizer
        self._device = model.temperature.device
        self._bf16 = _bf16_pays(model, self._device) if bf16 is None else bf16
        packs = self._bf16 and self._device.type == "cpu" and can_pack()
        self.vision = packed(model.vision) if packs else model.vision
        self.info = ModelInfo(
            name=config.name,
            model_id=(
                f"{config.name}:{model.weights_id}:{preprocess.PREPROCESS_VERSION}-"
                f"{config.image_size}:{config.dense}:{model.tokenizer.fingerprint}"
            ),
            dim=config.vision.width,
            heads=("web", "caption"),
            retrieval_head=config.retrieval_head,
            patch=config.vision.patch,
            image_size=config.image_size,
            note=model.note,
            prompts=config.prompts,
        )

    def prepare(self, image: Image.Image) -> Tensor:
        """A picture as uint8 (3,H,W): aspect kept, at most (image_size / patch)^2 patches."""
        return preprocess.prepare(image, self.info.image_size, self.info.patch)

    @torch.inference_mode()
    def embed_images(self, images: Sequence[Tensor]) -> Iterator[FeatureBatch]:
        """Features of prepared pictures, grouped by size; every index occurs exactly once."""
        for indices in group_by_size(images, self.info.patch):
            pixels = torch.stack([images[index] for index in indices]).to(self._device)
            with self.precision():
                out = self.vision(preprocess.to_float(pixels), values=True)
            heads = {"web": unit_rows(out.cls_web), "caption": unit_rows(out.cls_caption)}
            patches = F.normalize(out.patches.float(), dim=-1).cpu()
            yield FeatureBatch(indices, heads, patches)

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """(N,D) float32, unit norm. An empty text raises TextError."""
        rows = [np.empty((0, self.info.dim), dtype=np.float32)]
        for start in range(0, len(texts), _TEXT_BATCH):
            tokens = self._tokenizer(texts[start : start + _TEXT_BATCH])
            ids, paddings = tokens.ids.to(self._device), tokens.paddings.to(self._device)
            rows.append(unit_rows(self._model.text(ids, paddings)))
        return np.concatenate(rows)

    def truncated(self, text: str) -> bool:
        """Whether the text has more tokens than the model accepts."""
        return len(self._tokenizer.encode(text)) > self._tokenizer.max_length

    def precision(self) -> AbstractContextManager[object]:
        """The autocast context in which `vision`, the image tower, runs."""
        if not self._bf16:
            return nullcontext()
        return torch.autocast(self._device.type, dtype=torch.bfloat16)


def open_embedder(
    name: str,
    *,
    weights: str | Path | None = None,
    device: str = "cpu",
    threads: int | None = None,
) -> Embedder:
    """The embedder of a model by name: TIPS (see `load`) or `openclip:ARCH/TAG`.

    threads: torch threads for the whole process; None leaves them alone.
    Raises TipsError for an unknown name, missing weights or a missing device.
    """
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise TipsError(f"The device {device} is not available here; use `--device cpu`.")
    if threads is not None:
        torch.set_num_threads(threads)
    if name.startswith("openclip:"):
        # Imported here: the library takes seconds to load and only the baseline needs it.
        from tips_model.openclip import open_openclip

        return open_openclip(name.removeprefix("openclip:"), weights, device)
    return TipsEmbedder(load(name, weights=weights, device=device))


def _bf16_pays(model: TIPS, device: torch.device) -> bool:
    if model.config.vision.width < _BF16_MIN_WIDTH or model.vision.positions.dtype != torch.float32:
        return False
    return bfloat16_pays(device)
