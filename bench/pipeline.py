"""How much of the encoder's and of the decoder's speed is left in a whole index run (JSON).

    python bench/pipeline.py encoder --model tipsv2-b14 --photos 48
    python bench/pipeline.py decoder --photos 64
    python bench/pipeline.py unchanged --files 10000

encoder: photos of 640 x 480, random weights of that shape, against the bare encoder on the same
prepared pictures. decoder: JPEGs of 4000 x 3000 through `nano`, against decoding the same files on
as many threads, whole (what plain Pillow does) and reduced (what indexing does). unchanged: a
second run, in a process of its own, over small files of which nothing changed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image

from indexer.collection import Collection
from indexer.options import IndexOptions
from indexer.photos.decode import decode
from indexer.pipeline import index
from tips_model import TIPS, VARIANTS, load
from tips_model.embedder import TipsEmbedder, open_embedder
from tips_model.features import Embedder

_SECOND_RUN = """
import sys, time
began = time.perf_counter()
from indexer.collection import Collection
from indexer.pipeline import index
def no_model():
    raise SystemExit("a model was asked for")
report = index(Collection.open(sys.argv[1]), [], no_model)
assert report.unchanged == int(sys.argv[2]), report
print(time.perf_counter() - began, report.seconds, "PIL.Image" in sys.modules)
"""


def write_photos(folder: Path, count: int, width: int, height: int, format: str = "jpeg") -> None:
    """Pictures with the detail of photos: noise at several scales. All contents differ."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    pictures = []
    for _ in range(4):
        image = Image.new("RGB", (width, height), "grey")
        for side in (4, 16, 64, 256):
            noise = generator.integers(0, 256, (side * 3 // 4, side, 3), np.uint8)
            layer = Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)
            image = Image.blend(image, layer, 0.4)
        out = BytesIO()
        image.save(out, format, quality=90)
        pictures.append(out.getvalue())
    for n in range(count):
        # Decoders stop at the end of the picture; the number makes it another content.
        (folder / f"{n:05}.{format}").write_bytes(pictures[n % 4] + n.to_bytes(4))


def processor_seconds() -> float:
    """Of this process and of those that it started, also of those that have ended."""
    here = psutil.Process()
    ended = here.cpu_times()
    living = [child.cpu_times() for child in here.children()]
    return (
        time.process_time()
        + ended.children_user
        + ended.children_system
        + sum(times.user + times.system for times in living)
    )


class Clock:
    """Wall and processor seconds since it was made."""

    def __init__(self) -> None:
        self._wall, self._processor = time.perf_counter(), processor_seconds()

    def per_second(self, photos: int) -> dict[str, float]:
        """Rates; that by processor time does not mind a busy machine."""
        wall = time.perf_counter() - self._wall
        return {
            "images_per_second": photos / wall,
            "images_per_processor_second": photos / (processor_seconds() - self._processor),
        }


def random_embedder(name: str) -> Embedder:
    """A model of this shape with random weights, and the tokenizer of `nano`."""
    if name == "nano":
        return open_embedder("nano")
    import torch  # not before the pipeline, which says how its threads wait

    torch.manual_seed(0)
    model = TIPS(VARIANTS[name])
    model.tokenizer = load("nano").tokenizer
    return TipsEmbedder(model)


def run_index(folder: Path, photos: Path, embedder: Embedder, window: int) -> dict[str, float]:
    """Index into a new collection: rates of the whole run, publishing included."""
    collection = Collection.create(folder, embedder.info)
    clock = Clock()
    report = index(collection, [photos], embedder, options=IndexOptions(window=window))
    return clock.per_second(report.embedded)


def share(part: dict[str, float], whole: dict[str, float]) -> dict[str, float]:
    """How much of the rates `whole` is left in `part`."""
    return {name.replace("images_per", "share_by"): part[name] / whole[name] for name in whole}


def warm_up(folder: Path, embedder: Embedder) -> None:
    """Load every library and code path once."""
    write_photos(folder / "warm", 4, 640, 480)
    run_index(folder / "warm-collection", folder / "warm", embedder, 64)


def encoder(folder: Path, model: str, photos: int) -> dict[str, Any]:
    """The encoder is the limit."""
    embedder = random_embedder(model)
    warm_up(folder, embedder)
    write_photos(folder / "photos", photos, 640, 480)
    files = sorted((folder / "photos").iterdir())
    prepared = [embedder.prepare(decode(os.fsencode(path)).image) for path in files]
    clock = Clock()
    list(embedder.embed_images(prepared))
    bare = clock.per_second(photos)
    whole = run_index(folder / "collection", folder / "photos", embedder, 64)
    return {"model": model, "photos": photos, "bare": bare, "index": whole, **share(whole, bare)}


def decoder(folder: Path, photos: int, threads: int = 2) -> dict[str, Any]:
    """Decoding is the limit."""
    embedder = random_embedder("nano")
    warm_up(folder, embedder)
    write_photos(folder / "photos", photos, 4000, 3000)
    files = sorted((folder / "photos").iterdir())

    def plain(path: Path) -> None:
        with Image.open(path) as image:
            image.convert("RGB")

    def reduced(path: Path) -> None:
        decode(os.fsencode(path), target=embedder.info.image_size)

    rates = {}
    for name, work in (("plain", plain), ("reduced", reduced)):
        with ThreadPoolExecutor(threads) as pool:
            clock = Clock()
            list(pool.map(work, files))
            rates[name] = clock.per_second(photos)
    whole = run_index(folder / "collection", folder / "photos", embedder, 64)
    return {
        "photos": photos,
        "megapixels": 12,
        "threads": threads,
        "plain_decode": rates["plain"],
        "reduced_decode": rates["reduced"],
        "index": whole,
        "of_plain_decode": share(whole, rates["plain"]),
        "of_reduced_decode": share(whole, rates["reduced"]),
    }


def unchanged(folder: Path, files: int) -> dict[str, Any]:
    """A second run that finds nothing to do."""
    write_photos(folder / "photos", files, 16, 12, "png")
    run_index(folder / "collection", folder / "photos", random_embedder("nano"), 256)
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", _SECOND_RUN, str(folder / "collection"), str(files)],
        check=True,
        capture_output=True,
        text=True,
    )
    process = time.perf_counter() - began
    with_imports, alone, decoded = done.stdout.split()
    return {
        "files": files,
        "process_seconds": process,
        "with_imports_seconds": float(with_imports),
        "index_seconds": float(alone),
        "decoder_loaded": decoded == "True",
    }


def main() -> None:
    """Run one measurement."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=["encoder", "decoder", "unchanged"])
    parser.add_argument("--model", default="tipsv2-b14", help="encoder: whose shape")
    parser.add_argument("--photos", type=int, default=48, help="encoder, decoder: how many")
    parser.add_argument("--files", type=int, default=10_000, help="unchanged: how many")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if arguments.what == "encoder":
            result = encoder(folder, arguments.model, arguments.photos)
        elif arguments.what == "decoder":
            result = decoder(folder, arguments.photos)
        else:
            result = unchanged(folder, arguments.files)
    import torch

    machine = {
        "processors": len(os.sched_getaffinity(0)),
        "machine": platform.processor() or platform.machine(),
        "torch_threads": torch.get_num_threads(),
        "load_average": os.getloadavg()[0],
    }
    print(json.dumps({"bench": arguments.what, **machine, **result}, indent=2))


if __name__ == "__main__":
    main()
