"""Which names are photos, and gitignore rules that nest."""

import pytest

from indexer.errors import RootError
from indexer.folders.ignore import IgnoreRules, extension, skips_folder
from indexer.folders.paths import to_text


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


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("@eaDir", "default"),
        ("a/@EADIR", "default"),
        ("a/#recycle", "default"),
        ("$Recycle.Bin", "default"),
        ("Cats Previews.lrdata", "default"),
        ("My.photoslibrary", ""),
        ("My.photoslibrary/originals", ""),
        ("My.photoslibrary/Masters/2012", ""),
        ("My.photoslibrary/resources", "default"),
        ("2021 trip", ""),
    ],
)
def test_folders_of_copies_are_left_out(path: str, why: str) -> None:
    assert skips_folder(f"/p/{path}".encode(), "/p", None) == why
    assert skips_folder(f"/@eaDir/{path}".encode(), "/@eaDir", None) == why


def test_a_default_is_taken_back_by_a_pattern() -> None:
    rules = IgnoreRules.parse(b"/p", ["!@eaDir/", "own/"], None, "own")
    assert skips_folder(b"/p/@eaDir", "/p", rules) == ""
    assert skips_folder(b"/p/#recycle", "/p", rules) == "default"
    assert skips_folder(b"/p/own", "/p", rules) == "ignored"


def test_a_library_of_apples_that_is_a_root_keeps_its_order() -> None:
    root = "/p/My.photoslibrary"
    assert skips_folder(b"/p/My.photoslibrary/resources", root, None) == "default"
    assert skips_folder(b"/p/My.photoslibrary/originals", root, None) == ""


@pytest.mark.parametrize("pattern", ["Caf\u00e9", "Cafe\u0301", "caf\u00e9", "Caf?"])
@pytest.mark.parametrize("name", ["Caf\u00e9", "Cafe\u0301"])
def test_patterns_hold_for_both_forms_of_accents_and_for_one_case(pattern: str, name: str) -> None:
    rules = IgnoreRules.parse(b"/p", [f"{pattern}/"], None, "rules")
    assert rules.ignores(f"/p/{name}".encode(), is_folder=True) is (pattern[0] == "C")


def test_a_pattern_may_hold_bytes_that_are_no_text() -> None:
    for line in ("caf\udce9*", to_text(b"caf\xe9*")):  # from the command line, from a file
        assert IgnoreRules.parse(b"/p", [line], None, "rules").ignores(b"/p/caf\xe9 1", True)


def test_a_set_that_python_may_read_in_another_way_warns_nobody() -> None:
    rules = IgnoreRules.parse(b"/r", ["[a--b]"], None, "the list")
    assert rules.ignores(b"/r/a", is_folder=False)
    assert not rules.ignores(b"/r/c", is_folder=False)
