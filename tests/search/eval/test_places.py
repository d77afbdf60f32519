import numpy as np
import torch

from indexer.regions import find_regions
from search.eval.places import Grid, Regions
from search.page import MOST_REGIONS, distinct


def regions(count: int = 6) -> Regions:
    generator = torch.Generator().manual_seed(0)
    patches = torch.nn.functional.normalize(
        torch.randn(count, 5, 6, 16, generator=generator), dim=3
    )
    made = find_regions(patches, 12)
    return Regions(
        made.vectors.numpy(),
        made.boxes.double().numpy(),
        made.masks.flatten(2).numpy(),
        made.valid.numpy(),
    )


def test_all_pictures_at_once_show_what_a_page_of_hits_shows():
    known = regions()
    direction = np.random.default_rng(1).standard_normal(16).astype(np.float32)
    scores = known.scores(direction / np.linalg.norm(direction))
    shown = known.shown(scores)
    for picture in range(len(scores)):
        order = np.argsort(-scores[picture], kind="stable")
        # `distinct` is given the places whose scores are of interest: here the positive ones.
        order = order[scores[picture][order] > 0]
        wanted = distinct(known.boxes[picture][order], scores[picture][order], MOST_REGIONS)
        here = shown.image == picture
        kept = shown.box[here & (shown.score > 0)]
        np.testing.assert_array_equal(kept[: len(wanted)], known.boxes[picture][order][wanted])


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
