"""Make the demo's photographs, `ui/demo/photos` and `ui/demo/photos.json`, from their sources.

    mkdir sources && cd sources
    apt-get download gcompris-qt-data lomiri-wallpapers-16.04 lomiri-wallpapers-20.04 palapeli-data
    for file in *.deb; do dpkg -x $file ${file%%_*}; done
    pip download --no-deps scikit-image==0.26.0 scikit-learn==1.9.1
    for file in *.whl; do name=${file%%-*}; unzip -q $file -d ${name/_/-}; done
    python bench/demo_photos.py sources

`demo_photos.csv` says for each photo where it comes from, who took it and under which licence, what
it shows and where, and what its EXIF says. Dates and cameras are made up; a place is written only
where the picture or its title tells it. Made with gcompris-qt-data 3.1-2, lomiri-wallpapers
20.04.0-2 and palapeli-data 22.12.3-1; the same sources and libraries give the same bytes.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import struct
import zlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pillow_heif
import polars as pl
from PIL import Image

from tips_model.train.scenes.albums import Camera
from tips_model.train.scenes.exif import exif_of

TABLE = Path(__file__).with_suffix(".csv")
DEMO = Path(__file__).parents[1] / "ui" / "demo"
SIDE = 960  # pixels, the longer side at most; nothing is enlarged
QUALITY = {".jpg": 71, ".webp": 80, ".heic": 45}
GCOMPRIS = "gcompris-qt-data"
CAMERAS = {
    "phone": Camera("Fabrikam", "Pocket 5", "Pocket 5 4.2mm f/1.8", 1.8, 4.2, "IMG_"),
    "camera": Camera("Contoso", "D-40", "Contoso 18-55mm f/3.5-5.6", 5.6, 35.0, "DSC0"),
    "tele": Camera("Contoso", "D-40", "Contoso 70-300mm f/4.5-5.6", 5.6, 260.0, "DSC0"),
    "dive": Camera("Fabrikam", "Reef 2", "Reef 2 3.0mm f/2.8", 2.8, 3.0, "DIVE"),
}
LICENCES = {
    "CC0-1.0": "https://creativecommons.org/publicdomain/zero/1.0/",
    "CC-BY-2.0": "https://creativecommons.org/licenses/by/2.0/",
    "CC-BY-3.0": "https://creativecommons.org/licenses/by/3.0/",
    "CC-BY-4.0": "https://creativecommons.org/licenses/by/4.0/",
    "CC-BY-SA-3.0": "https://creativecommons.org/licenses/by-sa/3.0/",
    "CC-BY-SA-4.0": "https://creativecommons.org/licenses/by-sa/4.0/",
}
INTRODUCTION = """# Attribution

{count} real photographs by the people named below. All were scaled to at most {side} pixels and
saved again, so what is under CC-BY-SA here stays under that licence; what else was changed before,
by the collection that a photograph was taken from, is named too.

**The dates and the cameras in the files are made up for the demonstration, and so are the folders:
no one person took these pictures or made these journeys.** Most files say no place; where one does,
it is where the picture was taken, as far as the picture or its title tells, to a few kilometres.

