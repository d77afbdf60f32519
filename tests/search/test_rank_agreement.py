"""How far two rankings agree, by hand."""

import pytest

from search.rank_agreement import agreement


def test_the_same_ranking_agrees_wholly() -> None:
    found = agreement(list("abcdefg"), list("abcdefg"))
    assert found.overlap == {1: 1.0, 5: 1.0, 7: 1.0}
    assert found.correlation == pytest.approx(1.0)
    assert found.shared == 7


def test_a_part_and_another_order() -> None:
    found = agreement(list("abcdef"), list("dcbxyz"))
    assert found.overlap == {1: 0.0, 5: 3 / 5, 6: 0.5}
    assert (found.correlation, found.shared) == (pytest.approx(-1.0), 3)


def test_lists_of_different_lengths_and_nothing() -> None:
    assert agreement(list("ab"), list("abcd")).overlap == {1: 1.0, 4: 0.5}
    assert agreement(["a"], ["b"]).correlation is None
    empty = agreement([], [])
    assert (empty.overlap, empty.correlation, empty.shared) == ({}, None, 0)
