"""Run the region search evaluation: how well texts find things and their places in a picture set.

    table = evaluate_regions(open_embedder("nano"), read_coco_set(Path("eval-set")))

Every text is searched in all pictures. Pictures are ranked by their global vector, by their best
region, and by both; places by their scores. The baseline is the whole patch grid, with every patch
as its own vector. Columns: index ("regions", "grid" or "global"), size, metric, value.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import polars as pl
import torch

from indexer.collection import regions_for
from indexer.regions import find_regions
from indexer.tiles import tiled
from search.arrays import Array
from search.eval.metrics import match, mean, picture_precision, place_figures
from search.eval.places import Grid, Places, Regions, best_of
from search.eval.truth import SIZES, Truth, read_truth
from search.query_encoder import QueryEncoder
from tips_model.eval.coco import CocoSet, EvalDataError, load_pictures
from tips_model.eval.ranking import fused
from tips_model.features import Embedder

Rows = Iterator[tuple[str, str, str, float]]


class Index(Protocol):
    """An index that yields places for a direction (D,): `Regions` or `Grid`."""

    def scores(self, direction: Array) -> Array:
        """Scores (N, R) of all stored vectors of each picture."""
        ...

    def shown(self, scores: Array) -> Places:
        """The places that are shown for such scores."""
        ...


@dataclass(frozen=True, slots=True)
class Library:
    """A set encoded by a model: `pictures` (N, D) unit global vectors, its regions and whole grids,
    and for every text the unit vectors `photo_texts` and `region_texts` (T, D).
    """

    truth: Truth
    pictures: Array
    regions: Regions
    grid: Grid
    photo_texts: Array
    region_texts: Array


def encode_library(
    embedder: Embedder, data: CocoSet, max_regions: int | None = None, tiles: int = 1
) -> Library:
    """Encode all pictures of a set, and the texts of its things, once.

    `max_regions` None uses the default of a new collection. Keeps every patch of the set in memory:
    about 4 bytes x D x patches per picture. Raises `EvalDataError` when no picture has a thing in
    it.
    """
    max_regions = max_regions or regions_for(embedder.info, tiles)
    embedder = tiled(embedder, tiles)
    if not any(image.objects for image in data.images):
        raise EvalDataError("The set names nothing to find: it needs instances.json with objects.")
    heads, regions, grid = encode_pictures(
        embedder, load_pictures(data.images, embedder.prepare), max_regions
    )
    truth = read_truth(data, grid.shapes)
    encoder = QueryEncoder(embedder)
    return Library(
        truth,
        heads,
        regions,
        grid,
        encoder.texts(truth.texts, "images"),
        encoder.texts(truth.texts, "regions"),
    )


def encode_pictures(
    embedder: Embedder, pixels: Sequence[torch.Tensor], max_regions: int
) -> tuple[Array, Regions, Grid]:
    """Unit global vectors (N, D), the regions and all patches of prepared pictures."""
    info = embedder.info
    shapes = tuple((p.shape[1] // info.patch, p.shape[2] // info.patch) for p in pixels)
    cells = max((height * width for height, width in shapes), default=1)
    heads = np.zeros((len(pixels), info.dim), np.float32)
    patches = np.zeros((len(pixels), cells, info.dim), np.float32)
    regions = Regions.empty(len(pixels), max_regions, info.dim, cells)
    for batch in embedder.embed_images(pixels):
        rows = list(batch.indices)
        heads[rows] = batch.heads[info.retrieval_head]
        flat = batch.patches.flatten(1, 2)
        patches[rows, : flat.shape[1]] = flat.numpy()
        regions.put(rows, find_regions(batch.patches, max_regions))
    return heads, regions, Grid(patches, shapes)


def evaluate_regions(
    embedder: Embedder,
    data: CocoSet,
    *,
    max_regions: int | None = None,
    tiles: int = 1,
    grid: bool = True,
) -> pl.DataFrame:
    """All metrics, as fractions; `grid` False skips the baseline."""
    library = encode_library(embedder, data, max_regions, tiles)
    rows = [*measure(library, "regions", library.regions)]
    if grid:
        rows += measure(library, "grid", library.grid)
    schema = {"index": pl.String, "size": pl.String, "metric": pl.String, "value": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def measure(library: Library, name: str, index: Index) -> Rows:
    """Rows (index, size, metric, value): means over the texts that name a thing of that size."""
    truth = library.truth
    sizes = {"all": np.ones(len(truth.text), bool)}
    sizes |= {key: (truth.area >= low) & (truth.area < high) for key, low, high in SIZES}
    found: dict[str, list[dict[str, float]]] = {size: [] for size in sizes}
    for text in range(len(truth.texts)):
        scores = index.scores(library.region_texts[text])
        matches = match(index.shown(scores), truth, text)
        by_photo = library.pictures @ library.photo_texts[text]
        by_place = best_of(scores)
        rankings = {"global": by_photo, "place": by_place, "both": fused(by_photo, by_place)}
        things = truth.of_text(text)
        for size, within in sizes.items():
            if within[things].any():
                figures = place_figures(matches, truth, text, within)
                positive = np.unique(truth.image[things[within[things]]])
                others = np.unique(truth.image[things])
                for ranking, values in rankings.items():
                    precision = picture_precision(values, positive, others)
                    figures[f"picture mAP by {ranking}"] = precision
                found[size].append(figures)
    for size, rows in found.items():
        for metric, value in mean(rows).items():
            yield name, size, metric, value