| File | Title | Author | Licence | Source | Changed before |
|---|---|---|---|---|---|
"""
Row = dict[str, str]


def read_table() -> list[Row]:
    """The rows of the table, one a photo; an empty field is an empty text."""
    return pl.read_csv(TABLE, infer_schema=False).fill_null("").to_dicts()


def resources(file: Path) -> Iterator[tuple[str, bytes]]:
    """The paths and contents of a Qt resource file (.rcc), version 2 or 3.

    After the magic word and the version stand the offsets of a tree, of the contents and of the
    names, all big-endian. A node of the tree is 22 bytes: the offset of its name, flags (1: packed
    with zlib, 2: a folder), then its number of children and the first of them, or the offset of its
    content. Node 0 is the root and has no name.
    """
    data = file.read_bytes()
    magic, version, tree, contents, names = struct.unpack_from(">4s4I", data)
    if magic != b"qres" or version not in (2, 3):
        raise SystemExit(f"{file} is no Qt resource file of version 2 or 3; unpack it anew.")

    def walk(node: int, folder: str) -> Iterator[tuple[str, bytes]]:
        at = tree + 22 * node
        name, flags = struct.unpack_from(">IH", data, at)
        path = folder
        if node:
            (length,) = struct.unpack_from(">H", data, names + name)
            start = names + name + 6  # the length and a hash stand before the name
            path += data[start : start + 2 * length].decode("utf-16-be")
        if flags & 2:
            count, first = struct.unpack_from(">II", data, at + 6)
            for child in range(first, first + count):
                yield from walk(child, f"{path}/" if node else "")
            return
        offset = contents + struct.unpack_from(">I", data, at + 10)[0]
        (size,) = struct.unpack_from(">I", data, offset)
        content = data[offset + 4 : offset + 4 + size]
        yield path, zlib.decompress(content[4:]) if flags & 1 else content

    return walk(0, "")


def read_sources(folder: Path, wanted: list[str]) -> dict[str, bytes]:
    """The files that the table names as PACKAGE:PATH, from the folder of unpacked packages."""
    found: dict[str, bytes] = {}
    inside = [source.partition(":")[2] for source in wanted if source.startswith(GCOMPRIS)]
    for activity in sorted({path.partition("/")[0] for path in inside}):
        file = folder / GCOMPRIS / "usr/share/gcompris-qt/rcc" / f"{activity}.rcc"
        for path, content in resources(_there(file)):
            found[f"{GCOMPRIS}:{path.removeprefix('gcompris/src/activities/')}"] = content
    for source in wanted:
        package, _, path = source.partition(":")
        if package != GCOMPRIS:
            found[source] = _there(folder / package / path).read_bytes()
    return {source: found[source] for source in wanted}


def _there(file: Path) -> Path:
    if not file.is_file():
        raise SystemExit(f"{file} is missing; unpack the packages as {Path(__file__).name} says.")
    return file


def save_photo(content: bytes, path: Path, row: Row, number: int) -> None:
    """Scale a picture and write it in the format of its name, with the EXIF facts of its row."""
    opened = Image.open(io.BytesIO(content))
    image = opened.convert("L" if opened.mode == "L" else "RGB")
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    # A phone that is held upright saves a lying picture and says how it is to be turned.
    turned = row["camera"] == "phone" and path.suffix == ".jpg" and image.height > image.width
    if turned:
        image = image.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()  # what friends sent has lost its facts
    if row["taken"]:
        place = (float(row["latitude"]), float(row["longitude"])) if row["latitude"] else None
        taken, iso = datetime.fromisoformat(row["taken"]), 100 * 2 ** (number % 4)
        exif = exif_of(CAMERAS[row["camera"]], taken, place, iso, 6 if turned else 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".png":
        image.save(path, optimize=True)
    elif path.suffix == ".webp":
        image.save(path, quality=QUALITY[path.suffix], method=6)
    elif path.suffix == ".heic":
        image.save(path, exif=exif, quality=QUALITY[path.suffix])
    else:
        image.save(path, exif=exif, quality=QUALITY[path.suffix], progressive=True)


def attribution(rows: list[Row]) -> str:
    """Markdown that names file, title, author, licence and source of every photo."""
    lines = []
    for row in rows:
        title, author = (row[field].replace("|", "\\|") for field in ("title", "author"))
        licence = row["licence"]
        if licence in LICENCES:
            licence = f"[{licence}]({LICENCES[licence]})"
        elif licence != "Public domain":
            raise SystemExit(f"{row['path']}: {licence} is no licence that the demo takes.")
        cells = (row["path"], title, author, licence, f"<{row['url']}>", row["changes"])
        lines.append(f"| {' | '.join(cells)} |\n")
    return INTRODUCTION.format(count=len(rows), side=SIDE) + "".join(lines)


def truth(rows: list[Row]) -> str:
    """JSON: path -> the names of what a photo shows, and the boxes of the first of them.

    A box is x0, y0, x1, y1 as fractions of the upright picture. Where none is given, nobody has
    said where the thing is.
    """
    entries = []
    for row in rows:
        known: dict[str, object] = {"names": row["names"].split("; ")}
        if row["boxes"]:
            known["boxes"] = [[float(x) for x in box.split()] for box in row["boxes"].split("; ")]
        entries.append(f"{json.dumps(row['path'])}: {json.dumps(known)}")
    return "{\n" + ",\n".join(entries) + "\n}\n"


def main() -> None:
    """Write the folder of photos anew, its attribution and its truth."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("sources", type=Path, help="folder of the unpacked packages")
    parser.add_argument("--out", type=Path, default=DEMO, help="where photos and photos.json go")
    options = parser.parse_args()
    rows = read_table()
    contents = read_sources(options.sources, [row["source"] for row in rows])
    pillow_heif.register_heif_opener()
    photos = options.out / "photos"
    if photos.exists():
        shutil.rmtree(photos)
    for number, row in enumerate(rows):
        save_photo(contents[row["source"]], photos / row["path"], row, number)
    (photos / "ATTRIBUTION.md").write_text(attribution(rows), "utf-8")
    (options.out / "photos.json").write_text(truth(rows), "utf-8")
    size = sum(path.stat().st_size for path in photos.rglob("*") if path.is_file())
    print(f"{len(rows)} photos, {size / 1e6:.1f} MB, in {photos}")


if __name__ == "__main__":
    main()
