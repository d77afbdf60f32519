"""How well a box or a click finds the same thing in other vendors' drawings, or photographs.

    python bench/find_again.py --out docs
    python bench/find_again.py --data PHOTOS --out docs

Scenes of one family of drawings are clicked on; the library shows scenes of all other families,
among them the one that no training saw. With --data, a COCO-format folder, some of its photographs
are clicked on, in the middle of their boxes, and the others are the library. Rankings of its
pictures by their best region: mean average precision, precision of the first ten, and how often one
of the first ten is right, beside those of a random order. The negative is what a user would mark:
the best wrong hit; its picture counts in no ranking beside it. JSON and a plot.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from math import comb
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from search.arrays import Array
from search.confidence.calibration import Side
from search.eval.run import encode_pictures
from search.find_again import from_pixels, from_stored, terms
from search.hits import Box
from search.places.distinct import Bools, Ints
from search.places.refine import FinePhoto
from search.places.windows import MOST_SCALES, window_grids
from search.query import Example
from search.query_encoder import QueryEncoder
from search.query_vectors import crop as part_of
from search.stored_photos import Regions
from search.word_lists import word_list
from tips_model.embedder import open_embedder
from tips_model.eval.coco import fractions, read_coco_set, shown_names
from tips_model.eval.ranking import average_precision, chance_precision
from tips_model.features import Embedder
from tips_model.pictures import open_picture
from tips_model.train.scenes.concepts import CONCEPTS
from tips_model.train.scenes.drawings import DRAWING_SETS
from tips_model.train.scenes.render import load_bank
from tips_model.train.scenes.source import Scenes, SceneSource, spec_of

LEAST = 0.01  # part of the picture; smaller things are not clicked on
SIDE = 288  # pixels of a scene
REGIONS = 32  # of a picture
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
class Material:
    """The `photos` that are clicked on and the `clicks`; the library's pictures, and which names
    each of them shows, (N, C).
    """

    photos: list[Image.Image]
    clicks: list[Click]
    library: list[Image.Image]
    shows: Bools


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


def drawn(family: str, sources: int, library: int) -> Material:
    """Scenes of one family of drawings, and a library of the others."""
    chosen = np.array([each.family == family for each in DRAWING_SETS])
    source, others = draw(chosen, 3, sources), draw(~chosen, 4, library)
    return Material(pictures(source), clicks(source), pictures(others), shown(others))


def photographed(folder: Path, sources: int, library: int) -> Material:
    """Some photographs of a set with its boxes, and a library of others."""
    data = read_coco_set(folder)
    order = np.random.default_rng(3).permutation(len(data.images))
    chosen, others = order[:sources], order[sources : sources + library]
    found = []
    for scene, number in enumerate(chosen):
        image = data.images[number]
        for thing in image.objects:
            x0, y0, x1, y1 = box = fractions(image, thing)
            if (x1 - x0) * (y1 - y0) >= LEAST:
                point = (x0 + x1) / 2, (y0 + y1) / 2
                found.append(Click(scene, thing.category, box, point))
    photos = [opened(data.images[number].path) for number in chosen]
    rest = [opened(data.images[number].path) for number in others]
    return Material(photos, found, rest, shown_names(data)[:, others].T)


def opened(path: Path) -> Image.Image:
    """A photograph as it lies in the file, as its boxes see it."""
    with open_picture(path) as picture:
        return picture.convert("RGB")


def figures(scores: Array, right: Bools) -> Figures:
    """Average precision, precision of the first ten, and whether one of them is right."""
    ranked = right[np.argsort(-scores, kind="stable")]
    return (
        average_precision(ranked, int(right.sum())),
        float(ranked[:10].mean()),
        float(ranked[:10].any()),
    )


def chance(right: Bools) -> Figures:
    """What `figures` gives on average for a random order."""
    count, wanted = len(right), int(right.sum())
    missed = comb(count - wanted, 10) / comb(count, 10)
    return chance_precision(wanted, count), wanted / count, 1 - missed


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
    axes.set_title("Find this again, in other pictures")
    figure.savefig(target, dpi=110)


def main() -> None:
    """Draw or read, encode, click and rank."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("docs"), help="where results go")
    parser.add_argument("--data", type=Path, help="photographs, a folder in COCO's format")
    parser.add_argument("--model", default="nano", help="name of the model")
    parser.add_argument("--family", default="noto", help="family of drawings that is clicked on")
    parser.add_argument("--sources", type=int, default=300, help="scenes that are clicked on")
    parser.add_argument("--library", type=int, default=800, help="scenes that are searched")
    options = parser.parse_args()
    embedder = open_embedder(options.model)
    if options.data is None:
        material = drawn(options.family, options.sources, options.library)
    else:
        material = photographed(options.data, options.sources, options.library)
    pixels = [embedder.prepare(image) for image in material.library]
    heads, regions, _ = encode_pictures(embedder, pixels, REGIONS)
    lib = Library(regions.vectors, regions.valid, heads, material.shows)
    flat = lib.regions[lib.valid]
    starts = np.cumsum([0, *lib.valid.sum(axis=1)])[:-1]
    texts = QueryEncoder(embedder).texts(word_list("unrelated")[:64], "regions")
    side = Side(flat, starts, texts, flat[::50])
    photos = material.photos
    source_heads, stored, grid = encode_pictures(
        embedder, [embedder.prepare(image) for image in photos], REGIONS
    )
    taken = [click for click in material.clicks if lib.shows[:, click.concept].any()]
    lists: dict[str, list[Array]] = {}
    crops = [part_of(photos[click.scene], click.box) for click in taken]
    crop_heads = heads_of(embedder, crops)
    grids = [window_grids(embedder, photo, MOST_SCALES) for photo in photos]
    for click in taken:
        height, width = grid.shapes[click.scene]
        masks = stored.masks[click.scene, :, : height * width].reshape(-1, height, width)
        own = Regions(stored.vectors[click.scene], masks)
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
    rows = {"random order": means([chance(lib.shows[:, click.concept]) for click in taken])}
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
    for name, several in (("box", "boxes"), ("point", "points")) if threes else ():
        vectors = made[name]
        firsts = [group[:1] for group in threes]
        rows[f"1 {name} of 3"] = measure("", firsts, taken, vectors, side, lib)[""]
        rows |= measure(f"3 {several}", threes, taken, vectors, side, lib)
    options.out.mkdir(parents=True, exist_ok=True)
    report = {
        "model": embedder.info.model_id,
        "sources": len(photos),
        "library": len(lib.shows),
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
