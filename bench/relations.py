"""Do composed queries tell pictures apart that differ only in a relation, and find them?

    python bench/relations.py --out out/ [--model nano] [--pairs 200] [--library 600]
    python bench/relations.py --data PHOTOS --out out/

**Pairs.** Two pictures of the same drawings on the same background, of which one fulfils the query:
A left of B or B left of A, A inside B or beside it, A near B or far from it, places swapped, A tiny
or large, three A or one, A with or without B. Drawings are those that training never sees. The
composed query and the global vector of the sentence (both heads) each choose one of the two; chance
is 0.5.

**Library.** Pictures of two to four things of few kinds, so that every pair of things lies both
ways in many pictures. Average precision of composed queries, of the sentence by the global vector
(both heads), of the plain sentence as the product searches it, and of the things alone without
their relation.

Both are reported on all drawings and on those whose place the model names rightly when they stand
alone. With --data, a COCO-format folder, its photographs are the library, and pairs are of a
photograph and its mirror image (left of, right of, position). Writes relations.json and
relations.png to --out.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from relation_pairs import SIDE, Floats, Pair, draw, make_pairs
from relation_photos import mirrored_pairs, read_lie, with_mirrored
from relation_questions import Lie, questions

from indexer.collection import Collection
from indexer.pipeline import index
from indexer.regions import find_regions
from indexer.vectors import point_ids
from search.eval.indexed import indexed_set
from search.query import Query, Term
from search.query_encoder import QueryEncoder
from search.scenes.language import parse
from search.scenes.relations import area, shared
from search.scenes.scene import Scene
from search.scenes.search import SceneSearch
from search.searcher import Searcher
from tips_model.embedder import open_embedder
from tips_model.eval.coco import read_coco_set
from tips_model.eval.ranking import average_precision, ranked
from tips_model.features import Embedder
from tips_model.train.scenes import SceneSource
from tips_model.train.scenes.boxes import visible_boxes
from tips_model.train.scenes.compose import Composer
from tips_model.train.scenes.concepts import NAMES
from tips_model.train.scenes.plan import Catalogue, SceneSpec
from tips_model.train.scenes.render import Bank, load_bank

Figures = dict[str, dict[str, float]]  # relation -> method -> figure
Subsets = dict[str, Figures]


def recognised(embedder: Embedder, bank: Bank) -> npt.NDArray[np.bool_]:
    """Whether the model names the place of each cut-out rightly, of all names, when it stands alone
    in a third of the picture's side: (N,). Its place is the region that overlaps it best.
    """
    present = np.unique(bank.concept)
    texts = QueryEncoder(embedder).texts([NAMES[concept] for concept in present], "regions")
    low, high = SIDE // 3, 2 * SIDE // 3
    tensors = []
    for pixels in bank.pixels:
        cutout = Image.fromarray(pixels).resize((high - low, high - low))
        canvas = Image.new("RGB", (SIDE, SIDE), (235, 235, 235))
        canvas.paste(cutout, (low, low), cutout)
        tensors.append(embedder.prepare(canvas))
    named = np.zeros(len(bank), bool)
    drawn = np.array([low, low, high, high]) / SIDE
    for batch in embedder.embed_images(tensors):
        rows = list(batch.indices)
        found = find_regions(batch.patches)
        boxes = found.boxes.numpy().astype(np.float64)
        common = shared(boxes, drawn)
        overlap = common / (area(boxes) + area(drawn) - common)
        place = np.where(found.valid.numpy(), overlap, -1).argmax(axis=1)
        vectors = found.vectors.numpy()[np.arange(len(place)), place]
        named[rows] = present[(vectors @ texts.T).argmax(axis=1)] == bank.concept[rows]
    return named


def index_pictures(
    folder: Path, embedder: Embedder, pictures: Iterator[npt.NDArray[np.uint8]]
) -> tuple[Searcher, list[str]]:
    """Index pictures in a collection of their own: its searcher and the ids in order."""
    photos = folder / "photos"
    photos.mkdir(parents=True)
    for number, pixels in enumerate(pictures):
        Image.fromarray(pixels).save(photos / f"{number:06d}.png", compress_level=1)
    collection = Collection.create(folder / "collection", embedder.info)
    index(collection, [photos], embedder)
    frame = collection.catalog().files()
    ids = dict(zip(frame["path"], frame["id"], strict=True))
    searcher = Searcher.open(folder / "collection", embedder=embedder)
    return searcher, [ids[str(path)] for path in sorted(photos.iterdir())]


def heads_of(searcher: Searcher, embedder: Embedder, ids: Sequence[str]) -> dict[str, Floats]:
    """The global vectors (N, D) of each head."""
    store = searcher._store
    return {head: store.vectors("images", point_ids(ids), head) for head in embedder.info.heads}


def measure_drawn_pairs(
    folder: Path,
    embedder: Embedder,
    bank: Bank,
    known: npt.NDArray[np.bool_],
    count: int,
    seed: int,
) -> Subsets:
    """Pairs of drawn pictures; "recognised" are those whose drawings are all `known`."""
    rng = np.random.default_rng(seed)
    catalogue, composer = Catalogue(bank), Composer(bank)
    pairs = make_pairs(rng, catalogue.present, count)
    drawings = []
    for pair in pairs:
        concepts = {item.concept for item in (*pair.right, *pair.wrong)}
        drawings.append({c: int(catalogue.draw(rng, np.array([c]))[0]) for c in sorted(concepts)})
    both = [side for pair in pairs for side in (pair.right, pair.wrong)]
    twice = [drawing for drawing in drawings for _ in range(2)]
    seeds = [seed * len(pairs) + number for number in range(len(pairs)) for _ in range(2)]
    recognised = [all(known[d] for d in drawing.values()) for drawing in drawings]
    pictures = draw(rng, composer, both, twice, seeds)
    return measure_pairs(folder, embedder, pairs, pictures, recognised)


def measure_pairs(
    folder: Path,
    embedder: Embedder,
    pairs: Sequence[Pair],
    pictures: Iterator[npt.NDArray[np.uint8]],
    recognised: Sequence[bool],
) -> Subsets:
    """subset -> relation -> method -> accuracy, and the number of pairs; `pictures` are the right
    and the wrong one of each pair in turn.
    """
    searcher, ids = index_pictures(folder, embedder, pictures)
    heads = heads_of(searcher, embedder, ids)
    texts = QueryEncoder(embedder).texts([pair.sentence for pair in pairs], "images")
    rows: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for number, pair in enumerate(pairs):
        right, wrong = ids[2 * number], ids[2 * number + 1]
        first, second = composed_scores(searcher, pair.query, (right, wrong))
        chosen = {"composed": float(first - second)}
        for head, vectors in heads.items():
            chosen[f"global, {head} head"] = float(
                (vectors[2 * number] - vectors[2 * number + 1]) @ texts[number]
            )
        for subset in ["all"] + ["recognised"] * recognised[number]:
            for method, difference in chosen.items():
                value = 0.5 if difference == 0 else float(difference > 0)
                rows[subset, pair.relation][method].append(value)
    result: Subsets = defaultdict(dict)
    for (subset, relation), methods in rows.items():
        figures = {method: round(float(np.mean(v)), 4) for method, v in methods.items()}
        result[subset][relation] = figures | {"pairs": len(methods["composed"])}
    for relations in result.values():
        mean = {
            method: round(float(np.mean([each[method] for each in relations.values()])), 4)
            for method in next(iter(relations.values()))
        }
        relations["mean"] = mean
    searcher.close()
    return result


LIBRARY = SceneSpec(objects=(2, 4), size=(0.25, 0.45), hue=0, grey=0, jitter=0.1, junk=0)
LIBRARY_KINDS = 24


def measure_drawn_library(
    folder: Path, embedder: Embedder, bank: Bank, count: int, seed: int
) -> Figures:
    """relation -> method -> mean average precision over queries in drawn pictures."""
    source = SceneSource(seed=seed, bank=bank)
    scenes = source.scenes(LIBRARY, count, (SIDE, SIDE))
    boxes = visible_boxes(scenes.owner, scenes.plan.concept.shape[1])
    searcher, ids = index_pictures(folder, embedder, (p.transpose(1, 2, 0) for p in scenes.images))
    place = np.full((count, len(NAMES), 4), np.nan)  # each concept occurs once in a scene
    rows, columns = np.nonzero(scenes.plan.concept >= 0)
    place[rows, scenes.plan.concept[rows, columns]] = boxes[rows, columns]
    place[(place == 0).all(axis=2)] = np.nan
    lie = Lie(NAMES, place, ~np.isnan(place[..., 0]))
    figures = measure_library(searcher, ids, embedder, lie, seed)
    searcher.close()
    return figures


def measure_library(
    searcher: Searcher, ids: Sequence[str], embedder: Embedder, lie: Lie, seed: int
) -> Figures:
    """relation -> method -> mean average precision over the queries."""
    heads = heads_of(searcher, embedder, ids)
    encoder = QueryEncoder(embedder)
    rng = np.random.default_rng(seed)
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for relation, query, things, sentence, truth in questions(rng, lie):
        wanted, ignored = truth == 1, np.isnan(truth)
        vector = encoder.texts([sentence], "images")[0]
        rankings = {
            "composed": composed_scores(searcher, query, ids),
            "plain sentence": plain_scores(searcher, sentence, ids),
        }
        if things:
            rankings["things alone"] = composed_scores(searcher, things, ids)
        rankings |= {f"global, {head} head": v @ vector for head, v in heads.items()}
        for method, scores in rankings.items():
            order = ranked(scores[~ignored], wanted[~ignored])
            found[relation][method].append(average_precision(order, int(wanted.sum())))
        chance = wanted.sum() / (~ignored).sum()
        found[relation]["chance"].append(float(chance))
    return {
        relation: {m: round(float(np.mean(v)), 4) for m, v in methods.items()}
        | {"queries": len(methods["composed"])}
        for relation, methods in found.items()
    }


def composed_scores(searcher: Searcher, query: str, ids: Sequence[str]) -> Floats:
    """The scores of a composed query for photos (N,), as `Searcher.regions` gives them."""
    scene = parse(query, places=True)
    assert isinstance(scene, Scene), f"{query} is not composed"
    search = SceneSearch(
        searcher._catalog,
        searcher._store,
        searcher._calibrated(),
        searcher._terms,
        searcher._encoder.embedder.info.retrieval_head,
    )
    return search.scores(scene, ids).astype(np.float64)


def plain_scores(searcher: Searcher, sentence: str, ids: Sequence[str]) -> Floats:
    """The scores of a plain sentence for photos (N,) by `Searcher.images`."""
    query = Query((Term(sentence),))
    found = {hit.id: hit.score for hit in searcher.images(query, limit=len(ids), all=True).hits}
    return np.array([found[identifier] for identifier in ids])


def plot(result: dict[str, Any], path: Path) -> None:
    """Bars of accuracy by relation (top) and of average precision in the library (bottom)."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    pairs, library = result["pairs"], result["library"]
    shown = list(library)[-1]
    panels = [
        *((f"pairs, {name}: accuracy", table, "pairs", 0.5) for name, table in pairs.items()),
        (f"library, {shown}: mAP", library[shown], "queries", None),
    ]
    figure, axes = plt.subplots(len(panels), 1, figsize=(10, 10), layout="constrained")
    for axis, (title, table, number, chance) in zip(axes, panels, strict=True):
        methods = [m for m in next(iter(table.values())) if m not in (number, "chance")]
        methods.sort(key=lambda method: method != "composed")
        places = np.arange(len(table))
        width = 0.8 / len(methods)
        for row, method in enumerate(methods):
            values = [each.get(method, np.nan) for each in table.values()]
            axis.bar(places + (row - (len(methods) - 1) / 2) * width, values, width, label=method)
        if chance is not None:
            axis.axhline(chance, color="grey", linewidth=1, linestyle=":")
        axis.set_xticks(places, list(table))
        axis.set_ylim(0, 1.12)
        axis.set_title(title, loc="left", fontsize=10)
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(frameon=False, fontsize=8, ncols=len(methods), loc="upper right")
    figure.savefig(path, dpi=110)


