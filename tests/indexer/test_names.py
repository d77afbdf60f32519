"""The forms in which names are compared."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.names import all_comparable, comparable, composed, folded


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Caf\u00e9", "cafe\u0301"),
        ("CAF\u00c9", "cafe\u0301"),
        ("Trip ", "trip"),
        ("3.04\u202fPM", "3.04 pm"),
        ("two  blanks", "two\nblanks"),
        ("\u200fright\u200e", "right"),
        ("heart \u2764\ufe0f", "heart \u2764"),
        ("\u0130stanbul", "istanbul"),
        ("ISTANBUL", "\u0131stanbul"),
        ("STRASSE", "stra\u00dfe"),
        ("\u1112\u1161\u11ab", "\ud55c"),
    ],
)
def test_what_people_take_for_the_same_is_the_same(one: str, other: str) -> None:
    assert comparable(one) == comparable(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("cafe", "caf\u00e9"),
        ("ab", "a b"),
        ("a\uf7e9", "a\uf7e8"),
        ("\U0001f3f4\U000e0067\U000e0062\U000e007f", "\U0001f3f4\U000e0066\U000e0072\U000e007f"),
        ("x\u00b2", "x2"),
    ],
)
def test_what_people_tell_apart_is_different(one: str, other: str) -> None:
    assert comparable(one) != comparable(other)


def test_a_file_system_tells_blanks_apart_and_what_is_unseen() -> None:
    assert folded("Trip ") != folded("trip")
    assert folded("a\u200fb") != folded("ab")
    assert folded("CAF\u00c9") == folded("cafe\u0301")


@given(st.text())
def test_the_forms_are_stable_and_ignore_how_accents_are_written(text: str) -> None:
    assert comparable(comparable(text)) == comparable(text)
    assert comparable(unicodedata.normalize("NFD", text)) == comparable(text)
    assert composed(unicodedata.normalize("NFD", text)) == composed(text)


@given(st.lists(st.text(st.characters(exclude_characters="\0"))))
def test_many_are_compared_as_each(texts: list[str]) -> None:
    assert all_comparable(texts) == list(map(comparable, texts))
