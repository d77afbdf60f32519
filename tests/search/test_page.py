import numpy as np

from search.page import distinct

THING = (0.2, 0.2, 0.6, 0.6)
PART = (0.3, 0.3, 0.6, 0.5)
ROOM = (0.0, 0.0, 1.0, 1.0)
OTHER = (0.7, 0.7, 0.9, 0.9)


def chosen(*boxes: tuple[tuple[float, float, float, float], float], most: int = 8) -> list[int]:
    return distinct(np.array([b for b, _ in boxes]), np.array([s for _, s in boxes]), most)


def test_a_part_grows_to_the_thing_but_not_to_the_room() -> None:
    assert chosen((PART, 2.0), (THING, 1.9), (OTHER, 1.5), (ROOM, 1.2)) == [1, 2]


def test_a_thing_does_not_grow_to_the_much_larger_that_resembles_it() -> None:
    assert chosen((THING, 2.0), (ROOM, 1.95)) == [0]


def test_a_part_that_stands_out_stays_alone() -> None:
    assert chosen((PART, 2.0), (THING, 1.1)) == [0]


def test_two_places_are_two_and_no_more_than_asked_for() -> None:
    assert chosen((THING, 2.0), (OTHER, 1.9)) == [0, 1]
    assert chosen((THING, 2.0), (OTHER, 1.9), most=1) == [0]


def test_no_boxes_show_no_place() -> None:
    assert distinct(np.empty((0, 4)), np.empty(0, np.float32), 8) == []
