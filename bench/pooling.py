"""Ways to turn a patch grid into a few vectors, to compare with the one that is used; see
`bench/regions.py`.

Each takes unit patches (B, h, w, D) and gives a `RegionBatch`. Letters as in `indexer/regions.py`.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from indexer.regions import RegionBatch, find_regions, mask_boxes, merge_grid


def cells(patches: Tensor, regions: int) -> RegionBatch:
    """Means over a fixed grid of about equal cells, twice as wide as high if there must be."""
    batch, height, width, _dim = patches.shape
    rows = 2 ** int(math.log2(regions) / 2)
    columns = regions // rows
    row = torch.arange(height) * rows // height
    column = torch.arange(width) * columns // width
    label = (row[:, None] * columns + column).flatten()
    member = F.one_hot(label, regions).T.bool()
    return _regions(patches, member.expand(batch, -1, -1))


def leaves(patches: Tensor, regions: int) -> RegionBatch:
    """Connected regions of one scale: Ward's merging until so many are left."""
    batch, height, width, dim = patches.shape
    count = min(regions, height * width)
    label, *_ = merge_grid(patches.reshape(batch, -1, dim), height, width, count)
    return _regions(patches, F.one_hot(label, count).transpose(1, 2).bool())


def tree(patches: Tensor, regions: int) -> RegionBatch:
    """All nodes of the merge tree: what indexing does."""
    return find_regions(patches, regions)


def lasting(patches: Tensor, regions: int) -> RegionBatch:
    """Of a tree with half as many nodes again, those that last longest: from the cost of the merge
    that makes a node to that of the merge that takes it.
    """
    batch, _height, _width, dim = patches.shape
    made = find_regions(patches, regions + regions // 2)
    member = made.masks.flatten(2).float()
    sums, sizes = member @ patches.reshape(batch, -1, dim), member.sum(dim=2)
    whole = torch.ones(batch, 1, member.shape[2])
    everything = torch.cat([member, whole], dim=1)
    shared = member @ everything.transpose(1, 2)  # (B, R, R + 1)
    larger = (shared == sizes.unsqueeze(2)) & (
        everything.sum(dim=2).unsqueeze(1) > sizes.unsqueeze(2)
    )
    area = everything.sum(dim=2).unsqueeze(1).expand_as(shared)
    parent = area.masked_fill(~larger, torch.inf).argmin(dim=2)
    all_sums = torch.cat([sums, patches.reshape(batch, -1, dim).sum(1, keepdim=True)], dim=1)
    above = all_sums.gather(1, parent.unsqueeze(2).expand(-1, -1, dim))
    above_size = area.gather(2, parent.unsqueeze(2)).squeeze(2)
    rest, rest_size = above - sums, (above_size - sizes).clamp(min=1)
    gap = sums / sizes.clamp(min=1).unsqueeze(2) - rest / rest_size.unsqueeze(2)
    taken = sizes * rest_size / (sizes + rest_size) * gap.square().sum(dim=2)
    born = torch.zeros(batch, member.shape[1] + 1).scatter_reduce(1, parent, taken, "amax")[:, :-1]
    life = (taken - born).masked_fill(~made.valid, -torch.inf)
    best = life.topk(min(regions, life.shape[1]), dim=1).indices
    chosen = made.masks.flatten(2).gather(1, best.unsqueeze(2).expand(-1, -1, member.shape[2]))
    return _regions(patches, chosen)


def smoothed(patches: Tensor, regions: int) -> RegionBatch:
    """The tree of denoised patches: each the mean of its 3 x 3 neighbours, weighted by how alike
    they are; the vectors are those of the patches themselves.
    """
    batch, height, width, _dim = patches.shape
    padded = F.pad(patches.permute(0, 3, 1, 2), (1, 1, 1, 1), mode="replicate")
    total, weights = torch.zeros_like(patches), torch.zeros(batch, height, width, 1)
    for top in range(3):
        for left in range(3):
            part = padded[:, :, top : top + height, left : left + width].permute(0, 2, 3, 1)
            weight = torch.exp(((part * patches).sum(dim=3, keepdim=True) - 1) / 0.1)
            total, weights = total + weight * part, weights + weight
    made = find_regions(F.normalize(total / weights, dim=-1), regions)
    return _regions(patches, made.masks.flatten(2))


def shrunk(patches: Tensor, regions: int) -> RegionBatch:
    """The tree, each vector drawn to the mean of the photo by the weight of one patch."""
    batch, _, _, dim = patches.shape
    made = find_regions(patches, regions)
    member = made.masks.flatten(2).float()
    mean = patches.reshape(batch, -1, dim).mean(dim=1, keepdim=True)
    vectors = F.normalize(member @ patches.reshape(batch, -1, dim) + mean, dim=-1)
    return made._replace(vectors=vectors)


def salient(patches: Tensor, regions: int) -> RegionBatch:
    """The tree with three quarters of the regions, and the patches that its leaves show worst."""
    batch, height, width, dim = patches.shape
    singles = regions // 4
    flat = patches.reshape(batch, -1, dim)
    made = find_regions(patches, regions - singles)
    member = made.masks.flatten(2).float()
    shown = (made.vectors @ flat.transpose(1, 2)).masked_fill(member == 0, -torch.inf)
    worst = shown.amax(dim=1).topk(singles, dim=1, largest=False).indices
    single = F.one_hot(worst, height * width).bool()
    return _regions(patches, torch.cat([made.masks.flatten(2), single], dim=1))


METHODS = {
    "fixed cells": cells,
    "one scale": leaves,
    "tree": tree,
    "tree, lasting nodes": lasting,
    "tree of denoised patches": smoothed,
    "tree, shrunk vectors": shrunk,
    "tree + salient patches": salient,
}


def _regions(patches: Tensor, member: Tensor) -> RegionBatch:
    """Regions (B, R) of the patches that they hold, bool (B, R, N)."""
    batch, height, width, dim = patches.shape
    vectors = F.normalize(member.float() @ patches.reshape(batch, -1, dim), dim=-1)
    masks = member.reshape(batch, -1, height, width)
    return RegionBatch(vectors, masks, mask_boxes(masks), member.any(dim=2))
