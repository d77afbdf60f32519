import numpy as np
import torch

from indexer.regions import find_regions
from search.places.distinct import MOST_REGIONS, SAME_PLACE, SLACK, distinct, overlaps

THING = (0.2, 0.2, 0.6, 0.6)
PART = (0.3, 0.3, 0.6, 0.5)
ROOM = (0.0, 0.0, 1.0, 1.0)
OTHER = (0.7, 0.7, 0.9, 0.9)


def chosen(*boxes: tuple[tuple[float, float, float, float], float], most: int = 8) -> list[int]:
    known = overlaps(np.array([[box for box, _ in boxes]]))
    scores = np.array([[score for _, score in boxes]], np.float32)
    return distinct(known, scores, most).region.tolist()


def test_a_part_grows_to_the_thing_but_not_to_the_room() -> None:
    assert chosen((PART, 2.0), (THING, 1.9), (OTHER, 1.5), (ROOM, 1.2)) == [1, 2]


def test_a_thing_does_not_grow_to_the_much_larger_that_resembles_it() -> None:
    assert chosen((THING, 2.0), (ROOM, 1.95)) == [0]


def test_a_part_that_stands_out_stays_alone() -> None:
    assert chosen((PART, 2.0), (THING, 1.1)) == [0]


def test_two_places_are_two_and_no_more_than_asked_for() -> None:
    assert chosen((THING, 2.0), (OTHER, 1.9)) == [0, 1]
    assert chosen((THING, 2.0), (OTHER, 1.9), most=1) == [0]


def test_regions_without_a_positive_score_are_no_places() -> None:
    assert chosen((THING, 0.0), (OTHER, 0.5), (ROOM, -0.2)) == [1]


def one_by_one(boxes: np.ndarray, scores: np.ndarray) -> list[int]:
    """The rule for one photo, a region at a time."""

    def shared(a: np.ndarray, b: np.ndarray) -> float:
        width = min(a[2], b[2]) - max(a[0], b[0])
        height = min(a[3], b[3]) - max(a[1], b[1])
        return max(width, 0.0) * max(height, 0.0)

    area = [(box[2] - box[0]) * (box[3] - box[1]) for box in boxes]
    left = sorted((i for i in range(len(boxes)) if scores[i] > 0), key=lambda i: -scores[i])
    kept: list[int] = []
    while left and len(kept) < MOST_REGIONS:
        best = grown = left[0]
        for i in left:
            holds = shared(boxes[i], boxes[best]) >= 0.99 * area[best]
            cost = (1 - scores[i] / scores[best]) * (area[i] / area[best] - 1)
            if holds and cost <= SLACK and area[i] > area[grown]:
                grown = i
        kept.append(grown)
        left = [
            i
            for i in left
            if i not in (best, grown)
            and all(
                shared(boxes[i], boxes[j]) <= SAME_PLACE * min(area[i], area[j])
                for j in (best, grown)
            )
        ]
    return kept


def test_all_photos_at_once_show_what_one_by_one_would() -> None:
    generator = torch.Generator().manual_seed(0)
    patches = torch.nn.functional.normalize(torch.randn(8, 5, 6, 16, generator=generator), dim=3)
    made = find_regions(patches, 12)
    boxes = made.boxes.double().numpy()
    scores = (made.vectors @ torch.randn(16, generator=generator) + 1).numpy()
    shown = distinct(overlaps(boxes), scores)
    for photo in range(len(boxes)):
        mine = shown.region[shown.photo == photo].tolist()
        assert mine == one_by_one(boxes[photo], scores[photo])
    assert len(shown.photo) > 16
