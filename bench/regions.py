"""Which regions of a photo keep the most for the least: pooling, features, and storage compared.

    tips scenes coco eval-set --kind library --held-out --size 288 -n 2000 --seed 7
    python bench/regions.py nano eval-set --out regions

Every text is asked of all pictures (`search/eval`). `grid` is the reference: every patch a vector.
Times are processor time of one thread, so that they mean something on a busy machine. Quantisers
are simulated as the vector engine has them, without rescoring. Writes regions.json and regions.png.

Letters: N pictures, R regions, D width.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from pooling import METHODS

from search.arrays import Array
from search.eval.places import Grid, Places, Regions
from search.eval.run import Index, Library, encode_library, measure
from search.query_encoder import QueryEncoder
from search.templates import expand
from search.word_lists import word_list
from tips_model.checkpoints import load
from tips_model.embedder import open_embedder
from tips_model.eval.coco import CocoSet, load_pictures, read_coco_set
from tips_model.eval.encode import encode_images
from tips_model.features import Embedder, group_by_size
from tips_model.templates import TEMPLATES

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.ticker import NullFormatter

COUNTS = (8, 16, 32, 64)
KEPT = {
    ("all", "box AP@0.3"): "AP@0.3",
    ("all", "box AP@0.5"): "AP@0.5",
    ("all", "mask AP@0.5"): "mask AP@0.5",
    ("small", "box AP@0.3"): "small AP@0.3",
    ("medium", "box AP@0.5"): "medium AP@0.5",
    ("large", "box AP@0.5"): "large AP@0.5",
    ("all", "pointing"): "pointing",
    ("all", "recall@10 IoU 0.5"): "recall@10",
    ("all", "picture mAP by global"): "mAP global",
    ("all", "picture mAP by place"): "mAP place",
    ("all", "picture mAP by both"): "mAP both",
}
Row = dict[str, Any]


class Contrasted:
    """Regions whose scores are lessened by `weight` x their soft maximum over contrast texts."""

    def __init__(self, regions: Regions, contrasts: Array, weight: float) -> None:
        cosines = regions.vectors @ contrasts.T
        spread = float(cosines.std()) / 2
        peak = cosines.max(axis=-1)
        soft = peak + spread * np.log(np.exp((cosines - peak[..., None]) / spread).mean(axis=-1))
        self._regions, self._common = regions, weight * soft

    def scores(self, direction: Array) -> Array:
        """Scores (N, R)."""
        return np.asarray(self._regions.scores(direction) - self._common, np.float32)

    def shown(self, scores: Array) -> Places:
        """The places that are shown; scores are lifted above 0, where a place is shown at all."""
        lifted = scores - float(scores[np.isfinite(scores)].min()) + 1e-3
        return self._regions.shown(np.asarray(lifted, np.float32))


def main() -> None:
    """Command line."""
    options = _options()
    torch.set_num_threads(options.threads)
    data = read_coco_set(options.data)
    if options.pictures:
        data = replace(data, images=data.images[: options.pictures])
    embedder = open_embedder(options.model)
    library = encode_library(embedder, data)
    rows: list[Row] = []

    def add(name: str, group: str, index: Index, of: Library = library, **facts: Any) -> None:
        rows.append({"name": name, "group": group, **facts, **kept(of, index)})
        print(json.dumps(rows[-1]), flush=True)

    add("grid", "reference", library.grid, vectors=library.grid.vectors.shape[1])
    encoder_ms = encoder_time(embedder, data)
    for name in METHODS:
        for count in COUNTS:
            regions, seconds = pooled(name, library.grid, count)
            share = 1000 * seconds / len(data.images) / encoder_ms
            add(name, "pooling", regions, vectors=count, share_of_encoder=round(share, 4))
    for tiles in options.tiles:
        fine = encode_library(embedder, data, 32, tiles)
        add(f"{tiles} x {tiles} tiles, grid", "tiles", fine.grid, fine, tiles=tiles)
        for count in COUNTS[1:]:
            regions, _ = pooled("tree", fine.grid, count)
            add(f"{tiles} x {tiles} tiles", "tiles", regions, fine, vectors=count, tiles=tiles)
        del fine
    chosen = library.regions
    for name, index, of in variants(options.model, embedder, data, library):
        add(name, "features", index, of, vectors=chosen.vectors.shape[1])
    for name, size, vectors in stored(chosen.vectors[chosen.valid]):
        kept_vectors = np.zeros((*chosen.valid.shape, vectors.shape[1]), np.float32)
        kept_vectors[chosen.valid] = vectors
        per_image = size * chosen.valid.sum() / len(chosen.valid)
        texts = library.region_texts
        if vectors.shape[1] != texts.shape[1]:
            texts = _unit(texts @ _axes(chosen.vectors[chosen.valid], vectors.shape[1]))
        add(
            name,
            "storage",
            replace(chosen, vectors=kept_vectors),
            replace(library, region_texts=texts),
            bytes_per_image=round(float(per_image)),
        )
    report = {
        "machine": platform.processor() or platform.machine(),
        "model": embedder.info.model_id,
        "data": options.data.name,
        "pictures": len(data.images),
        "texts": len(library.truth.texts),
        "encoder_ms": round(encoder_ms, 3),
        "rows": rows,
    }
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "regions.json").write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    plot(rows, options.out / "regions.png")


def kept(library: Library, index: Index) -> Row:
    """The figures of `KEPT`."""
    found = {(size, metric): value for _, size, metric, value in measure(library, "", index)}
    return {name: round(found[key], 5) for key, name in KEPT.items() if key in found}


def pooled(name: str, grid: Grid, count: int) -> tuple[Regions, float]:
    """The regions of all pictures by one method, and the processor seconds that they took."""
    pictures, cells, dim = grid.vectors.shape
    made, seconds = Regions.empty(pictures, count, dim, cells), 0.0
    for (height, width), numbers in grid.by_shape():
        for rows in np.split(numbers, range(64, len(numbers), 64)):
            patches = torch.from_numpy(grid.vectors[rows, : height * width])
            began = time.process_time()
            found = METHODS[name](patches.view(len(rows), height, width, dim), count)
            seconds += time.process_time() - began
            made.put(rows, found)
    return made, seconds


def encoder_time(embedder: Embedder, data: CocoSet, pictures: int = 128) -> float:
    """Processor milliseconds of the encoder for one picture."""
    pixels = load_pictures(data.images[:pictures], embedder.prepare)
    for batch in embedder.embed_images(pixels[:8]):
        del batch
    began = time.process_time()
    for batch in embedder.embed_images(pixels):
        del batch
    return 1000 * (time.process_time() - began) / len(pixels)


def variants(
    name: str, embedder: Embedder, data: CocoSet, library: Library
) -> Iterator[tuple[str, Index, Library]]:
    """Other patch features, the other CLS token, other templates, contrast texts."""
    regions, encoder = library.regions, QueryEncoder(embedder)
    pixels = load_pictures(data.images, embedder.prepare)
    heads = {name: np.zeros_like(library.pictures) for name in embedder.info.heads}
    for batch in embedder.embed_images(pixels):
        for head, rows in batch.heads.items():
            heads[head][list(batch.indices)] = rows
    yield "as indexed", regions, library
    for head in embedder.info.heads:
        if head != embedder.info.retrieval_head:
            yield f"CLS token {head}", regions, replace(library, pictures=heads[head])
    for prompts, templates in TEMPLATES.items():
        texts = encoder.encode([expand(text, templates) for text in library.truth.texts])
        yield f"templates {prompts}", regions, replace(library, region_texts=texts)
    contrasts = encoder.texts(word_list("contrast"), "regions")
    for weight in (0.3, 0.6, 1.0):
        yield f"contrast texts x {weight}", Contrasted(regions, contrasts, weight), library
    model = load(name)
    for kind in ("values", "values_ffn", "final"):
        grid = Grid(np.zeros_like(library.grid.vectors), library.grid.shapes)
        for rows in group_by_size(pixels, embedder.info.patch):
            batch = torch.stack([pixels[row] for row in rows])
            patches = encode_images(model, batch, patches=kind).patches.flatten(1, 2)
            grid.vectors[list(rows), : patches.shape[1]] = patches.numpy()
        yield f"patches {kind}", pooled("tree", grid, regions.vectors.shape[1])[0], library


def stored(vectors: Array) -> Iterator[tuple[str, float, Array]]:
    """Ways to keep unit vectors (K, D): name, bytes of a vector, and what is read back (K, d).

    TurboQuant: a random rotation, then each coordinate to the levels that are best for a normal
    variable (Lloyd-Max), and the length; binary: the signs.
    """
    dim = vectors.shape[1]
    rng = np.random.default_rng(0)
    rotation = np.linalg.qr(rng.standard_normal((dim, dim)))[0].astype(np.float32)
    yield "float32", 4 * dim, vectors
    yield "float16", 2 * dim, vectors.astype(np.float16).astype(np.float32)
    low, high = np.quantile(vectors, [0.005, 0.995])
    steps = np.clip(np.round((vectors - low) / (high - low) * 255), 0, 255)
    yield "int8", dim, (steps / 255 * (high - low) + low).astype(np.float32)
    turned = vectors @ rotation
    for bits in (8, 4, 2, 1):
        levels = _levels(bits) / np.sqrt(dim)
        nearest = levels[np.searchsorted((levels[1:] + levels[:-1]) / 2, turned)]
        yield f"TurboQuant {bits} bit", dim * bits / 8 + 4, _unit(nearest @ rotation.T)
    yield "binary", dim / 8, np.sign(vectors).astype(np.float32) / np.sqrt(np.float32(dim))
    for fewer in (3 * dim // 4, dim // 2, dim // 4):
        yield f"float16, {fewer} of {dim} axes", 2 * fewer, _unit(vectors @ _axes(vectors, fewer))


def _levels(bits: int) -> Array:
    """The 2^bits levels of the Lloyd-Max quantiser of a standard normal variable."""
    points = np.sort(np.random.default_rng(1).standard_normal(200_000))
    levels = np.quantile(points, (np.arange(2**bits) + 0.5) / 2**bits)
    for _ in range(60):
        edges = np.searchsorted(points, (levels[1:] + levels[:-1]) / 2)
        levels = np.array([part.mean() for part in np.split(points, edges)])
    return levels.astype(np.float32)


def _axes(vectors: Array, count: int) -> Array:
    """The `count` directions (D, count) along which the vectors are largest."""
    _, axes = np.linalg.eigh(vectors.T.astype(np.float64) @ vectors)
    return axes[:, ::-1][:, :count].astype(np.float32)


def _unit(vectors: Array) -> Array:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def plot(rows: list[Row], path: Path) -> None:
    """Accuracy by number of vectors, and by bytes of a photo."""
    figure, axes = plt.subplots(1, 2, figsize=(12, 4.4), constrained_layout=True)
    pooling = [row for row in rows if row["group"] in ("pooling", "tiles") and "vectors" in row]
    for name in dict.fromkeys(row["name"] for row in pooling):
        line = [row for row in pooling if row["name"] == name]
        axes[0].plot(
            [row["vectors"] for row in line],
            [row["AP@0.5"] for row in line],
            marker="o",
            label=name,
            linestyle="--" if "tiles" in name else "-",
        )
    grid = next(row for row in rows if row["name"] == "grid")
    axes[0].axhline(grid["AP@0.5"], color="grey", linestyle=":", label="whole grid")
    axes[0].set(xscale="log", xlabel="vectors of a photo", ylabel="box AP@0.5")
    axes[0].set_xticks(COUNTS, [str(count) for count in COUNTS])
    axes[0].legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    storage = sorted(
        (row for row in rows if row["group"] == "storage"), key=lambda row: row["bytes_per_image"]
    )
    best = max(row["AP@0.5"] for row in storage)
    for number, row in enumerate(storage):
        axes[1].plot(
            row["bytes_per_image"],
            row["AP@0.5"] / best,
            marker="osD^v"[number % 5],
            linestyle="",
            label=f"{row['name']} ({row['bytes_per_image']} B)",
        )
    axes[1].legend(fontsize=7, loc="lower right")
    axes[1].set(xscale="log", xlabel="bytes of a photo's vectors", ylabel="box AP@0.5, of the best")
    ticks = [2**power for power in range(8, 14)]
    axes[1].set_xticks(ticks, [str(tick) for tick in ticks])
    for axis in axes:
        axis.xaxis.set_minor_formatter(NullFormatter())
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare regions of photos.")
    parser.add_argument("model", help="a model, such as nano")
    parser.add_argument("data", type=Path, help="a folder in COCO's format")
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--tiles", type=int, nargs="*", default=[2, 3])
    parser.add_argument("--pictures", type=int, help="only the first so many")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
