"""`tips export` on a real collection: what is written, what is refused, and the exit codes."""

from __future__ import annotations

import csv
import io
import json
import shutil
import zipfile
from pathlib import Path

import pytest

from tests.ui.conftest import HOSTILE, paint, tips
from tips_model.eval.coco import read_coco_set


def listing(folder: Path) -> list[tuple[str, int, int]]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return sorted((str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in files)


def test_all_forms_at_once_hold_the_same_photos(
    collection: Path, photos: Path, tmp_path: Path
) -> None:
    tips("regions", "disc", "-c", collection)  # calibrates, so that both answers use one file
    before = listing(photos)
    out = {name: tmp_path / f"hits.{name}" for name in ("csv", "json", "zip")}
    (tmp_path / "set").mkdir()
    coco = tmp_path / "set" / "instances.json"
    run = tips(
        *("export", "red disc", "--all", "--places", "-c", collection),
        *(word for name, path in out.items() for word in (f"--{name}", path)),
        *("--coco", coco, "--root", photos, "--copy", tmp_path / "copies"),
    )
    assert run.exit_code == 0, run.output
    assert "30 photos to" in run.stderr
    assert run.stdout == ""
    answer = json.loads(out["json"].read_text("utf-8"))
    expected = json.loads(
        tips(
            "regions", "red disc", "--all", "-n", 100, "--no-refine", "--json", "-c", collection
        ).stdout
    )
    assert answer == expected
    paths = [hit["path"] for hit in answer["hits"]]
    assert len(paths) == 30
    rows = list(csv.DictReader(io.StringIO(out["csv"].read_text("utf-8"))))
    assert [row["path"] for row in rows] == paths
    data = read_coco_set(coco.parent)
    relative = [str(image.path.relative_to(coco.parent / "images")) for image in data.images]
    assert relative == [str(Path(path).relative_to(photos)) for path in paths]
    with zipfile.ZipFile(out["zip"]) as archive:
        assert archive.testzip() is None
        assert [archive.read(n) for n in archive.namelist()] == [
            Path(p).read_bytes() for p in paths
        ]
    copied = sorted(path.read_bytes() for path in (tmp_path / "copies").iterdir())
    assert copied == sorted(Path(path).read_bytes() for path in paths)
    assert listing(photos) == before


def test_a_table_goes_to_stdout(collection: Path) -> None:
    run = tips("export", "disc", "--all", "-n", 3, "--csv", "-", "-c", collection)
    assert len(list(csv.reader(io.StringIO(run.stdout)))) == 4
    assert run.stderr == ""


def test_a_filter_and_a_picture_choose(collection: Path, photos: Path) -> None:
    picture = photos / "Rome" / "IMG_0003.jpg"
    run = tips("export", "--image", picture, "--filter", 'in:"Rome"', "--all", "--json", "-",
               "-c", collection)  # fmt: skip
    paths = [hit["path"] for hit in json.loads(run.stdout)["hits"]]
    assert len(paths) == 10
    assert paths[0] == str(picture)


def test_nothing_found_writes_nothing(collection: Path, tmp_path: Path) -> None:
    run = tips("export", "a", "--filter", "date:1901", "--csv", tmp_path / "a.csv",
               "--copy", tmp_path / "copies", "-c", collection)  # fmt: skip
    assert run.exit_code == 1
    assert "No photo matches the filter." in run.stderr
    assert list(tmp_path.iterdir()) == []


def test_files_are_replaced_only_by_force(collection: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.csv"
    target.write_text("precious")
    call = ("export", "disc", "--all", "-n", 1, "--csv", target, "-c", collection)
    refused = tips(*call)
    assert refused.exit_code == 2
    assert "exists; --force overwrites it" in refused.stderr
    assert target.read_text() == "precious"
    assert tips(*call, "--force").exit_code == 0
    assert target.read_text().startswith("id,path,")


def test_photos_are_never_replaced(collection: Path, photos: Path, tmp_path: Path) -> None:
    before = listing(photos)
    link = tmp_path / "link"
    link.symlink_to(photos)
    for folder in (photos, link):
        call = ("export", "disc", "--all", "--force", "-c", collection)
        over = tips(*call, "--csv", folder / "Rome" / "IMG_0001.jpg")
        assert over.exit_code == 2
        assert "never overwritten" in over.stderr
        beside = tips(*call, "--copy", folder / "new")
        assert beside.exit_code == 2
        assert "would be indexed too" in beside.stderr
    assert listing(photos) == before


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ((), "Choose what to write"),
        (("--csv", "-", "--json", "-"), "Only one of --csv and --json"),
        (("--zip", "-"), "copies cannot go to stdout"),
        (("--csv", "x", "--root", "."), "--root needs"),
        (("--csv", "{c}/new.csv"), "is inside the folder of the collection"),
        (("--csv", "{t}/a", "--json", "{t}/../{n}/a"), "its own file"),
        (("--copy", "{t}"), "is not empty"),
    ],
)
def test_wrong_calls_are_refused_with_a_sentence(
    collection: Path, tmp_path: Path, options: tuple[str, ...], sentence: str
) -> None:
    (tmp_path / "there").touch()
    filled = [o.format(c=collection, t=tmp_path, n=tmp_path.name) for o in options]
    run = tips("export", "disc", "--all", *filled, "-c", collection)
    assert run.exit_code == 2
    assert sentence in " ".join(run.stderr.split())


def test_a_missing_original_is_said(tmp_path: Path) -> None:
    for seed in range(3):
        paint(tmp_path / "photos" / f"{seed}.jpg", seed)
    paint(tmp_path / "photos" / HOSTILE, 3)
    tips("index", tmp_path / "photos", "--model", "nano", "-c", tmp_path / "c")
    (tmp_path / "photos" / "1.jpg").unlink()
    run = tips("export", "disc", "--all", "--zip", tmp_path / "z.zip", "-c", tmp_path / "c")
    assert run.exit_code == 0
    assert "1 photo could not be copied; MISSING.txt" in run.stderr
    with zipfile.ZipFile(tmp_path / "z.zip") as archive:
        assert sorted(archive.namelist())[:3] == ["0.jpg", "2.jpg", "MISSING.txt"]
        assert sum("onerror=alert(1)" in name for name in archive.namelist()) == 1
    shutil.rmtree(tmp_path / "photos")
