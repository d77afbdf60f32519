"""Which names are photos, and gitignore rules that nest."""

import pytest

from indexer.errors import RootError
from indexer.folders.ignore import IgnoreRules, extension


def test_extension_is_lower_case_and_without_dot() -> None:
    assert extension(b"A.JPG") == "jpg"
    assert extension(b"archive.tar.gz") == "gz"
    assert extension(b"README") == ""
    assert extension(b"a.\xff") not in {"", "jpg"}


def test_inner_rules_win_over_outer_ones() -> None:
    outer = IgnoreRules.parse(b"/p", ["*.png", "/raw/"], None, "outer")
    inner = IgnoreRules.parse(b"/p/keep", ["!*.png"], outer, "inner")
    assert outer.ignores(b"/p/x/a.png", is_folder=False)
    assert outer.ignores(b"/p/raw", is_folder=True)
    assert not outer.ignores(b"/p/x/raw", is_folder=True)
    assert not outer.ignores(b"/p/raw", is_folder=False)
    assert not inner.ignores(b"/p/keep/a.png", is_folder=False)
    assert not inner.ignores(b"/p/keep/a.jpg", is_folder=False)


@pytest.mark.parametrize("pattern", ["!", "[b-a]"])
def test_a_malformed_pattern_is_refused_by_name(pattern: str) -> None:
    with pytest.raises(RootError, match=r"/p/\.tipsignore has a pattern"):
        IgnoreRules.parse(b"/p", [pattern], None, "/p/.tipsignore")
