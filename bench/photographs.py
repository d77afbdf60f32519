"""What a user sees with a model on everyday photographs: the yardstick of the whole product.

    python bench/photographs.py DATA --model nano > figures.json       # index, ask, compare
    python bench/photographs.py DATA --model runs/nano/model --model-only   # seconds, for training

DATA is a COCO-format folder: images/, instances.json with boxes, captions.json. Its pictures are
indexed and asked as a user's are:

- *name to photo*: each name that three photos show; is the first hit right, and mean average
  precision, without a cut at the line. Beside the search of photos and of places: the global vector
  alone, the best place alone, and both together (`search/ranking.py`).
- *caption to photo*: a sentence each of up to 1,000 photos, drawn by the seed; is its photo among
  the first 1, 5, 10.
- *pointing*: does the middle of the best place for a name lie in one of its boxes, in every photo
  that shows it, by the part of the photo that they cover. "middle" always points to the middle of
  the photo.
- *the line*: how many texts of things that surely no photo shows find something confident
  (`absent_photographs.txt`), and how much of what the names show is confident.

Each stands beside what chance gives: a random order, a random point, as many confident photos drawn
at random, and the share of unrelated texts for which the line is drawn. JSON on stdout, a table on
stderr. `--model-only` leaves the index out: global vectors and patches alone
(`tips_model/eval/photographs.py`).

Letters: N photos, T names, Q captions.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from indexer.tiles import MOST_TILES
from indexer.vectors import REGION_VECTOR, Kind, Match, point_array, point_ids, point_keys
from search.arrays import Array
from search.confidence.calibration import both
from search.confidence.cutoff import ALPHA
from search.eval.indexed import IndexedSet, indexed_set
from search.hits import Results
from search.query import Query, Term
from tips_model.embedder import open_embedder
from tips_model.errors import TipsError
from tips_model.eval.boxes import box_questions
from tips_model.eval.coco import CocoSet, EvalDataError, read_coco_set, shown_names
from tips_model.eval.photographs import CAPTIONS, DEPTHS, Report, photograph_figures, recall_chance
from tips_model.eval.ranking import FEWEST, Bools, name_chance, name_figures
from tips_model.eval.retrieval import DrawnCaptions, draw_captions, recall

ABSENT = Path(__file__).with_name("absent_photographs.txt")


@dataclass(frozen=True, slots=True)
class Answers:
    """What a search gives to T names: `scores` (T, N) in the order of its hits, -inf where a photo
    is none, whether a hit is `sure` (T, N), and the `middle` (T, N, 2) of its best place, nan where
    it shows none.
    """

    scores: Array
    sure: Bools
    middle: npt.NDArray[np.float64]


def ask(search: Callable[..., Results], names: Sequence[str], ids: Sequence[str]) -> Answers:
    """Ask a searcher's `images` or `regions` for every name, weak hits included."""
    column = {key: number for number, key in enumerate(ids)}
    shape = len(names), len(ids)
    scores, sure = np.full(shape, -np.inf, np.float32), np.zeros(shape, bool)
    middle = np.full((*shape, 2), np.nan)
    for row, name in enumerate(names):
        for rank, hit in enumerate(search(Query((Term(name),)), limit=len(ids), all=True).hits):
            place = row, column[hit.id]
            scores[place], sure[place] = -rank, hit.confident
            if hit.regions:
                x0, y0, x1, y1 = hit.regions[0].box
                middle[place] = (x0 + x1) / 2, (y0 + y1) / 2
    return Answers(scores, sure, middle)


def evidence(found: IndexedSet, names: Sequence[str], kind: Kind) -> Array:
    """Standard scores (T, N) of every photo's global vector, or of its best region."""
    searcher = found.searcher
    store, side = searcher._store, searcher._calibrated().sides[kind]
    using = REGION_VECTOR if kind == "regions" else searcher._encoder.embedder.info.retrieval_head
    keys = point_keys(point_array(found.ids))
    order = np.argsort(keys)
    z = np.full((len(names), len(found.ids)), -np.inf, np.float32)
    for row, name in zip(z, names, strict=True):
        direction = side.direction(searcher._terms.read(Query((Term(name),)), kind))
        (hits,) = store.search(kind, direction.vector[None], using=using, limit=store.count(kind))
        photo = order[np.searchsorted(keys, point_keys(hits.points), sorter=order)]
        np.maximum.at(row, photo, direction.standard(hits.scores))
    return z


def caption_figures(found: IndexedSet, drawn: DrawnCaptions) -> dict[str, dict[str, float]]:
    """Recall of the drawn captions' photos, by the search of photos and by the global vector."""
    searcher, ids = found.searcher, found.ids
    gallery = tuple(ids[number] for number in drawn.gallery)
    within = Match("image", gallery) if len(gallery) < len(ids) else None
    right = []
    for text, own in zip(drawn.texts, drawn.image, strict=True):
        query = Query((Term(text),))
        hits = searcher.images(query, limit=max(DEPTHS), filter=within, all=True).hits
        right.append([hit.id == ids[own] for hit in hits])
    head = searcher._encoder.embedder.info.retrieval_head
    vectors = torch.from_numpy(searcher._store.vectors("images", point_ids(gallery), head))
    texts = torch.from_numpy(searcher._encoder.texts(drawn.texts, "images"))
    place = [[number] for number in range(len(texts))]
    return {
        "search": {f"R@{k}": float(np.mean([any(row[:k]) for row in right])) for k in DEPTHS},
        "global vector": recall(texts, vectors, place, DEPTHS),
        "chance": recall_chance(drawn),
    }


