"""Which files beside a photo belong to it."""

from __future__ import annotations

import os
from itertools import chain
from pathlib import Path

import polars as pl
import pytest

from indexer.folders.paths import to_text
from indexer.folders.scan import FILE_SCHEMA, scan
from indexer.folders.sidecars import sidecar_names, sidecars_of, with_sidecars

LONG = "a_name_that_is_longer_than_takeout_likes_it_to_be_2020"


def beside(folder: Path, photo: str) -> list[str]:
    """The names of the sidecars that a walk finds for a photo."""
    row = scan([str(folder)]).files.filter(path=f"{folder}/{photo}").row(0, named=True)
    assert (row["stamp"] != 0) == bool(row["sidecars"])
    return [path.removeprefix(f"{folder}/") for path in row["sidecars"]]


@pytest.mark.parametrize(
    ("photo", "sidecar"),
    [
        ("a.jpg", "a.xmp"),
        ("a.jpg", "a.jpg.xmp"),
        ("A.JPG", "a.jpg.XMP"),
        ("IMG_1.CR2", "IMG_1.xmp"),
        ("Weiher am Abend.jpg", "Weiher am Abend.jpg.xmp"),
        ("a.jpg", "a.jpg.json"),
        ("a.jpg", "a.json"),
        ("a.JPG", "a.JPG.json"),
        ("IMG_1.jpg", "IMG_1.jpg.supplemental-metadata.json"),
        ("PXL_20230101_120000123.jpg", "PXL_20230101_120000123.jpg.supplemental-metada.json"),
        ("PXL_20230101_120000123.jpg", "PXL_20230101_120000123.jpg.s.json"),
        ("IMG_1(2).jpg", "IMG_1.jpg(2).json"),
        ("IMG_1(2).jpg", "IMG_1.jpg.supplemental-metadata(2).json"),
        ("IMG_1(2).jpg", "IMG_1(2).jpg.json"),
        ("IMG_1-edited.jpg", "IMG_1.jpg.json"),
        ("IMG_1-bearbeitet.jpg", "IMG_1.jpg.supplemental-metadata.json"),
        ("IMG_1-edited(2).jpg", "IMG_1.jpg(2).json"),
        ("cafe\u0301-modifie\u0301.jpg", "caf\u00e9.jpg.json"),
        (f"{LONG}.jpg", f"{LONG[:46]}.json"),
        (f"{LONG}(1).jpg", f"{LONG[:46]}(1).json"),
    ],
)
def test_a_sidecar_belongs_to_its_photo(tmp_path: Path, photo: str, sidecar: str) -> None:
    (tmp_path / photo).write_bytes(b"x")
    (tmp_path / sidecar).write_bytes(b"y")
    assert beside(tmp_path, photo) == [sidecar]


@pytest.mark.parametrize(
    ("photo", "other"),
    [
        ("a.jpg", "b.xmp"),
        ("a.jpg", "a.jpg.xmp.bak"),
        ("a.jpg", "a.png.xmp"),
        ("a.jpg", "a.jpg.metadata.json"),
        ("a.jpg", "a.jpg(1).json"),
        ("a(1).jpg", "a.jpg.json"),
        ("IMG_1.jpg", "IMG_10.jpg.json"),
        ("IMG_10.jpg", "IMG_1.jpg.json"),
        ("edited.jpg", "a.jpg.json"),
    ],
)
def test_other_files_do_not(tmp_path: Path, photo: str, other: str) -> None:
    (tmp_path / photo).write_bytes(b"x")
    (tmp_path / other).write_bytes(b"y")
    assert beside(tmp_path, photo) == []


def test_xmp_comes_first_and_one_json_is_meant(tmp_path: Path) -> None:
    for name in ("a.jpg", "a.xmp", "a.jpg.xmp", "a.json", "a.jpg.json", "a.jpg.supp.json"):
        (tmp_path / name).write_bytes(name.encode())
    assert beside(tmp_path, "a.jpg") == ["a.jpg.xmp", "a.xmp", "a.jpg.json"]


def test_the_stamp_follows_the_content_and_not_the_names(tmp_path: Path) -> None:
    for name in ("a.jpg", "a.xmp", "b.jpg"):
        (tmp_path / name).write_bytes(b"x")
    os.utime(tmp_path / "a.xmp", ns=(5, 5))

    def stamps() -> dict[str, int]:
        files = scan([str(tmp_path)]).files
        return {Path(path).name: n for path, n in files.select("path", "stamp").iter_rows()}

    before = stamps()
    assert before["a.jpg"] != 0 == before["b.jpg"]
    (tmp_path / "a.jpg").rename(tmp_path / "c.jpg")
    (tmp_path / "a.xmp").rename(tmp_path / "c.jpg.xmp")
    assert stamps() == {"b.jpg": 0, "c.jpg": before["a.jpg"]}
    (tmp_path / "c.jpg.xmp").write_bytes(b"xy")
    assert stamps()["c.jpg"] not in (0, before["a.jpg"])


def test_what_a_walk_finds_is_what_looking_at_known_files_finds(tmp_path: Path) -> None:
    for name in ("a/1.jpg", "a/1.xmp", "b/2.jpg", "b/2.jpg.json", "b/3.jpg"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(name.encode())
    found = scan([str(tmp_path)]).files
    plain = found.drop("sidecars").with_columns(stamp=pl.lit(0, pl.Int64))
    assert with_sidecars(plain).select(FILE_SCHEMA.names()).equals(found)
    nowhere = plain.with_columns(path=pl.lit("/no/where.jpg"))
    assert set(with_sidecars(nowhere)["stamp"]) == {0}


def test_sidecars_are_not_left_out_and_ignored_ones_are_not_read(tmp_path: Path) -> None:
    for name in ("a.jpg", "a.xmp", "a.cr2", "b.xmp", "b.json"):
        (tmp_path / name).write_bytes(b"x")
    assert scan([str(tmp_path)]).left_out == {".xmp": 1, ".json": 1}
    (tmp_path / ".tipsignore").write_text("*.xmp\n")
    assert beside(tmp_path, "a.jpg") == []


def test_odd_names_have_finitely_many_sidecars() -> None:
    for name in (
        b"(1).jpg",
        b"-edited.jpg",
        b"-edited-edited(1).jpg",
        b"\xff.jpg",
        b".jpg",
        b"jpg",
    ):
        names = [*chain(*sidecar_names(to_text(name)))]
        assert 0 < len(names) < 200
        assert sidecars_of(name, {}) == ([], 0)
