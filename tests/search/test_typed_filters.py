"""Filters among the words of a query."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from search.errors import FilterError, QueryError
from search.filters import parse_filter
from search.request import Request
from search.searcher import Searcher
from search.typed_filters import typed_filters

TODAY = date(2026, 12, 1)


@pytest.mark.parametrize(
    ("text", "words", "filter"),
    [
        ("squirrel", "squirrel", ""),
        (
            "squirrel date:2023 camera:canon -in:Trash near:48.1,11.5,20km",
            "squirrel",
            "date:2023 camera:canon -in:Trash near:48.1,11.5,20km",
        ),
        ("date:2023 squirrel", "squirrel", "date:2023"),
        ("red DATE:2023 squirrel", "red squirrel", "DATE:2023"),
        ("squirrel and date:2023", "squirrel", "date:2023"),
        ("squirrel, date:2023.", "squirrel", "date:2023"),
        ('dog camera:"Canon EOS" left of cat', "dog left of cat", 'camera:"Canon EOS"'),
        ("in:a|b cat", "cat", "in:a|b"),
        ("(dog in:Rome) and cat", "(dog) and cat", "in:Rome"),
        ("dog in:Trip(1)", "dog", "in:Trip(1)"),
        ("in:Rome", "", "in:Rome"),
        ("squirrel date:2023, cat", "squirrel, cat", "date:2023"),
        ("dog date:2021..", "dog", "date:2021.."),
        ("(dog date:2021..), cat", "(dog), cat", "date:2021.."),
        ("dog date:2021...", "dog", "date:2021.."),
        ('"date:2023" on a sign', '"date:2023" on a sign', ""),
        ("2:red + mug - cup", "2:red + mug - cup", ""),
        ("a clock at 12:30", "a clock at 12:30", ""),
        ("https://in:x", "https://in:x", ""),
        ("Star Wars: a new hope", "Star Wars: a new hope", ""),
        ('an open "quote date:2023', 'an open "quote date:2023', ""),
        ("dog camera:", "dog camera:", ""),
    ],
)
def test_filters_are_taken_out_of_the_words(text: str, words: str, filter: str) -> None:
    typed = typed_filters(text, TODAY)
    assert (typed.words, typed.filter) == (words, filter)


def test_a_name_that_is_no_filter_stays_words_and_is_told() -> None:
    typed = typed_filters("dog foo:bar, date:2023", TODAY)
    assert (typed.words, typed.filter) == ("dog foo:bar", "date:2023")
    (note,) = typed.notes
    assert note.startswith("'foo:bar' is no filter and is read as words; the filters are camera:")
    assert "date:" in note


@pytest.mark.parametrize(
    ("text", "offered"),
    [
        ("the beach in July 2023", "date:2023-07"),
        ("Christmas Dec. 2019", "date:2019-12"),
        ("party in 2021", "date:2021"),
        ("party 2021", "date:2021"),
        ("hiking last summer", "date:2026-06..2026-08"),
        ("snow last winter", "date:2025-12..2026-02"),
        ("snow winter 2019", "date:2019-12..2020-02"),
        ("roses in may", "month:5"),
        ("yesterday", "date:2026-11-30"),
        ("photos of last week", "date:2026-11-23..2026-11-29"),
        ("last month", "date:2026-11"),
        ("last year", "date:2025"),
    ],
)
def test_dates_are_offered_and_not_guessed(text: str, offered: str) -> None:
    typed = typed_filters(text, TODAY)
    assert (typed.words, typed.filter) == (text, "")
    (note,) = typed.notes
    assert note.endswith(f", add {offered}")
    assert parse_filter(offered) is not None


@pytest.mark.parametrize(
    "text", ["a march of protesters", "the may pole", '"July 2023"', "number 12345", "a fall leaf"]
)
def test_other_words_offer_nothing(text: str) -> None:
    assert typed_filters(text, TODAY).notes == ()


def test_every_way_in_reads_them(searcher: Searcher) -> None:
    plain = searcher.search(Request(words="red", filter="in:rome", all=True))
    typed = searcher.search(Request(words="red in:rome", all=True))
    assert [hit.id for hit in typed.hits] == [hit.id for hit in plain.hits] != []
    assert typed.searched == plain.searched
    assert (typed.query, typed.notes) == ("red", ("Filter: in:rome",))
    both = searcher.search(Request(words="red in:rome", filter="-in:rome", all=True))
    assert both.searched == 0
    with pytest.raises(QueryError, match="'in:rome' only filters; add what the photos show"):
        searcher.search(Request(words="in:rome"))
    with pytest.raises(FilterError, match="not a date"):
        searcher.search(Request(words="red date:someday"))


def test_words_that_find_a_file_are_no_filter(tmp_path: Path) -> None:
    assert typed_filters(f"2:{tmp_path}/a.jpg").filter == ""
