"""Pool a photo's patch grid into a few regions, each with one vector, a mask and a box.

A region is a connected set of patches that look alike, so that one vector stands for one thing: an
object of 200 patches costs one point, and a small object keeps its own. The grid is merged
bottom-up along its 4-neighbour edges by Ward's criterion until ``leaves`` regions are left; from
there every further merge is a region of its own as well, so the regions are the nodes of a tree and
cover all scales between "a thing" and "half of the picture".

Letters: B photos, h x w patches, N = h * w, D feature width, R regions, E grid edges, K leaves.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

_FAR = torch.iinfo(torch.int64).max


class RegionBatch(NamedTuple):
    """Regions of B photos of one grid size; rows where ``valid`` is false are padding.

    Attributes:
        vectors: (B, R, D) float32, unit norm: the normalised mean of the region's unit patches.
        masks: (B, R, h, w) bool.
        boxes: (B, R, 4) float32, x0, y0, x1, y1 as fractions of the picture, tight around the mask.
        valid: (B, R) bool.
    """

    vectors: Tensor
    masks: Tensor
    boxes: Tensor
    valid: Tensor


def find_regions(patches: Tensor, max_regions: int = 32) -> RegionBatch:
    """Merge patch grids into at most ``max_regions`` regions each.

    With K leaves a binary merge tree has 2K - 1 nodes; its root is the whole picture, which the
    global vector already stands for, so K is the largest number with 2K - 2 <= max_regions. A grid
    of a single patch has that patch as its only region.

    Args:
        patches: (B, h, w, D) float, each patch of unit norm.
        max_regions: at least 1.

    Raises:
        ValueError: if ``max_regions`` is below 1 or ``patches`` has not four dimensions.
    """
    if max_regions < 1:
        raise ValueError(f"max_regions must be at least 1, not {max_regions}")
    if patches.ndim != 4:
        raise ValueError(f"patches must have shape (B, h, w, D), not {tuple(patches.shape)}")
    batch, height, width, dim = patches.shape
    flat = patches.reshape(batch, height * width, dim).float()
    leaves = max(1, min(height * width, (max_regions + 2) // 2))
    labels, sums, counts, edges = merge_grid(flat, height, width, leaves)
    nodes = _merge_tree(sums, counts, edges)[:, :max_regions]  # (B, R, K) leaf membership
    vectors = torch.nn.functional.normalize(nodes.float() @ sums, dim=-1)
    leaf_masks = torch.nn.functional.one_hot(labels, leaves).bool()  # (B, N, K)
    masks = (nodes.float() @ leaf_masks.float().transpose(1, 2)) > 0.5  # (B, R, N)
    grid = masks.reshape(batch, -1, height, width)
    return RegionBatch(vectors, grid, mask_boxes(grid), nodes.any(dim=-1))


def mask_boxes(masks: Tensor) -> Tensor:
    """Tight boxes around masks.

    Args:
        masks: (..., h, w) bool.

    Returns:
        (..., 4) float32 x0, y0, x1, y1 in [0, 1]; zeros for an empty mask.
    """
    height, width = masks.shape[-2:]
    columns, rows = masks.any(dim=-2), masks.any(dim=-1)
    x0, y0 = columns.int().argmax(dim=-1), rows.int().argmax(dim=-1)
    x1 = width - columns.flip(-1).int().argmax(dim=-1)
    y1 = height - rows.flip(-1).int().argmax(dim=-1)
    boxes = torch.stack([x0 / width, y0 / height, x1 / width, y1 / height], dim=-1).float()
    return boxes * masks.flatten(-2).any(dim=-1).unsqueeze(-1)


def merge_grid(
    flat: Tensor, height: int, width: int, leaves: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Merge each photo's patches into exactly ``leaves`` connected regions.

    Works in rounds instead of single steps: each round merges, for all photos at once, every pair
    of neighbouring regions that are each other's cheapest merge; a photo close to its target merges
    only its cheapest pairs. Ward's cost of merging a and b is n_a n_b / (n_a + n_b) |m_a - m_b|^2
    (Ward 1963), the growth of the within-region scatter.

    Args:
        flat: (B, N, D) float32.
        leaves: between 1 and N.

    Returns:
        labels (B, N) int64 in [0, leaves); sums (B, leaves, D) of the members' features;
        counts (B, leaves) float32; edges (B, E, 2) int64 between leaves, padded with (0, 0).
    """
    batch, number, _ = flat.shape
    labels = torch.arange(number, device=flat.device).expand(batch, number)
    sums, counts = flat, flat.new_ones(batch, number)
    edges = _grid_edges(height, width, flat.device).expand(batch, -1, 2)
    cost = _grid_costs(flat.view(batch, height, width, -1))
    alive = torch.full((batch,), number, device=flat.device)
    while int(alive.max()) > leaves:
        target, alive = _choose_merges(cost, edges, alive, leaves, sums.shape[1])
        regions = int(alive.max())
        # Survivors are renumbered in order; a merged region takes its partner's number.
        survivor = target == torch.arange(target.shape[1], device=target.device)
        renumbered = (survivor.cumsum(dim=1) - 1).gather(1, target)
        labels = renumbered.gather(1, labels)
        renumbered = renumbered.clamp(max=regions - 1)  # padding, which has zero counts
        sums = _add_rows(sums, renumbered, regions)
        counts = torch.zeros_like(counts[:, :regions]).scatter_add_(1, renumbered, counts)
        edges = _compact_edges(edges, renumbered, regions)
        if regions > leaves:
            cost = _edge_costs(sums, counts, edges)
    return labels, sums, counts, edges


