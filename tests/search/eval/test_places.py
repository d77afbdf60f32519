import numpy as np
import torch

from indexer.regions import find_regions
from search.eval.places import Grid, Regions


def test_padding_is_never_a_place() -> None:
    known = Regions(
        np.ones((1, 2, 1), np.float32),
        np.array([[[0.0, 0.0, 0.5, 1.0], [0.0, 0.0, 0.0, 0.0]]]),
        np.array([[[True, False], [False, False]]]),
        np.array([[True, False]]),
    )
    scores = known.scores(np.ones(1, np.float32))
    assert scores.tolist() == [[1, -np.inf]]
    shown = known.shown(scores)
    assert (shown.image.tolist(), shown.score.tolist()) == ([0], [1])
    assert shown.box.tolist() == [[0, 0, 0.5, 1]]


def test_places_of_a_grid_are_its_connected_warm_patches():
    # Two pictures of one text: patches are unit vectors of one axis or the other.
    heat = np.array([[9, 9, 0, 0], [0, 0, 0, 6], [0, 0, 0, 6]], np.float32)
    small = np.array([[1, 0], [0, 1]], np.float32)
    vectors = np.zeros((2, 12, 1), np.float32)
    vectors[0, :, 0], vectors[1, :4, 0] = heat.ravel(), small.ravel()
    grid = Grid(vectors, ((3, 4), (2, 2)))
    scores = grid.scores(np.ones(1, np.float32))
    assert np.isneginf(scores[1, 4:]).all()
    shown = grid.shown(scores)
    found = sorted(
        zip(shown.image, shown.score, shown.box.tolist(), shown.mask.sum(1), strict=True)
    )
    assert found == [
        (0, 6, [0.75, 1 / 3, 1, 1], 2),
        (0, 9, [0, 0, 0.5, 1 / 3], 2),
        (1, 1, [0, 0, 0.5, 0.5], 1),  # corners do not connect
        (1, 1, [0.5, 0.5, 1, 1], 1),
    ]


def test_regions_of_grids_of_two_shapes_stand_side_by_side() -> None:
    known = Regions.empty(pictures=2, regions=6, dim=2, cells=6)
    patches = torch.zeros(1, 2, 3, 2)
    patches[..., 0] = 1
    patches[:, :, 2] = torch.tensor([0.0, 1.0])
    known.put([1], find_regions(patches, 6))
    known.put([0], find_regions(patches[:, :, 2:], 6))
    assert known.valid.sum(axis=1).tolist() == [2, 6]  # two patches, and a tree of six
    for picture, used in ((0, 2), (1, 6)):
        masks = known.masks[picture, known.valid[picture]]
        assert masks[:, :used].any(axis=0).all()
        assert not masks[:, used:].any()
    column = np.isclose(known.boxes[1], [2 / 3, 0, 1, 1])
    np.testing.assert_allclose(known.vectors[1, column.all(axis=1)], [[0, 1]])


def test_pictures_are_grouped_by_the_shape_of_their_grid() -> None:
    shapes = ((3, 4), (2, 2), (3, 4))
    grid = Grid(np.zeros((3, 12, 1), np.float32), shapes)
    assert [(shape, rows.tolist()) for shape, rows in grid.by_shape()] == [
        ((2, 2), [1]), ((3, 4), [0, 2]),
    ]  # fmt: skip
