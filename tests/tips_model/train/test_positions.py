import pytest

from tips_model.train.positions import Box, depth, place, relations, same_place


@pytest.mark.parametrize(
    ("box", "where"),
    [
        ((0, 0, 0.3, 0.3), "in the top left"), ((0.7, 0.7, 1, 1), "in the bottom right"),
        ((0, 0.4, 0.2, 0.6), "on the left"), ((0.4, 0.8, 0.6, 1), "at the bottom"),
        ((0.4, 0.4, 0.6, 0.6), "in the middle"), ((0, 0, 1, 0.3), "at the top"),
        ((0, 0, 1, 1), ""), ((0.7, 0, 1, 1), "on the right"),
        ((0.05, 0.05, 0.95, 0.95), ""), ((0, 0, 0.9, 0.9), ""),
    ],
)  # fmt: skip
def test_places(box: Box, where: str):
    assert place(box) == where


LEFT, RIGHT, UPPER = (0.1, 0.5, 0.4, 0.9), (0.6, 0.5, 0.9, 0.9), (0.1, 0.0, 0.4, 0.4)


def test_relations_hold_both_ways_and_only_where_boxes_are_apart():
    assert relations("dog", LEFT, "cat", RIGHT) == ["to the left of", "left of"]
    assert relations("cat", RIGHT, "dog", LEFT) == ["to the right of", "right of"]
    assert relations("cat", UPPER, "dog", LEFT) == ["above"]
    assert relations("dog", LEFT, "cat", UPPER) == ["below"]
    assert relations("dog", UPPER, "cat", RIGHT) == []
    assert relations("dog", (0.1, 0.1, 0.6, 0.6), "cat", (0.3, 0.2, 0.9, 0.7)) == []
    near = relations("dog", LEFT, "cat", (0.42, 0.5, 0.7, 0.9))
    assert near == ["to the left of", "left of", "next to"]


@pytest.mark.parametrize(
    ("thing", "support", "words"),
    [
        ("orange", "bowl", ["in"]), ("cup", "dining table", ["on"]), ("person", "couch", ["on"]),
        ("person", "dining table", []), ("chair", "dining table", []), ("chair", "couch", []),
        ("handbag", "person", []), ("person", "car", []),
    ],
)  # fmt: skip
def test_only_what_holds_things_has_them_in_or_on_it(thing: str, support: str, words: list[str]):
    assert relations(thing, (0.4, 0.4, 0.5, 0.5), support, (0.2, 0.2, 0.8, 0.8)) == words


def test_what_pokes_out_is_not_inside():
    assert relations("orange", (0.7, 0.4, 0.9, 0.5), "bowl", (0.2, 0.2, 0.8, 0.8)) == []


def test_near_and_far():
    large, far, held = (0.5, 0, 1, 1), (0.1, 0.4, 0.15, 0.5), (0.6, 0.4, 0.65, 0.5)
    assert depth("cup", large, [large]) == "in the foreground"
    assert depth("person", far, [far, large]) == "in the background"
    assert depth("person", far, [far]) == ""
    assert depth("cup", far, [far, large]) == ""
    assert depth("person", held, [held, large]) == ""


def test_agreement_of_boxes():
    assert same_place((0, 0, 0.5, 1), (0, 0, 0.5, 1)) == 1
    assert same_place((0, 0, 0.5, 1), (0.25, 0, 0.75, 1)) == pytest.approx(1 / 3)
    assert same_place((0, 0, 0.25, 1), (0.5, 0, 1, 1)) == 0