def _grid_edges(height: int, width: int, device: torch.device) -> Tensor:
    """(E, 2) int64 pairs of 4-neighbours of a grid, the smaller index first."""
    index = torch.arange(height * width, device=device).reshape(height, width)
    right = torch.stack([index[:, :-1].flatten(), index[:, 1:].flatten()], dim=1)
    down = torch.stack([index[:-1].flatten(), index[1:].flatten()], dim=1)
    return torch.cat([right, down])


def _grid_costs(grid: Tensor) -> Tensor:
    """(B, E) Ward costs of the edges of `_grid_edges` for single patches (B, h, w, D): half of the
    squared distance.
    """
    right = (grid[:, :, 1:] - grid[:, :, :-1]).square_().sum(dim=-1).flatten(1)
    down = (grid[:, 1:] - grid[:, :-1]).square_().sum(dim=-1).flatten(1)
    return torch.cat([right, down], dim=1).mul_(0.5)


def _edge_costs(sums: Tensor, counts: Tensor, edges: Tensor) -> Tensor:
    """(B, E) Ward cost of the merge along each edge; infinite for padding edges (a == b)."""
    means = sums / counts.clamp(min=1).unsqueeze(-1)
    first, second = edges[..., 0], edges[..., 1]
    difference = _take_rows(means, first).sub_(_take_rows(means, second))
    n_first, n_second = counts.gather(1, first), counts.gather(1, second)
    cost = difference.square_().sum(dim=-1) * (
        n_first * n_second / (n_first + n_second).clamp(min=1)
    )
    return cost.masked_fill(first == second, torch.inf)


def _take_rows(values: Tensor, index: Tensor) -> Tensor:
    """Rows `index` (B, E) of each photo's `values` (B, R, D): (B, E, D). Whole rows are copied,
    which is several times faster than `gather`.
    """
    rows = values.flatten(0, 1).index_select(0, _flat(index, values.shape[1]))
    return rows.view(*index.shape, values.shape[2])


def _add_rows(values: Tensor, target: Tensor, rows: int) -> Tensor:
    """Sums (B, rows, D) of the rows of `values` (B, R, D) with the same `target` (B, R)."""
    summed = values.new_zeros(len(values) * rows, values.shape[2])
    summed.index_add_(0, _flat(target, rows), values.flatten(0, 1))
    return summed.view(len(values), rows, values.shape[2])


def _flat(index: Tensor, rows: int) -> Tensor:
    """Row numbers (B, E) of each of B photos -> their numbers (B * E,) among all rows."""
    return (index + rows * torch.arange(len(index), device=index.device).unsqueeze(1)).flatten()


