"""The image tower: a plain vision transformer with two CLS tokens.

Letters in shapes: B images, h x w patches, N = h * w, D width.
Token order is [web CLS, caption CLS, patches row by row]. Only patches carry positions.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tips_model.config import Dense, VisionConfig
from tips_model.layers import Block, Mlp, SwiGlu, init_block, run_block

CLS_TOKENS = 2
NORM_EPS = 1e-6


class VisionOutput(NamedTuple):
    """cls_web (B,D), cls_caption (B,D), patches (B,h,w,D): after the final norm, unnormalised.

    `cls_web` was trained against the text found with the picture, `cls_caption` against written
    descriptions.
    """

    cls_web: Tensor
    cls_caption: Tensor
    patches: Tensor


class VisionTower(nn.Module):
    """Pixels to two image vectors and a grid of patch vectors.

    `checkpoint_blocks` trades time for memory in training. `dense` selects the output of
    `values=True` (see `TIPSConfig`).
    """

    def __init__(self, config: VisionConfig, dense: Dense = "values_ffn") -> None:
        super().__init__()
        self.config = config
        self.dense: Dense = dense
        self.checkpoint_blocks = False
        width = config.width
        self.patch_embed = nn.Conv2d(3, width, config.patch, stride=config.patch)
        self.cls = nn.Parameter(torch.zeros(CLS_TOKENS, width))
        self.mask_token = nn.Parameter(torch.zeros(width))
        self.positions = nn.Parameter(torch.zeros(config.grid, config.grid, width))
        self.blocks = nn.ModuleList(
            Block(width, config.heads, self._feed_forward(), NORM_EPS) for _ in range(config.depth)
        )
        self.norm = nn.LayerNorm(width, eps=NORM_EPS)

    def _feed_forward(self) -> nn.Module:
        if self.config.ffn == "swiglu":
            return SwiGlu(self.config.width, self.config.mlp_hidden)
        return Mlp(self.config.width, self.config.mlp_hidden, F.gelu)

    def init_weights(self, generator: torch.Generator) -> None:
        """The official Scenic initialisation: CLS zeros, positions normal with 1 / sqrt(D)."""
        fan_in = self.patch_embed.weight[0].numel()
        # Flax's default for convolutions: normal cut at two deviations, variance 1 / fan-in.
        std = fan_in**-0.5 / 0.87962566103423978
        nn.init.trunc_normal_(
            self.patch_embed.weight, std=std, a=-2 * std, b=2 * std, generator=generator
        )
        assert self.patch_embed.bias is not None
        nn.init.zeros_(self.patch_embed.bias)
        nn.init.zeros_(self.cls)
        nn.init.zeros_(self.mask_token)
        nn.init.normal_(self.positions, std=1 / math.sqrt(self.config.width), generator=generator)
        for block in self.blocks:
            assert isinstance(block, Block)
            init_block(block, generator)

    def resampled_positions(self, rows: int, columns: int) -> Tensor:
        """The position table resampled to another grid: (rows * columns, D).

        Bilinear with antialiasing in float32 to the exact target size, as the official code does
        (not the bicubic of DINOv2).
        """
        side = self.config.grid
        if (rows, columns) == (side, side):
            return self.positions.flatten(0, 1)
        table = self.positions.float().permute(2, 0, 1).unsqueeze(0)
        table = F.interpolate(
            table, size=(rows, columns), mode="bilinear", align_corners=False, antialias=True
        )
        return table[0].flatten(1).T.to(self.positions.dtype)

    def embed(
        self, pixels: Tensor, mask: Tensor | None = None, kept: Tensor | None = None
    ) -> Tensor:
        """Pixels (B,3,H,W) -> input tokens (B,2+N,D) of the first block; (B,2+K,D) with `kept`."""
        patch = self.config.patch
        height, width = pixels.shape[-2:]
        if height % patch or width % patch:
            raise ValueError(f"picture of {width} x {height} is not a multiple of patch {patch}")
        patches = self.patch_embed(pixels.to(self.patch_embed.weight.dtype))
        patches = patches.flatten(2).transpose(1, 2)  # (B,N,D)
        if mask is not None:
            # Before the positions: a masked patch still knows where it is.
            patches = torch.where(mask.unsqueeze(-1), self.mask_token.to(patches.dtype), patches)
        patches = patches + self.resampled_positions(height // patch, width // patch)
        if kept is not None:
            patches = patches.gather(1, kept.unsqueeze(-1).expand(-1, -1, patches.shape[-1]))
        cls = self.cls.to(patches.dtype).expand(pixels.shape[0], -1, -1)
        return torch.cat((cls, patches), dim=1)

    def forward(
        self,
        pixels: Tensor,
        *,
        values: bool = False,
        mask: Tensor | None = None,
        late: Tensor | None = None,
        kept: Tensor | None = None,
    ) -> VisionOutput:
        """Encode pictures.

        pixels (B,3,H,W) in [0,1] without mean or deviation, H and W multiples of the patch size.
        mask (B,N) bool: these patches are replaced by the mask token.
        values: patches are the dense feature that is compared with text; the CLS outputs stay the
        ordinary ones.
        late (B,) bool, for training: the CLS tokens of these pictures enter at the last block only.
        kept (B,K) int64, for training: only these patches enter, with their own positions (patch
        dropout, as in FLIP, arXiv 2212.00794); the returned patches are then (B,1,K,D).
        """
        rows, columns = (side // self.config.patch for side in pixels.shape[-2:])
        if kept is not None:
            rows, columns = 1, kept.shape[1]
        x = entered = self.embed(pixels, mask, kept)
        ordinary = self.blocks[:-1] if values else self.blocks
        for index, block in enumerate(ordinary):
            if late is not None and index == len(self.blocks) - 1:
                x = late_cls(entered, x, late)
            x = run_block(block, x, None, recompute=self.checkpoint_blocks)
        if late is not None and values:
            x = late_cls(entered, x, late)
        if values:  # call the module: sharded weights need it
            ffn = self.dense == "values_ffn"
            x = self.blocks[-1](x, first=CLS_TOKENS, ffn=ffn)
        cls, patches = self.norm(x).split_with_sizes((CLS_TOKENS, rows * columns), dim=1)
        return VisionOutput(cls[:, 0], cls[:, 1], patches.unflatten(1, (rows, columns)))


def late_cls(entered: Tensor, x: Tensor, late: Tensor) -> Tensor:
    """Tokens x (B,2+N,D) where the CLS tokens of the pictures `late` (B,) are reset to `entered`.

    CaiT's late class token (arXiv 2103.17239, section 3), for some pictures only: these CLS tokens
    get all their information from the last block's values, which are compared with text to find
    places.
    """
    fresh = late[:, None, None]
    cls = torch.where(fresh, entered[:, :CLS_TOKENS], x[:, :CLS_TOKENS])
    return torch.cat((cls, x[:, CLS_TOKENS:]), dim=1)
