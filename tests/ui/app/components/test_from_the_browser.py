"""What Python makes of values from the browser, which may send anything."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ui.app.components.canvas import (
    LEAST_SIDE,
    LONGEST_WORD,
    MOST_THINGS,
    PlacedWord,
    _checked_things,
)
from ui.app.components.edits import checked_box
from ui.app.components.photo import MOST_MARKS, Mark, _checked_marks

NAN, INF = float("nan"), float("inf")
BOX = [0.1, 0.2, 0.3, 0.4]

plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6)
nested = st.recursive(
    plain,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.sampled_from(["kind", "box", "positive", "text"]), inner)
    ),
    max_leaves=12,
)
numbers = st.floats() | st.integers()
boxes = st.lists(numbers, min_size=4, max_size=4)
marks = st.fixed_dictionaries(
    {"kind": st.sampled_from(["box", "point", "x"]), "box": boxes, "positive": st.booleans()}
)
things = st.fixed_dictionaries({"text": st.text(), "box": boxes})


@pytest.mark.parametrize(
    ("sent", "box"),
    [
        (BOX, (0.1, 0.2, 0.3, 0.4)),
        ([0.3, 0.4, 0.1, 0.2], (0.1, 0.2, 0.3, 0.4)),
        ([-1, 0.2, 7, 0.4], (0.0, 0.2, 1.0, 0.4)),
        ([10**400, 0, -(10**400), 1], (0.0, 0.0, 1.0, 1.0)),
        ([NAN, 0, 1, 1], None),
        ([0, INF, 1, 1], None),
        ([True, 0, 1, 1], None),
        (["0", 0, 1, 1], None),
        ([0, 1, 1], None),
        ({"0": 1}, None),
        (None, None),
    ],
)
def test_a_box_is_put_in_order_and_inside_or_is_none(sent: object, box: object) -> None:
    assert checked_box(sent) == box


def test_marks_that_are_none_are_left_out() -> None:
    good = {"kind": "box", "box": BOX, "positive": False}
    point = {"kind": "point", "box": [0.5, 2, 0.9, 0.9], "positive": True}
    bad: list[object] = [
        None,
        7,
        [],
        good | {"kind": "circle"},
        good | {"kind": ["box"]},
        good | {"positive": 1},
        good | {"box": [0.1, 0.2, 0.1, 0.4]},
        {"kind": "box"},
    ]
    assert _checked_marks([good, *bad, point]) == (
        Mark("box", 0.1, 0.2, 0.3, 0.4, positive=False),
        Mark("point", 0.5, 0.9, 0.5, 0.9),
    )
    assert _checked_marks([good] * 1000) == (Mark("box", 0.1, 0.2, 0.3, 0.4, False),) * MOST_MARKS
    assert _checked_marks([]) == ()
    assert _checked_marks("[]") is None


def test_things_get_a_word_and_a_side_or_are_left_out() -> None:
    def checked(word: object, box: object = BOX) -> tuple[PlacedWord, ...] | None:
        return _checked_things([{"text": word, "box": box}])

    assert checked("  a \n\t dog\x00\ud800 ") == (PlacedWord("a dog", (0.1, 0.2, 0.3, 0.4)),)
    assert checked("x" * 1000) == (PlacedWord("x" * LONGEST_WORD, (0.1, 0.2, 0.3, 0.4)),)
    assert checked("a", [1, 0.5, 1, 0.5]) == (PlacedWord("a", (0.96, 0.5, 1.0, 0.54)),)
    for nothing in (" \n", "\x00", None, 5, ["a"]):
        assert checked(nothing) == ()
    assert checked("a", [0, 0, NAN, 1]) == ()
    assert len(_checked_things([{"text": "a", "box": BOX}] * 100) or ()) == MOST_THINGS
    assert _checked_things({"text": "a", "box": BOX}) is None


@given(st.lists(marks | nested, max_size=20) | nested)
def test_any_marks_come_out_inside_the_picture(value: Any) -> None:
    checked = _checked_marks(value)
    assert (checked is None) == (not isinstance(value, list))
    for mark in checked or ():
        assert 0 <= mark.x0 <= mark.x1 <= 1
        assert 0 <= mark.y0 <= mark.y1 <= 1
        assert (mark.kind == "point") == (mark.x0 == mark.x1 and mark.y0 == mark.y1)


@given(st.lists(things | nested, max_size=12) | nested)
def test_any_things_come_out_inside_the_stage_and_can_be_sent_on(value: Any) -> None:
    checked = _checked_things(value)
    assert (checked is None) == (not isinstance(value, list))
    for thing in checked or ():
        x0, y0, x1, y1 = thing.box
        assert 0 <= x0 < x1 <= 1
        assert 0 <= y0 < y1 <= 1
        assert min(x1 - x0, y1 - y0) >= LEAST_SIDE - 1e-9
        assert 0 < len(thing.text) <= LONGEST_WORD
        assert thing.text.encode().decode().isprintable()
