"""Regions of the patch grid: parity with a slow greedy merge, and what must always hold."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from scipy import ndimage

from indexer.regions import find_regions, mask_boxes, merge_grid

Node = frozenset[int]


def unit_grid(batch: int, height: int, width: int, dim: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    grid = torch.randn(batch, height, width, dim, generator=generator)
    return torch.nn.functional.normalize(grid, dim=-1)


def smooth_grid(batch: int, height: int, width: int, dim: int, seed: int = 0) -> torch.Tensor:
    grid = unit_grid(batch, height, width, dim, seed).permute(0, 3, 1, 2)
    grid = torch.nn.functional.avg_pool2d(grid, 3, stride=1, padding=1)
    return torch.nn.functional.normalize(grid.permute(0, 2, 3, 1), dim=-1)


def neighbours(node: Node, height: int, width: int) -> Iterator[int]:
    for index in node:
        y, x = divmod(index, width)
        for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)):
            if 0 <= y + dy < height and 0 <= x + dx < width:
                yield (y + dy) * width + x + dx


def ward(features: np.ndarray, first: Node, second: Node) -> float:
    a, b = features[sorted(first)], features[sorted(second)]
    gap = a.mean(0) - b.mean(0)
    return float(len(a) * len(b) / (len(a) + len(b)) * (gap @ gap))


def slow_rounds(features: np.ndarray, height: int, width: int, leaves: int) -> set[Node]:
    """The rounds of mutual cheapest merges, with Python sets."""
    regions: list[Node] = [frozenset([i]) for i in range(height * width)]
    while len(regions) > leaves:
        pairs = sorted(
            (ward(features, a, b), i, j)
            for i, a in enumerate(regions)
            for j, b in enumerate(regions)
            if i < j and set(neighbours(a, height, width)) & b
        )
        cheapest: dict[int, tuple[float, int, int]] = {}
        for pair in pairs:
            for end in pair[1:]:
                cheapest.setdefault(end, pair)
        mutual = [p for p in pairs if cheapest[p[1]] == p and cheapest[p[2]] == p]
        for _, i, j in mutual[: len(regions) - leaves]:
            regions[i], regions[j] = regions[i] | regions[j], frozenset()
        regions = [region for region in regions if region]
    return set(regions)


def slow_tree(features: np.ndarray, height: int, width: int, leaves: set[Node]) -> set[Node]:
    nodes, regions = set(leaves), set(leaves)
    while len(regions) > 2:
        _, first, second = min(
            (
                (ward(features, a, b), a, b)
                for a in regions
                for b in regions
                if a != b and set(neighbours(a, height, width)) & b
            ),
            key=lambda found: found[0],
        )
        regions -= {first, second}
        regions.add(first | second)
        nodes.add(first | second)
    return nodes


def as_nodes(masks: torch.Tensor, valid: torch.Tensor) -> list[Node]:
    return [
        frozenset(np.flatnonzero(mask.numpy().ravel()).tolist())
        for mask, ok in zip(masks, valid, strict=True)
        if ok
    ]


@pytest.mark.parametrize(("height", "width"), [(6, 8), (9, 5)])
def test_regions_equal_those_of_the_slow_merge(height: int, width: int) -> None:
    patches = smooth_grid(3, height, width, 12)
    found = find_regions(patches, max_regions=14)
    for b in range(3):
        features = patches[b].reshape(-1, 12).numpy().astype(np.float64)
        leaves = slow_rounds(features, height, width, 8)
        expected = slow_tree(features, height, width, leaves)
        nodes = as_nodes(found.masks[b], found.valid[b])
        assert len(nodes) == len(set(nodes)) == 14
        assert set(nodes) == expected
        for node, vector in zip(nodes, found.vectors[b], strict=True):
            mean = features[sorted(node)].mean(0)
            assert np.allclose(vector, mean / np.linalg.norm(mean), atol=1e-5)


def test_leaves_are_a_partition_into_connected_pieces() -> None:
    labels, _, counts, _ = merge_grid(smooth_grid(4, 12, 16, 8).flatten(1, 2), 12, 16, 17)
    for b in range(4):
        grid = labels[b].reshape(12, 16).numpy()
        assert sorted(np.unique(grid)) == list(range(17))
        for label in range(17):
            assert ndimage.label(grid == label)[1] == 1
            assert (grid == label).sum() == counts[b, label]


def test_a_distinct_object_becomes_one_region_with_its_box() -> None:
    patches = torch.zeros(1, 12, 12, 3)
    patches[..., 0] = 1.0
    patches[0, 3:6, 7:11] = torch.tensor([0.0, 1.0, 0.0])
    found = find_regions(patches, max_regions=32)
    wanted = torch.zeros(12, 12, dtype=torch.bool)
    wanted[3:6, 7:11] = True
    match = (found.masks[0] == wanted).flatten(1).all(dim=1)
    assert match.sum() == 1
    assert torch.allclose(found.boxes[0, match][0], torch.tensor([7 / 12, 3 / 12, 11 / 12, 6 / 12]))
    assert torch.allclose(found.vectors[0, match][0], torch.tensor([0.0, 1.0, 0.0]), atol=1e-6)


def test_batch_mates_change_nothing_and_runs_repeat() -> None:
    patches = smooth_grid(5, 10, 14, 16, seed=3)
    together = find_regions(patches)
    again = find_regions(patches)
    for b in range(5):
        alone = find_regions(patches[b : b + 1])
        assert torch.equal(alone.masks[0], together.masks[b])
        assert torch.allclose(alone.vectors[0], together.vectors[b], atol=1e-6)
    assert all(torch.equal(one, two) for one, two in zip(together, again, strict=True))


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 2), (1, 40), (3, 1)])
def test_small_and_narrow_grids(shape: tuple[int, int]) -> None:
    found = find_regions(unit_grid(2, *shape, 6), max_regions=32)
    assert found.valid.all()
    assert found.masks.flatten(2).any(dim=-1).all()
    assert found.masks.shape[1] <= 32
    assert torch.allclose(found.vectors.norm(dim=-1), torch.ones(found.vectors.shape[:2]))


@pytest.mark.parametrize("limit", [1, 2, 3, 8, 31, 32])
def test_never_more_regions_than_asked(limit: int) -> None:
    found = find_regions(unit_grid(2, 9, 9, 6), max_regions=limit)
    assert found.vectors.shape[1] <= limit
    assert found.vectors.shape == (2, found.valid.shape[1], 6)


def test_equal_patches_are_merged_without_ties_breaking_it() -> None:
    found = find_regions(torch.ones(2, 8, 8, 4) / 2, max_regions=10)
    assert torch.equal(found.masks[0], found.masks[1])
    assert found.valid.all()


def test_boxes_are_tight() -> None:
    masks = torch.zeros(2, 4, 5, dtype=torch.bool)
    masks[0, 1:3, 2:5] = True
    assert mask_boxes(masks).tolist() == [
        pytest.approx([0.4, 0.25, 1.0, 0.75]),
        [0.0, 0.0, 0.0, 0.0],
    ]


def test_wrong_calls_are_named() -> None:
    with pytest.raises(ValueError, match="max_regions"):
        find_regions(unit_grid(1, 2, 2, 3), max_regions=0)
    with pytest.raises(ValueError, match="shape"):
        find_regions(unit_grid(1, 2, 2, 3)[0])
