"""Typed paths and the names that disk and collection have for them."""

import os
from pathlib import Path

import polars as pl
import pytest

from indexer.errors import RootError
from indexer.folders.paths import to_text
from indexer.folders.roots import as_known, as_listed, as_root
from indexer.folders.scan import absolute_roots

NFC, NFD = "Caf\u00e9", "Cafe\u0301"


def folder(path: Path) -> Path:
    """A new folder that is not empty."""
    path.mkdir(parents=True)
    (path / "a.jpg").write_bytes(b"x")
    return path


@pytest.mark.parametrize(("there", "typed"), [(NFC, NFD), (NFD, NFC)])
def test_a_folder_is_found_in_the_other_form(tmp_path: Path, there: str, typed: str) -> None:
    folder(tmp_path / there / "in" / there)
    path = f"{tmp_path}/{typed}/in/{typed}"
    assert as_listed(path) == f"{tmp_path}/{there}/in/{there}"
    assert absolute_roots([path, f"{tmp_path}/{there}/in/{there}"]) == (
        f"{tmp_path}/{there}/in/{there}",
    )


def test_two_folders_stay_two_where_the_disk_tells_them_apart(tmp_path: Path) -> None:
    both = {str(folder(tmp_path / name)) for name in (NFC, NFD)}
    assert set(absolute_roots(sorted(both))) == both
    for path in both:
        assert as_root(path, sorted(both - {path})) == path
        assert as_listed(path) == path


def test_what_the_disk_does_not_have_stays_as_typed(tmp_path: Path) -> None:
    folder(tmp_path / "Holiday")
    for name in ("holiday", "nothing", "Holiday ", "Holiday/deeper/still"):
        assert as_listed(f"{tmp_path}/{name}") == f"{tmp_path}/{name}"
    assert as_listed("/") == "/"
    assert as_listed("s3://bucket/cafe\u0301") == "s3://bucket/cafe\u0301"


def test_a_name_that_several_look_like_is_not_guessed(tmp_path: Path) -> None:
    for name in ("e\u0323\u0302", "\u1eb9\u0302"):  # two forms of one letter, neither composed
        folder(tmp_path / name)
    assert as_listed(f"{tmp_path}/\u1ec7") == f"{tmp_path}/\u1ec7"


def test_another_name_of_a_root_is_the_root_if_the_file_system_says_so(tmp_path: Path) -> None:
    root = folder(tmp_path / NFD)
    for name in (NFC, "CAF\u00c9", "other"):  # links: names that this file system tells apart
        (tmp_path / name).symlink_to(root)
    roots = (str(root),)
    assert as_root(f"{tmp_path}/{NFC}", roots) == str(root)
    assert as_root(f"{tmp_path}/CAF\u00c9/new", roots) == f"{root}/new"
    assert as_root(f"{tmp_path}/other", roots) == f"{tmp_path}/other"
    assert absolute_roots([f"{tmp_path}/{NFC}", root], roots) == roots


def test_a_root_that_is_gone_is_known_by_its_looks(tmp_path: Path) -> None:
    gone = f"{tmp_path}/disk/{NFD}"
    assert as_root(f"{tmp_path}/disk/{NFC}", [gone]) == gone
    assert as_root(f"{tmp_path}/disk/{NFC}/in", [gone]) == f"{gone}/in"
    assert as_root(f"{tmp_path}/disk", [gone]) == f"{tmp_path}/disk"
    assert as_root(f"{tmp_path}/DISK/{NFC}", [gone]) == f"{tmp_path}/DISK/{NFC}"
    folder(tmp_path / "disk" / NFC)  # one that looks alike does not take its place
    assert as_root(gone, [gone]) == gone
    assert as_root(f"{tmp_path}/disk/{NFC}", [gone]) == f"{tmp_path}/disk/{NFC}"


def test_a_path_is_spelled_like_the_known_ones_below_it() -> None:
    known = pl.Series(["/a/b.jpg", f"/a/{NFD}/c.jpg", f"/a/{NFD}/d.jpg"])
    assert as_known(f"/a/{NFC}", known) == f"/a/{NFD}"
    assert as_known(f"/a/{NFC}/c.jpg", known) == f"/a/{NFD}/c.jpg"
    assert as_known("/a", known) == "/a"
    assert as_known("/x", known) == "/x"
    both = pl.Series([f"/a/{NFD}/c.jpg", f"/a/{NFC}/c.jpg"])
    assert as_known(f"/a/{NFC}", both) == f"/a/{NFC}"


def test_a_file_is_no_root(tmp_path: Path) -> None:
    with pytest.raises(RootError, match=r"a\.jpg is a file"):
        absolute_roots([folder(tmp_path / NFD) / "a.jpg"])


def test_bytes_that_are_no_text_are_kept(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(path)
    assert absolute_roots([path]) == (to_text(path),)
