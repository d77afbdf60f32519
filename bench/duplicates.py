"""How well near-duplicates are told, and how long it takes.

    python -m bench.duplicates PICTURES --out DIR [--most 250]        # precision and recall
    python -m bench.duplicates --time COLLECTION [--json FILE]        # of a large collection

The first makes a library of pictures and of variants of each: saved again, smaller, cropped,
brightened ("same"), moved on or with a thing gone ("similar"), turned or mirrored (neither), and
looks at which of them meet. The pictures themselves must differ from each other. A variant is found
if it is in its picture's group; a group's pair of files is right if both come from one picture and
the tier holds between each of them and the picture.
"""

from __future__ import annotations

import argparse
import io
import json
import resource
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from indexer.collection import Collection
from indexer.pipeline import index
from search.duplicates.groups import TIERS, Duplicates, find
from tips_model.embedder import open_embedder

SAME = ("jpeg40", "jpeg70", "webp60", "half", "crop5", "crop10", "bright", "dark")
SIMILAR = ("shifted", "covered")
NEITHER = ("mirrored", "turned")


def variants(image: Image.Image, rng: np.random.Generator) -> Iterator[tuple[str, Image.Image]]:
    """Name and picture of each variant."""
    width, height = image.size
    yield "jpeg40", _saved(image, "JPEG", 40)
    yield "jpeg70", _saved(image, "JPEG", 70)
    yield "webp60", _saved(image, "WEBP", 60)
    yield "half", image.resize((width // 2, height // 2), Image.Resampling.LANCZOS)
    yield "crop5", _cropped(image, 0.05, rng)
    yield "crop10", _cropped(image, 0.1, rng)
    yield "bright", ImageEnhance.Brightness(image).enhance(1.15)
    yield "dark", ImageEnhance.Brightness(image).enhance(0.8)
    yield "shifted", image.crop((round(0.15 * width), 0, width, round(0.9 * height)))
    yield "covered", _covered(image, rng)
    yield "mirrored", image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    yield "turned", image.transpose(Image.Transpose.ROTATE_90)


def _saved(image: Image.Image, format: str, quality: int) -> Image.Image:
    out = io.BytesIO()
    image.save(out, format, quality=quality)
    return Image.open(out).convert("RGB")


def _cropped(image: Image.Image, part: float, rng: np.random.Generator) -> Image.Image:
    """Without `part` of its width and of its height, somewhere."""
    width, height = image.size
    left, top = rng.random(2) * part
    right, bottom = 1 - part + left, 1 - part + top
    return image.crop(
        (round(left * width), round(top * height), round(right * width), round(bottom * height))
    )


def _covered(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """With a disc of another colour, a fifth of the side, somewhere."""
    width, height = image.size
    side = round(0.2 * min(width, height))
    x, y = (int(rng.integers(0, size - side)) for size in (width, height))
    beneath = np.asarray(image.crop((x, y, x + side, y + side))).mean(axis=(0, 1))
    colour = tuple(int(value) for value in (beneath + 128) % 256)
    disc = Image.new("L", (side, side))
    disc.paste(255, (side // 8, side // 8, 7 * side // 8, 7 * side // 8))
    after = image.copy()
    after.paste(
        colour, (x, y, x + side, y + side), disc.filter(ImageFilter.GaussianBlur(side / 12))
    )
    return after


def make(pictures: list[Path], out: Path) -> None:
    """Write the library: NUMBER-VARIANT.jpg, NUMBER-original.jpg."""
    rng = np.random.default_rng(0)
    out.mkdir(parents=True)
    for number, path in enumerate(pictures):
        image = Image.open(path).convert("RGB")
        for name, changed in (("original", image), *variants(image, rng)):
            changed.save(out / f"{number:05d}-{name}.jpg", quality=92)


def names(collection: Collection, found: Duplicates) -> list[tuple[str, str]]:
    """Number and variant of each row."""
    rows = collection.catalog().photos(found.hex(np.arange(len(found.ids))), ["id", "files"])
    stems = {row["id"]: Path(row["files"][0]["path"]).stem for row in rows.iter_rows(named=True)}
    parts = (stems[key].partition("-") for key in found.hex(np.arange(len(found.ids))))
    return [(number, name) for number, _, name in parts]


def measure(collection: Collection, found: Duplicates) -> dict[str, Any]:
    """Recall by variant and precision of pairs, for each tier."""
    named = names(collection, found)
    row_of = {name: row for row, name in enumerate(named)}
    result: dict[str, Any] = {"photos": len(named)}
    for tier in TIERS:
        best = found.best[tier]
        met = Counter(
            name
            for row, (number, name) in enumerate(named)
            if (number, "original") in row_of and best[row] == best[row_of[number, "original"]]
        )
        right = set(SAME) | {"original"} | (set(SIMILAR) if tier == "similar" else set())
        pairs = wrong = mixed = 0
        for group in found.groups(tier).split():
            members = [named[row] for row in group]
            for place, (number, name) in enumerate(members):
                for other, what in members[place + 1 :]:
                    # Two mirrored pictures of one are as near to each other as they look.
                    fits = (name in right) == (what in right)
                    pairs += 1
                    wrong += number != other or not fits
                    mixed += number != other
        result[tier] = {
            "recall": {v: met[v] / met["original"] for v in (*SAME, *SIMILAR, *NEITHER)},
            "pairs": pairs,
            "precision": 1 - wrong / max(pairs, 1),
            "pairs of two pictures": mixed,
        }
    return result


def timed(folder: Path) -> dict[str, Any]:
    """Seconds and peak memory of a search of a whole collection, and of one with nothing new."""
    collection = Collection.open(folder)
    (collection.folder / "duplicates.npz").unlink(missing_ok=True)
    started, stages = time.perf_counter(), dict[str, float]()

    def note(what: str, done: int, total: int) -> None:
        stages[what] = round(time.perf_counter() - started, 1)

    found = find(collection, progress=note)
    seconds = time.perf_counter() - started
    return {
        "photos": len(found.ids),
        "seconds": round(seconds, 1),
        "ended_at": stages,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "pairs": len(found.pairs.first),
        "groups": {tier: len(found.groups(tier).starts) for tier in TIERS},
        "file_mb": round((collection.folder / "duplicates.npz").stat().st_size / 1e6, 1),
    }


def main() -> None:
    """Run what is asked for; prints JSON, and a line for the docs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pictures", type=Path, nargs="?")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--most", type=int, default=250)
    parser.add_argument("--time", type=Path, metavar="COLLECTION")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.time:
        result = timed(options.time)
        line = f"{result['photos']:,} photos in {result['seconds']} s, {result['peak_mb']} MB"
    else:
        pictures = sorted(p for p in options.pictures.rglob("*") if p.suffix in (".png", ".jpg"))
        make(pictures[: options.most], options.out / "photos")
        embedder = open_embedder("nano")
        collection = Collection.create(options.out / "collection", embedder.info)
        index(collection, [options.out / "photos"], embedder)
        result = measure(collection, find(collection))
        same = result["same"]
        recall = ", ".join(f"{name} {same['recall'][name]:.3f}" for name in SAME)
        line = f"same: precision of pairs {same['precision']:.4f}; recall {recall}"
    print(json.dumps(result, indent=2))
    print(line)
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
