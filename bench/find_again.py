"""How well a box or a click finds the same thing in other vendors' drawings.

    python bench/find_again.py --out docs

Scenes of one family of drawings are clicked on; the library shows scenes of all other families,
among them the one that no training saw. Rankings of its pictures by their best region: mean average
precision, precision of the first ten, and how often one of the first ten is right. The negative is
what a user would mark: the best wrong hit; its picture counts in no ranking beside it. JSON and a
plot.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from PIL import Image

from indexer.regions import RegionBatch, find_regions
from search.again import from_pixels, from_stored, terms
from search.arrays import Array
from search.confidence.calibration import Side
from search.encode import QueryEncoder
from search.hits import Box
from search.places.distinct import Bools, Ints
from search.places.refine import FinePhoto
from search.places.windows import MOST_SCALES, window_grids
from search.query import Example
from search.stored import Regions
from search.terms import crop as part_of
from search.words import word_list
from tips_model.embedder import open_embedder
from tips_model.eval.ranking import average_precision
from tips_model.features import Embedder
from tips_model.train.scenes.concepts import CONCEPTS
from tips_model.train.scenes.drawings import DRAWING_SETS
from tips_model.train.scenes.render import load_bank
from tips_model.train.scenes.source import Scenes, SceneSource, spec_of

LEAST = 0.01  # part of the picture; smaller things are not clicked on
SIDE = 288  # pixels of a scene
Figures = tuple[float, float, float]  # mAP, precision of the first ten, one of them right
GROUPS = 3  # groups of three positives a name


@dataclass(frozen=True)
class Click:
    """A thing in a source scene: the box around it and a point on it."""

    scene: int
    concept: int
    box: Box
    point: tuple[float, float]


@dataclass(frozen=True)
class Library:
    """N pictures: region vectors (N, R, D) with `valid` (N, R), global ones (N, D), and which
    concepts each shows, (N, C).
    """

    regions: Array
    valid: Bools
    pictures: Array
    shows: Bools


def draw(families: Bools, seed: int, count: int) -> Scenes:
    """Scenes of the drawing sets where `families` is true."""
    bank = load_bank()
    source = SceneSource(bank=bank.select(families[bank.drawing_set]), seed=seed)
    return source.scenes(spec_of("library"), count, (SIDE, SIDE))


def pictures(scenes: Scenes) -> list[Image.Image]:
    """The scenes as pictures."""
    return [Image.fromarray(pixels.transpose(1, 2, 0)) for pixels in scenes.images]


def heads_of(embedder: Embedder, images: list[Image.Image]) -> Array:
    """Global vectors (N, D) of pictures of any size."""
    heads = np.zeros((len(images), embedder.info.dim), np.float32)
    for batch in embedder.embed_images([embedder.prepare(image) for image in images]):
        heads[list(batch.indices)] = batch.heads[embedder.info.retrieval_head]
    return heads


def encode(embedder: Embedder, images: list[Image.Image]) -> tuple[Array, RegionBatch]:
    """Global vectors (N, D) and the regions of pictures of one size."""
    info = embedder.info
    heads = np.zeros((len(images), info.dim), np.float32)
    parts: list[RegionBatch] = []
    for batch in embedder.embed_images([embedder.prepare(image) for image in images]):
        heads[list(batch.indices)] = batch.heads[info.retrieval_head]
        parts.append(find_regions(batch.patches))
    return heads, RegionBatch(*(torch.cat(field) for field in zip(*parts, strict=True)))


def clicks(scenes: Scenes) -> list[Click]:
    """Every thing that is large enough, clicked on near its middle."""
    found = []
    for scene in range(len(scenes.images)):
        for place in range(scenes.plan.concept.shape[1]):
            rows, columns = np.nonzero(scenes.owner[scene] == place)
            if len(rows) < LEAST * SIDE**2:
                continue
            near = np.abs(rows - rows.mean()) + np.abs(columns - columns.mean())
            middle = int(near.argmin())
            edges = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            x0, y0, x1, y1 = (float(edge) / SIDE for edge in edges)
            point = (columns[middle] + 0.5) / SIDE, (rows[middle] + 0.5) / SIDE
            found.append(
                Click(scene, int(scenes.plan.concept[scene, place]), (x0, y0, x1, y1), point)
            )
    return found


def shown(scenes: Scenes) -> Bools:
    """Which concepts are visible in each scene, (N, C)."""
    visible = np.zeros((len(scenes.images), len(CONCEPTS)), bool)
    for scene, owner in enumerate(scenes.owner):
        places = np.unique(owner)
        visible[scene, scenes.plan.concept[scene, places[places >= 0]]] = True
    return visible


def figures(scores: Array, right: Bools) -> Figures:
    """Average precision, precision of the first ten, and whether one of them is right."""
    ranked = right[np.argsort(-scores, kind="stable")]
    return (
        average_precision(ranked, int(right.sum())),
        float(ranked[:10].mean()),
        float(ranked[:10].any()),
    )


def means(rows: list[Figures]) -> Figures:
    """The mean of each figure."""
    first, second, third = np.mean(rows, axis=0).tolist()
    return first, second, third


def best_of(library: Library, direction: Array) -> tuple[Array, Ints]:
    """The best region of every picture: scores and numbers, (N,)."""
    scores = np.where(library.valid, library.regions @ direction, -np.inf)
    return scores.max(axis=1), scores.argmax(axis=1)


def measure(
    name: str, groups: list[list[int]], taken: list[Click], vectors: Array, side: Side, lib: Library
) -> dict[str, Figures]:
    """Mean figures for groups of clicks with these vectors, with and without a negative."""
    plain, kept, pushed = [], [], []
    for group in groups:
        right = lib.shows[:, taken[group[0]].concept]
        examples = [Example("source", point=(0.5, 0.5)) for _ in group]
        given = [vectors[number] for number in group]
        scores, region = best_of(lib, side.direction(terms(given, examples)).vector)
        plain.append(figures(scores, right))
        wrong = int(np.where(right, -np.inf, scores).argmax())
        negative = Example("wrong", point=(0.5, 0.5), positive=False)
        both = terms([*given, lib.regions[wrong, region[wrong]]], [*examples, negative])
        less, _ = best_of(lib, side.direction(both).vector)
        others = np.arange(len(right)) != wrong
        kept.append(figures(scores[others], right[others]))
        pushed.append(figures(less[others], right[others]))
    rows = {name: plain, f"{name}, wrong hit removed": kept, f"{name}, + 1 negative": pushed}
    return {key: means(value) for key, value in rows.items()}


def plot(rows: dict[str, Figures], target: Path) -> None:
    """Bars of average precision and precision of the first ten."""
    figure, axes = plt.subplots(figsize=(9, 0.32 * len(rows) + 1.2), layout="constrained")
    at = np.arange(len(rows))
    for shift, column, label, colour in (
        (-0.2, 0, "mean average precision", "#31688e"),
        (0.2, 1, "precision of the first 10", "#fca50a"),
    ):
        values = [row[column] for row in rows.values()]
        bars = axes.barh(at + shift, values, 0.38, label=label, color=colour)
        axes.bar_label(bars, fmt="%.3f", padding=2, fontsize=7)
    axes.set_yticks(at, list(rows))
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper right")
    axes.set_title("Find this again, in other vendors' drawings")
    figure.savefig(target, dpi=110)


def main() -> None:
    """Draw, encode, click and rank."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("docs"), help="where results go")
    parser.add_argument("--model", default="nano", help="name of the model")
    parser.add_argument("--family", default="noto", help="family of drawings that is clicked on")
    parser.add_argument("--sources", type=int, default=300, help="scenes that are clicked on")
    parser.add_argument("--library", type=int, default=800, help="scenes that are searched")
    options = parser.parse_args()
    embedder = open_embedder(options.model)
    chosen = np.array([each.family == options.family for each in DRAWING_SETS])
    source, others = draw(chosen, 3, options.sources), draw(~chosen, 4, options.library)
    heads, regions = encode(embedder, pictures(others))
    lib = Library(regions.vectors.numpy(), regions.valid.numpy(), heads, shown(others))
    flat = lib.regions[lib.valid]
    starts = np.cumsum([0, *lib.valid.sum(axis=1)])[:-1]
    texts = QueryEncoder(embedder).texts(word_list("unrelated")[:64], "regions")
    side = Side(flat, starts, texts, flat[::50])
    photos = pictures(source)
    source_heads, stored = encode(embedder, photos)
    taken = [click for click in clicks(source) if lib.shows[:, click.concept].any()]
    lists: dict[str, list[Array]] = {}
    crops = [part_of(photos[click.scene], click.box) for click in taken]
    crop_heads = heads_of(embedder, crops)
    grids = [window_grids(embedder, photo, MOST_SCALES) for photo in photos]
    for click in taken:
        own = Regions(stored.vectors[click.scene].numpy(), stored.masks[click.scene].numpy())
        fine = FinePhoto(photos[click.scene], grids[click.scene])
        for form, example in (
            ("box", Example("source", box=click.box)),
            ("point", Example("source", point=click.point)),
        ):
            lists.setdefault(form, []).append(from_pixels(fine, example))
            lists.setdefault(f"{form}, stored regions", []).append(from_stored(own, example))
    made = {name: np.stack(vectors) for name, vectors in lists.items()}
    rng = np.random.default_rng(0)
    alone = [[number] for number in range(len(taken))]
    threes = []
    for concept in sorted({click.concept for click in taken}):
        same = [number for number, click in enumerate(taken) if click.concept == concept]
        if len(same) >= 3:
            threes += [rng.choice(same, 3, replace=False).tolist() for _ in range(GROUPS)]
    rows: dict[str, Figures] = {}
    for name, vectors, of in (
        ("whole photo, global vector", source_heads, "scene"),
        ("crop, global vector", crop_heads, "click"),
    ):
        found = [
            figures(
                lib.pictures @ vectors[click.scene if of == "scene" else number],
                lib.shows[:, click.concept],
            )
            for number, click in enumerate(taken)
        ]
        rows[name] = means(found)
    for name, vectors in made.items():
        measured = measure(name, alone, taken, vectors, side, lib)
        rows |= measured if "stored" not in name else {name: measured[name]}
    for name, several in (("box", "boxes"), ("point", "points")):
        vectors = made[name]
        firsts = [group[:1] for group in threes]
        rows[f"1 {name} of 3"] = measure("", firsts, taken, vectors, side, lib)[""]
        rows |= measure(f"3 {several}", threes, taken, vectors, side, lib)
    options.out.mkdir(parents=True, exist_ok=True)
    report = {
        "model": embedder.info.model_id,
        "sources": options.sources,
        "library": options.library,
        "clicks": len(taken),
        "groups of 3": len(threes),
        "columns": ["mAP", "P@10", "hit@10"],
        "rows": {name: [round(value, 4) for value in row] for name, row in rows.items()},
    }
    (options.out / "find-again.json").write_text(json.dumps(report, indent=2) + "\n", "utf-8")
    plot(rows, options.out / "find-again.png")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
