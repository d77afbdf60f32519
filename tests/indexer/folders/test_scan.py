"""Walking real folders."""

import os
from pathlib import Path

import pytest

from indexer.errors import RootError
from indexer.folders.paths import to_text
from indexer.folders.scan import ScanResult, absolute_roots, scan


def touch(path: Path, data: bytes = b"x") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def names(found: ScanResult, root: Path) -> list[str]:
    return sorted(path.removeprefix(f"{root}/") for path in found.files["path"])


def test_photos_are_found_with_their_facts(tmp_path: Path) -> None:
    touch(tmp_path / "b/two.PNG", b"12345")
    touch(tmp_path / "one.jpg")
    touch(tmp_path / "notes.txt")
    found = scan([str(tmp_path)])
    assert names(found, tmp_path) == ["b/two.PNG", "one.jpg"]
    row = found.files.filter(path=f"{tmp_path}/b/two.PNG").row(0, named=True)
    facts = (tmp_path / "b/two.PNG").stat()
    assert row["size"] == 5
    assert row["mtime_ns"] == facts.st_mtime_ns
    assert row["ctime_ns"] == facts.st_ctime_ns
    assert row["root"] == str(tmp_path)


def test_system_and_hidden_and_marked_folders_are_left_out(tmp_path: Path) -> None:
    kept = "kept/a.jpg"
    left_out = [
        ".hidden.jpg",
        ".cache/a.jpg",
        "@eaDir/a.jpg",
        "node_modules/a.jpg",
        "System Volume Information/a.jpg",
        "private/deep/a.jpg",
    ]
    for name in [kept, *left_out]:
        touch(tmp_path / name)
    touch(tmp_path / "private/.nomedia")
    for name in ("kept/a.MOV", "kept/b.mov", "kept/c.txt", "kept/README"):
        touch(tmp_path / name)
    found = scan([str(tmp_path)])
    assert names(found, tmp_path) == [kept]
    counts = {"hidden": 2, "default": 3, ".nomedia": 1, ".mov": 2, ".txt": 1, "": 1}
    assert found.left_out == counts
    hidden = names(scan([str(tmp_path)], include_hidden=True), tmp_path)
    assert hidden == sorted([kept, ".hidden.jpg", ".cache/a.jpg"])


def test_tipsignore_files_hold_below_their_folder(tmp_path: Path) -> None:
    for name in ["a.png", "a.jpg", "sub/a.png", "sub/a.jpg", "sub/drafts/a.jpg", "drafts/a.jpg"]:
        touch(tmp_path / name)
    (tmp_path / ".tipsignore").write_text("*.png\n# a comment\n")
    (tmp_path / "sub/.tipsignore").write_text("!a.png\ndrafts/\n")
    found = scan([str(tmp_path)])
    assert names(found, tmp_path) == ["a.jpg", "drafts/a.jpg", "sub/a.jpg", "sub/a.png"]
    found = scan([str(tmp_path)], ignore=["/drafts"])
    assert names(found, tmp_path) == ["a.jpg", "sub/a.jpg", "sub/a.png"]


def test_loops_of_links_end_and_real_paths_win(tmp_path: Path) -> None:
    touch(tmp_path / "z/real.jpg")
    (tmp_path / "a-link").symlink_to(tmp_path / "z")
    (tmp_path / "z/loop").symlink_to(tmp_path)
    outside = tmp_path.with_name(tmp_path.name + "-outside")
    touch(outside / "far.jpg")
    (tmp_path / "far").symlink_to(outside)
    assert names(scan([str(tmp_path)]), tmp_path) == ["far/far.jpg", "z/real.jpg"]


def test_a_folder_with_a_photos_name_is_a_folder(tmp_path: Path) -> None:
    touch(tmp_path / "x.jpg/inner.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    assert names(scan([str(tmp_path)]), tmp_path) == ["x.jpg/inner.jpg"]


def test_links_that_lead_nowhere_are_listed(tmp_path: Path) -> None:
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nothing.jpg")
    (tmp_path / "self.jpg").symlink_to(tmp_path / "self.jpg")
    found = scan([str(tmp_path)])
    assert names(found, tmp_path) == ["gone.jpg", "self.jpg"]
    assert not found.problems


def test_odd_names_are_found(tmp_path: Path) -> None:
    odd = [b"new\nline.jpg", "🌄 ü.jpg".encode(), b"bad-\xff\xfe.jpg", b"-rf.jpg"]
    for name in odd:
        with open(os.path.join(os.fsencode(tmp_path), name), "wb") as file:
            file.write(b"x")
    assert names(scan([str(tmp_path)]), tmp_path) == sorted(to_text(name) for name in odd)


def test_missing_and_empty_roots_are_told_apart_from_read_ones(tmp_path: Path) -> None:
    touch(tmp_path / "there/a.jpg")
    (tmp_path / "empty").mkdir()
    roots = [str(tmp_path / name) for name in ("there", "empty", "gone")]
    found = scan(roots)
    assert found.missing_roots == (roots[1], roots[2])
    assert found.files.height == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_folder_is_reported(tmp_path: Path) -> None:
    touch(tmp_path / "locked/a.jpg")
    touch(tmp_path / "open/b.jpg")
    (tmp_path / "locked").chmod(0)
    try:
        found = scan([str(tmp_path)])
    finally:
        (tmp_path / "locked").chmod(0o755)
    assert found.unseen == (f"{tmp_path}/locked",)
    assert "Permission denied" in found.problems[0].reason
    assert names(found, tmp_path) == ["open/b.jpg"]


def test_a_folder_that_cannot_be_listed_is_reported(tmp_path: Path) -> None:
    touch(tmp_path / "open/b.jpg")
    deep = os.fsencode(tmp_path) + b"/deep"
    os.mkdir(deep)
    here = os.open(deep, os.O_RDONLY)
    try:  # deeper than any path may be long: the walk cannot enter, for root neither
        for _ in range(20):
            os.mkdir(b"d" * 250, dir_fd=here)
            below = os.open(b"d" * 250, os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
    finally:
        os.close(here)
    found = scan([str(tmp_path)])
    assert names(found, tmp_path) == ["open/b.jpg"]
    assert len(found.unseen) == 1
    assert found.problems[0].reason == "folder not readable: File name too long"


def test_roots_are_absolute_and_not_nested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a/b").mkdir(parents=True)
    assert absolute_roots(["a/b", "./a/", tmp_path / "ab"]) == (f"{tmp_path}/a", f"{tmp_path}/ab")
    touch(tmp_path / "photo.jpg")
    with pytest.raises(RootError, match="is a file; give the folder"):
        absolute_roots(["photo.jpg"])


@pytest.mark.parametrize("mount_point", [True, False])
def test_a_root_that_goes_under_the_walk_is_missing(tmp_path: Path, mount_point: bool) -> None:
    root, away = tmp_path / "root", tmp_path / "away"
    for name in ("a.jpg", "b/b.jpg", "c/c.jpg"):
        touch(root / name)
    whole = scan([str(root)])
    assert whole.missing_roots == ()

    def take_away(_: int) -> None:  # after the first folder
        if not away.exists():
            root.rename(away)
            if mount_point:
                root.mkdir()

    found = scan([str(root)], progress=take_away)
    assert names(found, root) == ["a.jpg"]
    assert found.missing_roots == (str(root),)