def _choose_merges(
    cost: Tensor, edges: Tensor, alive: Tensor, leaves: int, regions: int
) -> tuple[Tensor, Tensor]:
    """One round: the region that each of `regions` merges into, and how many are left, from the
    edge costs (B, E).

    Returns:
        target (B, R) int64 with target[a] <= a, and alive (B,) int64.
    """
    batch = len(cost)
    # Rank edges by (cost, index), a total order, so that each region has a single cheapest edge.
    order = cost.argsort(dim=1, stable=True)
    rank = torch.empty_like(order).scatter_(
        1, order, torch.arange(order.shape[1], device=order.device).expand_as(order)
    )
    rank = rank.masked_fill(cost.isinf(), _FAR)
    best = torch.full((batch, regions), _FAR, device=cost.device)
    for end in (0, 1):
        best = best.scatter_reduce(1, edges[..., end], rank, "amin")
    mutual = (rank == best.gather(1, edges[..., 0])) & (rank == best.gather(1, edges[..., 1]))
    mutual &= rank != _FAR
    # A photo may lose at most its excess over the target: take its cheapest pairs.
    position = mutual.gather(1, order).cumsum(dim=1)
    allowed = position <= (alive - leaves).unsqueeze(1)
    mutual &= torch.zeros_like(mutual).scatter_(1, order, allowed)
    own = torch.arange(regions, device=cost.device).expand(batch, regions)
    target = own.scatter_reduce(
        1,
        edges[..., 1],
        torch.where(mutual, edges[..., 0], edges[..., 1]),
        "amin",
    )
    return target, alive - mutual.sum(dim=1)


def _compact_edges(edges: Tensor, renumbered: Tensor, regions: int) -> Tensor:
    """Edges between the merged regions, each once, in order; padding is (0, 0) at the end."""
    first = renumbered.gather(1, edges[..., 0])
    second = renumbered.gather(1, edges[..., 1])
    low, high = torch.minimum(first, second), torch.maximum(first, second)
    key = torch.where(low == high, regions * regions, low * regions + high).sort(dim=1).values
    repeated = torch.zeros_like(key, dtype=torch.bool)
    repeated[:, 1:] = key[:, 1:] == key[:, :-1]
    key = key.masked_fill(repeated, regions * regions).sort(dim=1).values
    key = key[:, : max(1, int((key < regions * regions).sum(dim=1).max()))]
    key = torch.where(key == regions * regions, 0, key)
    return torch.stack([key // regions, key % regions], dim=-1)


def _merge_tree(sums: Tensor, counts: Tensor, edges: Tensor) -> Tensor:
    """All nodes of the merge tree except the root.

    Greedy Ward merging of the leaves, one merge per step for all photos at once, using only the
    leaves' inner products: |m_a - m_b|^2 = g_aa / n_a^2 + g_bb / n_b^2 - 2 g_ab / (n_a n_b), and a
    merged region's products are the sums of its parts' products.

    Returns:
     (B, max(1, 2K - 2), K) bool: the leaves that each node contains; the leaves come first.
    """
    batch, leaves, _ = sums.shape
    device = sums.device
    rows = torch.arange(batch, device=device)
    itself = torch.eye(leaves, dtype=torch.bool, device=device)
    adjacent = torch.zeros(batch, leaves, leaves, dtype=torch.bool, device=device)
    adjacent[rows.unsqueeze(1), edges[..., 0], edges[..., 1]] = True
    adjacent = (adjacent | adjacent.transpose(1, 2)) & ~itself
    member = itself.repeat(batch, 1, 1)
    nodes = [member.clone()]
    products, counts = sums @ sums.transpose(1, 2), counts.clone()
    for _ in range(leaves - 2):
        pair = _merge_costs(products, counts).masked_fill_(~adjacent, torch.inf)
        cheapest = pair.flatten(1).argmin(dim=1)
        keep, gone = cheapest // leaves, cheapest % leaves
        member[rows, keep] |= member[rows, gone]
        counts[rows, keep] += counts[rows, gone]
        products[rows, keep] += products[rows, gone]
        products[rows, :, keep] += products[rows, :, gone]
        joined = adjacent[rows, keep] | adjacent[rows, gone]
        adjacent[rows, gone] = False
        adjacent[rows, :, gone] = False
        joined[rows, keep] = False
        joined[rows, gone] = False
        adjacent[rows, keep] = joined
        adjacent[rows, :, keep] = joined
        nodes.append(member[rows, keep].unsqueeze(1))
    return torch.cat(nodes, dim=1)


def _merge_costs(products: Tensor, counts: Tensor) -> Tensor:
    """(B, K, K) Ward costs from inner products (B, K, K) of the sums of members and counts."""
    first, second = counts.unsqueeze(2), counts.unsqueeze(1)
    squares = products.diagonal(dim1=1, dim2=2) / counts.square()
    distance = squares.unsqueeze(2) + squares.unsqueeze(1) - 2 * products / (first * second)
    return distance * (first * second / (first + second))