def of_drawings(folder: Path, embedder: Embedder, arguments: argparse.Namespace) -> dict[str, Any]:
    """The figures of pairs and library that are drawn."""
    bank = load_bank().held_out()
    known = recognised(embedder, bank)
    rng = np.random.default_rng(arguments.seed)
    pairs = measure_drawn_pairs(
        folder / "pairs", embedder, bank, known, arguments.pairs, arguments.seed
    )
    library = {}
    for subset, part in (("all", bank), ("recognised", bank.select(known))):
        kinds = rng.permutation(np.unique(part.concept))[:LIBRARY_KINDS]
        few = part.select(np.isin(part.concept, kinds))
        library[subset] = measure_drawn_library(
            folder / subset, embedder, few, arguments.library, arguments.seed
        )
    return {
        "drawings": len(bank),
        "recognised": int(known.sum()),
        "pairs": pairs,
        "library": library,
    }


def of_photographs(
    folder: Path, embedder: Embedder, arguments: argparse.Namespace
) -> dict[str, Any]:
    """The figures of a set of photographs and their mirror images."""
    data = read_coco_set(arguments.data)
    rng = np.random.default_rng(arguments.seed)
    pairs, numbers = mirrored_pairs(rng, read_lie(data), arguments.pairs)
    pictures = with_mirrored(data, numbers)
    accuracy = measure_pairs(folder / "pairs", embedder, pairs, pictures, [False] * len(pairs))
    with indexed_set(arguments.data, embedder) as found:
        lie = read_lie(found.data)
        library = measure_library(found.searcher, found.ids, embedder, lie, arguments.seed)
    return {
        "data": arguments.data.resolve().name,
        "pairs": accuracy,
        "library": {"all": library},
    }


def main() -> None:
    """Parse the command line, measure, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--data", type=Path, help="photographs, a folder in COCO's format")
    parser.add_argument("--model", default="nano", help="name of the model (default: nano)")
    parser.add_argument("--weights", default=None, help="folder with its weights")
    parser.add_argument("--pairs", type=int, default=200, help="pairs of each relation (200)")
    parser.add_argument("--library", type=int, default=600, help="pictures in the library (600)")
    parser.add_argument("--seed", type=int, default=1, help="of pictures and queries (1)")
    parser.add_argument("--threads", type=int, default=1, help="threads of the model (1)")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    embedder = open_embedder(arguments.model, weights=arguments.weights)
    with tempfile.TemporaryDirectory() as scratch:
        measure = of_drawings if arguments.data is None else of_photographs
        result = {"model": embedder.info.model_id, "seed": arguments.seed} | measure(
            Path(scratch), embedder, arguments
        )
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "relations.json").write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    plot(result, arguments.out / "relations.png")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