def line_figures(sure: Bools, shows: Bools, alarms: Sequence[bool]) -> dict[str, float]:
    """What the line keeps of the photos (T, N) that show the names, and lets through of texts that
    nothing shows.

    "recall", a mean over names, is by chance what is kept of all photos; "precision", of all that
    is kept (0 where nothing is), what a random photo shows; "false alarms" what the line is drawn
    for.
    """
    kept = sure & shows
    return {
        "recall": float((kept.sum(axis=1) / shows.sum(axis=1)).mean()),
        "recall, chance": float(sure.mean()),
        "precision": float(kept.sum() / max(int(sure.sum()), 1)),
        "precision, chance": float(shows.mean()),
        "names answered": float(sure.any(axis=1).mean()),
        "false alarms": float(np.mean(alarms)),
        "false alarms, chance": ALPHA,
    }


def absent_texts(data: CocoSet) -> list[str]:
    """The texts of `ABSENT` that share no word with a name of the set."""
    lines = [line for line in ABSENT.read_text("utf-8").splitlines() if line[:1] not in ("", "#")]
    known = {word for name in data.categories for word in _words(name)}
    return [line for line in lines if not known & set(_words(line))]


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def product_figures(found: IndexedSet, captions: int, seed: int) -> Report:
    """All figures of an indexed set; see the module's docstring."""
    data, ids, searcher = found.data, found.ids, found.searcher
    shows = shown_names(data)
    asked = shows.sum(axis=1) >= FEWEST
    if not asked.any():
        raise EvalDataError(f"The set has no name that {FEWEST} pictures show in instances.json.")
    names = data.categories
    photos, places = (ask(search, names, ids) for search in (searcher.images, searcher.regions))
    by_photo, by_place = (evidence(found, names, kind) for kind in ("images", "regions"))
    rankings = {
        "search": photos.scores,
        "search of places": places.scores,
        "global vector": by_photo,
        "best place": by_place,
        "both": both(by_photo, by_place),
    }
    wanted = shows[asked]
    report: Report = {
        "name to photo": {
            name: name_figures(scores[asked], wanted) for name, scores in rankings.items()
        }
        | {"chance": name_chance(wanted)}
    }
    drawn = draw_captions(data, captions, seed)
    if drawn.texts:
        report["caption to photo"] = caption_figures(found, drawn)
    questions = box_questions(data)
    report["pointing"] = questions.figures(places.middle[questions.name, questions.image])
    texts = [Query((Term(text),)) for text in absent_texts(data)]
    report["the line"] = {
        kind: line_figures(
            answers.sure[asked], wanted, [search(text, limit=1).confident > 0 for text in texts]
        )
        for kind, answers, search in (
            ("photos", photos, searcher.images),
            ("places", places, searcher.regions),
        )
    }
    return report


def table(report: Report) -> str:
    """The figures for people, in percent."""
    lines = []
    for part, rows in report.items():
        columns = list(dict.fromkeys(column for row in rows.values() for column in row))
        widths = [max(len(column), 7) for column in columns]
        heads = (f"{column:>{width}}" for column, width in zip(columns, widths, strict=True))
        lines.append(f"{part:<18} " + "  ".join(heads))
        for name, row in rows.items():
            cells = (
                f"{row[c]:>{width}.0f}" if c == "count" else f"{100 * row[c]:>{width}.1f}"
                for c, width in zip(columns, widths, strict=True)
            )
            lines.append(f"  {name:<16} " + "  ".join(cells))
        lines.append("")
    return "\n".join(lines)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """The report of one run, with what it was made of."""
    began = time.perf_counter()
    embedder = open_embedder(options.model, weights=options.weights, threads=options.threads)
    about = {"model": embedder.info.model_id, "data": options.data.resolve().name}
    drawing = {"captions": options.captions, "seed": options.seed}
    if options.model_only:
        data = read_coco_set(options.data)
        figures = photograph_figures(embedder, data, **drawing)
    else:
        with indexed_set(
            options.data, embedder, tiles=options.tiles, collection=options.collection
        ) as found:
            about |= {"tiles": options.tiles, "absent texts": len(absent_texts(found.data))}
            about["seconds to index"] = round(time.perf_counter() - began, 1)
            data = found.data
            figures = product_figures(found, **drawing)
    shows = shown_names(data).sum(axis=1)
    drawn = draw_captions(data, options.captions, options.seed)
    return (
        about
        | {
            "photos": len(data.images),
            "names": int((shows >= FEWEST).sum()),
            "captions": len(drawn.texts),
            "photos searched for captions": len(drawn.gallery),
            "seconds": round(time.perf_counter() - began, 1),
        }
        | {part: _rounded(rows) for part, rows in figures.items()}
    )


def _rounded(rows: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    return {
        name: {key: round(value, 4) for key, value in row.items()} for name, row in rows.items()
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="a folder in COCO's format")
    parser.add_argument("--model", default="nano", help="a model's name or folder (nano)")
    parser.add_argument("--weights", type=Path, help="its weights, if they are not fetched")
    parser.add_argument(
        "--tiles", type=int, choices=range(1, MOST_TILES + 1), default=1, help="windows a side (1)"
    )
    parser.add_argument("--collection", type=Path, help="keep the collection in this folder")
    parser.add_argument("--model-only", action="store_true", help="without an index")
    parser.add_argument("--captions", type=int, default=CAPTIONS, help="searched photos (1000)")
    parser.add_argument("--seed", type=int, default=0, help="which captions are drawn (0)")
    parser.add_argument("--threads", type=int, default=1, help="threads of the model (1)")
    options = parser.parse_args()
    try:
        report = measure(options)
    except TipsError as error:
        parser.exit(2, f"{error}\n")
    print(json.dumps(report, indent=1))
    print(
        table({part: rows for part, rows in report.items() if isinstance(rows, dict)}),
        file=sys.stderr,
    )


if __name__ == "__main__":
    main()
