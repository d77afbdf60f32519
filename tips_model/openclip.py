"""OpenCLIP models behind the same interface, as a baseline for comparison with TIPS.

The image vector is the model's own. The dense feature is the value trick on the last block
(MaskCLIP, arXiv 2112.01071): each patch's own projected values go through the final norm and the
projection into the shared space. Position tables are resampled, so the aspect is kept here too.
"""

import logging
import pickle
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
import torch.nn.functional as F
from open_clip.transformer import VisionTransformer
from PIL import Image
from torch import Tensor, nn

from tips_model import preprocess
from tips_model.errors import ModelNameError, TipsError, WeightsError
from tips_model.features import FeatureBatch, ModelInfo, group_by_size, unit_rows
from tips_model.tensors import fingerprint

_TEXT_BATCH = 256
_PIXELS = ("mean", "std")


class OpenClipEmbedder:
    """The `Embedder` of an OpenCLIP model with its tokenizer.

    name: ARCH/TAG. quick_gelu: the weights' activation is QuickGELU and the architecture's is not,
    so the model was made with another. Only OpenCLIP's own vision transformers have the dense
    feature; others raise ModelNameError.
    """

    def __init__(self, name: str, model: Any, tokenizer: Any, *, quick_gelu: bool = False) -> None:
        visual = model.visual
        if not isinstance(visual, VisionTransformer) or visual.attn_pool is not None:
            raise ModelNameError(
                f"openclip:{name} has no patch features that go against text; take a ViT such as "
                "openclip:ViT-B-16/laion2b_s34b_b88k."
            )
        self._model = model.eval()
        self._visual = visual
        self._tokenizer = tokenizer
        self._device = next(model.parameters()).device
        # Set when open_clip creates a model by name; its own default otherwise.
        stated = getattr(visual, "preprocess_cfg", {})
        self._mean = torch.tensor(stated.get("mean", open_clip.OPENAI_DATASET_MEAN))
        self._std = torch.tensor(stated.get("std", open_clip.OPENAI_DATASET_STD))
        image_size = int(visual.image_size[0])
        self.info = ModelInfo(
            name=f"openclip:{name}",
            model_id=(
                f"openclip:{name}:{fingerprint(model.state_dict())}:"
                f"{preprocess.PREPROCESS_VERSION}-{image_size}:values"
                f"{':quickgelu' if quick_gelu else ''}"
            ),
            dim=int(visual.output_dim),
            heads=("image",),
            retrieval_head="image",
            patch=int(visual.patch_size[0]),
            image_size=image_size,
        )

    def prepare(self, image: Image.Image) -> Tensor:
        """A picture as uint8 (3,H,W): aspect kept, at most (image_size / patch)^2 patches."""
        return preprocess.prepare(image, self.info.image_size, self.info.patch)

    @torch.inference_mode()
    def embed_images(self, images: Sequence[Tensor]) -> Iterator[FeatureBatch]:
        """Features of prepared pictures, grouped by size; every index occurs exactly once."""
        for indices in group_by_size(images, self.info.patch):
            pixels = torch.stack([images[index] for index in indices])
            vectors, patches = self._encode(preprocess.to_float(pixels))
            dense = F.normalize(patches.float(), dim=-1).cpu()
            yield FeatureBatch(indices, {"image": unit_rows(vectors)}, dense)

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """(N,D) float32, unit norm. An empty text raises TipsError."""
        for text in texts:
            if not text.strip():
                raise TipsError(f"The text {text!r} is empty: write at least one word.")
        rows = [np.empty((0, self.info.dim), dtype=np.float32)]
        for start in range(0, len(texts), _TEXT_BATCH):
            ids = self._tokenizer(list(texts[start : start + _TEXT_BATCH])).to(self._device)
            rows.append(unit_rows(self._model.encode_text(ids)))
        return np.concatenate(rows)

    def truncated(self, text: str) -> bool:
        """Whether the text exceeds the model's context.

        The tokenizer truncates silently, so the words are also tokenised with twice the context.
        """
        ids = self._tokenizer([text])
        if not (ids != 0).all():
            return False
        longer = self._tokenizer([text], context_length=2 * ids.shape[1])
        return bool((longer != 0).sum() > ids.shape[1])

    def _encode(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Pixels (B,3,H,W) in [0,1] -> image vectors (B,E) and dense features (B,h,w,E)."""
        visual = self._visual
        normed = (pixels - self._mean[:, None, None]) / self._std[:, None, None]
        x = visual.conv1(normed.to(self._device))
        rows, columns = x.shape[-2:]
        x = x.flatten(2).transpose(1, 2)  # (B,N,W)
        cls = visual.class_embedding.to(x.dtype).expand(x.shape[0], 1, -1)
        x = torch.cat((cls, x), dim=1) + self._positions(rows, columns)
        x = visual.ln_pre(x)
        *first, last = visual.transformer.resblocks
        for block in first:
            x = block(x)
        dense = _own_values(last, x[:, 1:])
        pooled, _ = visual._pool(last(x))  # with the final norm, before or after pooling
        dense = visual.ln_post(dense)
        if visual.proj is not None:
            pooled, dense = pooled @ visual.proj, dense @ visual.proj
        return pooled, dense.unflatten(1, (rows, columns))

    def _positions(self, rows: int, columns: int) -> Tensor:
        """Positions (1 + rows * columns, W); the patches' part is resampled bicubically."""
        visual = self._visual
        table: Tensor = visual.positional_embedding
        grid_rows, grid_columns = visual.grid_size
        if (rows, columns) == (grid_rows, grid_columns):
            return table
        patches = table[1:].T.reshape(1, -1, grid_rows, grid_columns)
        patches = F.interpolate(
            patches, size=(rows, columns), mode="bicubic", align_corners=False, antialias=True
        )
        return torch.cat((table[:1], patches[0].flatten(1).T))


def _own_values(block: Any, x: Tensor) -> Tensor:
    """The last block's projected values of each token, without mixing: (B,N,W) -> (B,N,W)."""
    attention: nn.MultiheadAttention = block.attn
    width = x.shape[-1]
    assert attention.in_proj_weight is not None
    assert attention.in_proj_bias is not None
    values = F.linear(
        block.ln_1(x), attention.in_proj_weight[2 * width :], attention.in_proj_bias[2 * width :]
    )
    projected: Tensor = block.ls_1(attention.out_proj(values))
    return projected


def open_openclip(name: str, weights: str | Path | None, device: str) -> OpenClipEmbedder:
    """The embedder of ARCH/TAG as in `open_clip.list_pretrained()`.

    weights: a checkpoint file instead of the tag's; None lets open_clip download the tag. Either
    way the tag tells the activation and how pixels are normalised: open_clip itself takes the
    architecture's activation and only warns. With a file and a tag of one's own, the architecture
    tells.
    """
    arch, _, tag = name.partition("/")
    if arch not in open_clip.list_models():
        raise ModelNameError(
            f"OpenCLIP has no architecture {arch!r}; the name is openclip:ARCH/TAG, "
            "such as openclip:ViT-B-16/laion2b_s34b_b88k."
        )
    known = open_clip.list_pretrained_tags_by_model(arch)
    if weights is None and tag not in known:
        raise ModelNameError(f"OpenCLIP has no weights {tag!r} for {arch}; there are {known}.")
    if weights is not None and not Path(weights).is_file():
        raise WeightsError(f"The OpenCLIP checkpoint file {weights} does not exist.")
    stated = open_clip.get_pretrained_cfg(arch, tag) or {}
    quick_gelu = bool(stated.get("quick_gelu")) and not open_clip.get_model_config(arch).get(
        "quick_gelu"
    )
    # The hub's library and open_clip log every failed try; a single error below replaces that.
    talkers = [logging.getLogger(talker) for talker in ("", "huggingface_hub")]
    levels = [talker.level for talker in talkers]
    for talker in talkers:
        talker.setLevel(logging.CRITICAL)
    try:
        model = open_clip.create_model(
            arch,
            pretrained=tag if weights is None else str(weights),
            device=device,
            force_quick_gelu=quick_gelu,
            force_preprocess_cfg={name: stated[name] for name in _PIXELS if name in stated},
        )
    except pickle.UnpicklingError as error:  # torch warns, but it works
        raise WeightsError(
            f"{weights} contains more than tensors and was not read; use another checkpoint file."
        ) from error
    except (OSError, RuntimeError, ValueError, LookupError, TypeError, EOFError, struct.error) as e:
        reason = str(e).partition("\n")[0].rstrip(".")
        raise WeightsError(
            f"The weights of openclip:{name} could not be loaded ({reason}); give a checkpoint "
            "file with `--weights FILE`, or use `--model nano`."
        ) from e
    finally:
        for talker, level in zip(talkers, levels, strict=True):
            talker.setLevel(level)
    return OpenClipEmbedder(name, model, open_clip.get_tokenizer(arch), quick_gelu=quick_gelu)
