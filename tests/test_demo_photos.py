"""The table of the demo's photographs: what is shipped is what it says, and it can be made anew."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from bench.demo_photos import (
    CAMERAS,
    DEMO,
    LICENCES,
    SIDE,
    attribution,
    read_sources,
    read_table,
    resources,
    save_photo,
    truth,
)
from indexer.photos.decode import decode


def qt_resource(files: dict[str, bytes]) -> bytes:
    """A Qt resource file (.rcc, version 2) with files in folders, every second one packed."""
    children: dict[str, list[str]] = {"": []}
    for path in files:
        parts = path.split("/")
        for depth in range(len(parts)):
            above, here = "/".join(parts[:depth]), "/".join(parts[: depth + 1])
            if here not in children.setdefault(above, []):
                children[above].append(here)
    order = [""]
    for path in order:
        order += children.get(path, [])
    names, contents, nodes = b"", b"", b""
    for path in order:
        word = path.rpartition("/")[2].encode("utf-16-be")
        name, names = len(names), names + struct.pack(">HI", len(word) // 2, 0) + word
        if path in children:
            first = order.index(children[path][0])
            nodes += struct.pack(">IHIIQ", name, 2, len(children[path]), first, 0)
        else:
            data, packed = files[path], list(files).index(path) % 2
            if packed:
                data = struct.pack(">I", len(data)) + zlib.compress(data)
            nodes += struct.pack(">IHHHIQ", name, packed, 0, 0, len(contents), 0)
            contents += struct.pack(">I", len(data)) + data
    at = (20, 20 + len(nodes), 20 + len(nodes) + len(contents))
    return struct.pack(">4s4I", b"qres", 2, *at) + nodes + contents + names


def jpeg(size: tuple[int, int]) -> bytes:
    out = io.BytesIO()
    Image.linear_gradient("L").resize(size).convert("RGB").save(out, "JPEG")
    return out.getvalue()


def test_what_is_shipped_is_what_the_table_says() -> None:
    rows = read_table()
    photos = [path for path in (DEMO / "photos").rglob("*") if path.is_file()]
    named = {row["path"] for row in rows} | {"ATTRIBUTION.md"}
    assert {path.relative_to(DEMO / "photos").as_posix() for path in photos} == named
    assert (DEMO / "photos" / "ATTRIBUTION.md").read_text("utf-8") == attribution(rows)
    assert (DEMO / "photos.json").read_text("utf-8") == truth(rows)


def test_each_photo_has_an_author_a_licence_and_a_source() -> None:
    text = (DEMO / "photos" / "ATTRIBUTION.md").read_text("utf-8")
    lines = [line for line in text.splitlines() if line.startswith("| 20")]
    assert len(lines) == len(read_table())
    for line in lines:
        _, title, author, licence, source, _ = (cell.strip() for cell in line[1:-1].split(" | "))
        assert title
        assert author
        assert licence == "Public domain" or licence.partition("]")[0][1:] in LICENCES
        assert source.startswith("<https://")


def test_a_licence_that_the_demo_does_not_take_is_refused() -> None:
    row = read_table()[0] | {"licence": "GPL"}
    with pytest.raises(SystemExit, match="GPL is no licence that the demo takes"):
        attribution([row])


def test_resource_files_are_read(tmp_path: Path) -> None:
    files = {"a/one.webp": b"1" * 300, "a/b/two.webp": b"22", "three.txt": b"", "a/b/ü": b"4" * 99}
    (tmp_path / "x.rcc").write_bytes(qt_resource(files))
    assert dict(resources(tmp_path / "x.rcc")) == files
    (tmp_path / "y.rcc").write_bytes(b"PK\3\4" + bytes(40))
    with pytest.raises(SystemExit, match=r"y\.rcc is no Qt resource file"):
        resources(tmp_path / "y.rcc")


def test_sources_come_from_the_unpacked_packages(tmp_path: Path) -> None:
    rcc = tmp_path / "gcompris-qt-data" / "usr/share/gcompris-qt/rcc" / "erase.rcc"
    rcc.parent.mkdir(parents=True)
    rcc.write_bytes(qt_resource({"gcompris/src/activities/erase/resource/bee.webp": b"bee"}))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "cat.png").write_bytes(b"cat")
    wanted = ["other:cat.png", "gcompris-qt-data:erase/resource/bee.webp"]
    assert read_sources(tmp_path, wanted) == {wanted[0]: b"cat", wanted[1]: b"bee"}
    with pytest.raises(SystemExit, match=r"dog\.png is missing; unpack the packages"):
        read_sources(tmp_path, ["other:dog.png"])


@pytest.mark.parametrize("name", ["IMG_1.jpg", "IMG_1.heic"])
def test_a_photo_gets_its_facts_and_is_never_enlarged(tmp_path: Path, name: str) -> None:
    row = {
        "taken": "2024-05-06 07:08:09",
        "camera": "phone",
        "latitude": "-13.1631",
        "longitude": "-72.545",
    }
    for size, wanted in (((300, 400), (300, 400)), ((1500, 3000), (SIDE // 2, SIDE))):
        save_photo(jpeg(size), tmp_path / name, row, 0)
        photo = decode(os.fsencode(tmp_path / name))
        assert (photo.width, photo.height) == wanted  # upright, though a phone's JPEG lies
        assert photo.facts.orientation == (6 if name.endswith("jpg") else 1)
        assert str(photo.facts.taken) == row["taken"]
        assert photo.facts.camera == "Fabrikam Pocket 5"
        assert photo.facts.lens == CAMERAS["phone"].lens
        assert photo.facts.latitude == pytest.approx(-13.1631, abs=1e-4)
        assert photo.facts.longitude == pytest.approx(-72.545, abs=1e-4)
        top, bottom = photo.image.getpixel((9, 9)), photo.image.getpixel((9, wanted[1] // 3))
        assert top < bottom  # type: ignore[operator]  # darker above, as it was


def test_what_friends_sent_has_no_facts_and_the_same_row_gives_the_same_bytes(
    tmp_path: Path,
) -> None:
    row = {"taken": "", "camera": "", "latitude": "", "longitude": ""}
    for name in ("a.webp", "a.png"):
        save_photo(jpeg((90, 60)), tmp_path / name, row, 1)
        first = (tmp_path / name).read_bytes()
        photo = decode(os.fsencode(tmp_path / name))
        assert (photo.facts.taken, photo.facts.camera) == (None, None)
        save_photo(jpeg((90, 60)), tmp_path / name, row, 1)
        assert (tmp_path / name).read_bytes() == first
