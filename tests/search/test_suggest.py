"""Searches that a collection answers."""

from __future__ import annotations

import pytest

from search import suggest
from search.searcher import Searcher
from tests.search.conftest import SHOWN


def test_what_is_suggested_is_found_each_with_a_photo_of_its_own(
    searcher: Searcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = (*SHOWN, "unicorn", "tax return", "my grandmother")
    monkeypatch.setattr(suggest, "word_list", lambda _: words)
    found = list(suggest.suggestions(searcher, 3))
    assert len(found) == 3
    assert set(found) <= set(SHOWN)
    assert list(suggest.suggestions(searcher, 3)) == found
    assert sorted(suggest.suggestions(searcher, 100)) == sorted(SHOWN)


def test_the_list_is_everyday_words_that_do_not_calibrate_the_line() -> None:
    words = suggest.word_list("concepts")
    assert len(words) > 100
    assert len(set(words)) == len(words)
    assert not set(words) & set(suggest.word_list("unrelated"))
