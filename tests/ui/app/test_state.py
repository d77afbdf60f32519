"""What the address holds is read back as it was written, and nonsense in it is left out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ui.app.state import (
    MOST_MARKS,
    Place,
    PlacedWord,
    View,
    is_identifier,
    read_places,
    read_words,
    write_places,
    write_words,
)

ID = "0123456789abcdef" * 2
ends = st.integers(0, 10_000).map(lambda number: number / 10_000)
boxes = (
    st.tuples(ends, ends, ends, ends)
    .filter(lambda e: e[0] != e[2] and e[1] != e[3])
    .map(lambda e: (min(e[0], e[2]), min(e[1], e[3]), max(e[0], e[2]), max(e[1], e[3])))
)
points = st.tuples(ends, ends).map(lambda e: (*e, *e))
places = st.builds(Place, st.just(ID), boxes | points, st.booleans())
words = st.text(min_size=1, max_size=30).filter(lambda text: text == text.strip() and text)


@given(st.lists(places, max_size=MOST_MARKS))
def test_places_come_back(marked: list[Place]) -> None:
    assert list(read_places(write_places(marked))) == marked


@given(st.lists(st.builds(PlacedWord, words, boxes), max_size=8))
def test_placed_words_come_back(placed: list[PlacedWord]) -> None:
    try:
        written = write_words(placed)
    except UnicodeEncodeError:
        return  # a lone surrogate is no text that could stand in an address
    assert list(read_words(written)) == placed


@given(st.text(max_size=80))
def test_whatever_stands_in_an_address_is_read_without_harm(text: str) -> None:
    for place in read_places(text):
        assert is_identifier(place.photo)
    for word in read_words(text):
        assert word.text
        assert 0 <= word.box[0] < word.box[2] <= 1


@pytest.mark.parametrize(
    "text",
    [
        f"{ID}@0.5",
        f"{ID}@0.5,0.5,0.2,0.9",
        f"{ID}@0,0,1,1.5",
        f"{ID}@nan,0,1,1",
        f"{ID}@inf,0",
        "../../etc/passwd@0,0,1,1",
        f"{ID[:-1]}/@0,0,1,1",
        "@0,0,1,1",
        ";;@;",
    ],
)
def test_what_is_no_place_is_left_out(text: str) -> None:
    assert read_places(text) == ()


def test_a_question_by_places_or_pictures_has_no_line() -> None:
    place = Place(ID, (0.0, 0.0, 0.5, 0.5))
    assert View(find=(place,)).nearest
    assert View(like=(ID,)).nearest
    assert View(picture="abc").nearest
    assert not View(q="dog", like=(ID,)).nearest
    assert not View().nearest
    assert View(q="dog", show="Places").finds_places
    assert not View(like=(ID,), show="Places").finds_places
