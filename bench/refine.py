"""How much better the places of hits get when they are computed again from the photos.

    tips scenes coco scenes --kind library --held-out --size 288 -n 2000 --seed 7
    python bench/refine.py scenes --out docs

Two views on a COCO-format set that is indexed as a collection. *True pairs*: for a picture and a
name in it, the place that is shown against the mask (if there is one) and box of the thing that it
fits best, as stored and as refined at one to three scales; instead of windows also one larger
input. *Hits*: the first hits of every name in the whole collection, as a user gets them, average
precision of their boxes. JSON and a plot.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from indexer.vectors import Match
from search.arrays import Array
from search.eval.indexed import indexed_set
from search.eval.metrics import box_overlaps
from search.eval.truth import SIZES
from search.hits import Box, Hit, Mask, RegionHit, Results
from search.places.refine import FinePhoto, FinePlace, resized
from search.places.windows import MOST_SCALES, window_grids
from search.query import Query
from search.searcher import Searcher
from tips_model import preprocess
from tips_model.embedder import open_embedder
from tips_model.eval.coco import CocoSet, fractions, mask_of
from tips_model.eval.ranking import average_precision
from tips_model.features import Embedder

HITS = 20
STORED = "stored regions"
Ids = dict[Path, str]  # of the indexed photos by their files
Row = tuple[str, float, float, float]  # variant, area of the thing, mask IoU, box IoU


def mask_overlap(mask: Mask, truth: Mask) -> float:
    """Intersection over union of a mask on any grid and one in pixels."""
    fine = resized(mask, (truth.shape[0], truth.shape[1]))
    return float((fine & truth).sum() / max((fine | truth).sum(), 1))


def overlap(a: Box, b: Box) -> float:
    """Intersection over union of two boxes."""
    return float(box_overlaps(np.array([a]), np.array([b]))[0, 0])


def variants(embedder: Embedder, photo: Image.Image) -> Iterator[tuple[str, tuple[Array, ...]]]:
    """The grids that are compared."""
    grids = window_grids(embedder, photo, MOST_SCALES)
    for scales in range(1, len(grids) + 1):
        yield f"windows, {scales} scale{'s' * (scales > 1)}", grids[:scales]
    info = embedder.info
    large = preprocess.prepare(photo, MOST_SCALES * info.image_size, info.patch)
    (batch,) = embedder.embed_images([large])
    yield "one input, 3 times larger", (grids[0], batch.patches[0].float().numpy())


def fit(
    place: RegionHit | FinePlace, truths: list[Mask], boxes: list[Box], masked: bool
) -> tuple[float, float]:
    """How well a place fits the thing that it fits best: mask IoU (nan without masks), box IoU."""
    mask = max(mask_overlap(place.mask, truth) for truth in truths) if masked else np.nan
    return mask, max(overlap(place.box, box) for box in boxes)


def true_pairs(
    searcher: Searcher, embedder: Embedder, data: CocoSet, ids: Ids, skip: int, most: int
) -> tuple[list[Row], list[float]]:
    """Rows for names in pictures that show them, and the seconds that refining each took."""
    rows: list[Row] = []
    seconds = []
    for entry in data.images[skip : skip + most]:
        image_id = ids[entry.path]
        photo = searcher.photo(image_id, side=MOST_SCALES * embedder.info.image_size)
        looked = list(variants(embedder, photo))
        for category in sorted({thing.category for thing in entry.objects}):
            name = data.categories[category]
            things = [thing for thing in entry.objects if thing.category == category]
            masked = all(thing.segmentation is not None for thing in things)
            truths = [mask_of(entry, thing) for thing in things]
            boxes = [fractions(entry, thing) for thing in things]
            area = max(float(truth.mean()) for truth in truths)
            found = searcher.regions(
                name, filter=Match("image", (image_id,)), limit=1, all=True, refine=False
            )
            place = found.hits[0].regions[0]
            rows.append((STORED, area, *fit(place, truths, boxes, masked)))
            target = searcher._target(Query.parse(f'"{name}"'))
            for variant, grids in looked:
                (fine,) = FinePhoto(photo, grids).places(target, [place.mask])
                rows.append((variant, area, *fit(fine, truths, boxes, masked)))
            started = time.perf_counter()
            searcher.refine(found, name)
            seconds.append(time.perf_counter() - started)
    return rows, seconds


def hits_precision(results: Results, things: dict[str, list[Box]], least: float) -> float:
    """Average precision of the shown boxes of a page of hits, among the first `HITS` things.

    A box is right when it fits a thing of its picture that no box before it has found.
    """
    open_ = {image: list(boxes) for image, boxes in things.items()}
    right = []
    for hit in results.hits:
        for region in hit.regions:
            left = open_.get(hit.id, [])
            fits = [overlap(region.box, box) for box in left]
            right.append(bool(fits) and max(fits) >= least)
            if right[-1]:
                left.pop(int(np.argmax(fits)))
    wanted = min(sum(map(len, things.values())), HITS)
    return average_precision(np.array(right, bool), wanted)


def best_overlap(hit: Hit, boxes: list[Box]) -> float:
    """How well the first place of a hit fits the thing that it fits best."""
    return max(overlap(hit.regions[0].box, box) for box in boxes)


def hits(searcher: Searcher, data: CocoSet, ids: Ids, most: int) -> dict[str, float]:
    """Means over at most so many of the names in the set, evenly picked: average precision of the
    boxes of their first hits.
    """
    named: dict[str, dict[str, list[Box]]] = defaultdict(lambda: defaultdict(list))
    for entry in data.images:
        for thing in entry.objects:
            named[data.categories[thing.category]][ids[entry.path]].append(fractions(entry, thing))
    found: dict[str, list[float]] = defaultdict(list)
    step = max(1, len(named) // most)
    picked = sorted(named.items())[::step]
    for name, things in picked:
        stored = searcher.regions(f'"{name}"', limit=HITS, all=True)
        fine = searcher.refine(stored, f'"{name}"')
        for kind, results in ((STORED, stored), ("refined", fine)):
            for least in (0.3, 0.5):
                precision = hits_precision(results, things, least)
                found[f"{kind}, box AP@{least}"].append(precision)
            right = [best_overlap(hit, things[hit.id]) for hit in results.hits if hit.id in things]
            if right:
                found[f"{kind}, box IoU in right pictures"].append(float(np.mean(right)))
            found[f"{kind}, places shown"].append(float(sum(len(h.regions) for h in results.hits)))
    return {key: float(np.mean(values)) for key, values in found.items()} | {
        "names": float(len(picked))
    }


def table(rows: list[Row]) -> dict[str, dict[str, dict[str, float]]]:
    """variant -> size -> figures."""
    sizes = (("all", 0.0, 1.01), *SIZES)
    made: dict[str, dict[str, dict[str, float]]] = {}
    for variant in dict.fromkeys(row[0] for row in rows):
        made[variant] = {}
        for size, low, high in sizes:
            chosen = np.array([r[1:] for r in rows if r[0] == variant and low <= r[1] < high])
            if len(chosen):
                masks = chosen[~np.isnan(chosen[:, 1]), 1]
                mask = {"mask mIoU": round(float(masks.mean()), 4)} if len(masks) else {}
                made[variant][size] = {
                    "things": len(chosen),
                    **mask,
                    "box IoU": round(float(chosen[:, 2].mean()), 4),
                    "box IoU > 0.5": round(float((chosen[:, 2] > 0.5).mean()), 4),
                }
    return made


def plot(figures: dict[str, dict[str, dict[str, float]]], target: Path) -> None:
    """Bars of mask mIoU, or of box IoU where there are no masks, by size and variant."""
    kind = "mask mIoU" if all("mask mIoU" in row for row in figures[STORED].values()) else "box IoU"
    figure, axes = plt.subplots(figsize=(8, 3.6), layout="constrained")
    sizes = list(figures[STORED])
    width = 0.8 / len(figures)
    colours = plt.get_cmap("viridis")(np.linspace(0.05, 0.9, len(figures)))
    for number, (variant, by_size) in enumerate(figures.items()):
        at = np.arange(len(sizes)) + (number - (len(figures) - 1) / 2) * width
        values = [by_size[size][kind] for size in sizes]
        bars = axes.bar(at, values, width, label=variant, color=colours[number])
        axes.bar_label(bars, fmt="%.2f", fontsize=7, padding=1)
    names = {
        size: f"{size}\n{low * 100:.0f}-{min(high, 1) * 100:.0f} %" for size, low, high in SIZES
    }
    axes.set_xticks(np.arange(len(sizes)), [names.get(size, size) for size in sizes])
    axes.set_ylabel(kind)
    axes.set_title("The place shown for a thing, by the thing's part of the picture")
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_ylim(top=1.3 * axes.get_ylim()[1])
    axes.legend(frameon=False, fontsize=8, ncols=3, loc="upper left")
    figure.savefig(target, dpi=110)


def run(options: argparse.Namespace) -> None:
    """Index the set if that is to do, and measure."""
    embedder = open_embedder(options.model, weights=options.weights)
    with indexed_set(options.data, embedder, collection=options.collection) as indexed:
        searcher, data = indexed.searcher, indexed.data
        paths = (image.path for image in data.images)
        ids = dict(zip(paths, indexed.ids, strict=True))
        rows, seconds = true_pairs(searcher, embedder, data, ids, options.skip, options.pictures)
        figures = table(rows)
        found = hits(searcher, data, ids, options.names)
        report = {
            "model": embedder.info.model_id,
            "pictures": len(data.images),
            "true pairs": figures,
            "ms a hit": {
                "median": round(1000 * float(np.median(seconds)), 1),
                "p95": round(1000 * float(np.quantile(seconds, 0.95)), 1),
            },
            f"first {HITS} hits": {k: round(v, 4) for k, v in found.items()},
        }
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "refine.json").write_text(json.dumps(report, indent=2) + "\n", "utf-8")
    plot(figures, options.out / "refine.png")
    print(json.dumps(report, indent=2))


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="a folder in COCO's format")
    parser.add_argument("--out", type=Path, default=Path("docs"), help="where results go")
    parser.add_argument("--model", default="nano", help="name of the model")
    parser.add_argument("--weights", type=Path, help="its weights, if they are not fetched")
    parser.add_argument("--collection", type=Path, help="keep the collection in this folder")
    parser.add_argument("--skip", type=int, default=0, help="true pairs: begin at this picture")
    parser.add_argument("--pictures", type=int, default=500, help="true pairs: so many pictures")
    parser.add_argument("--names", type=int, default=1000, help="hits: at most so many names")
    run(parser.parse_args())


if __name__ == "__main__":
    main()
