"""How well the bundled pictures are found again, and how well the line of confidence is drawn.

    python bench/search_quality.py COLLECTION

COLLECTION holds the bundled pictures (`ui/demo/photos`), of which every thing and its box is known.
Each name that occurs is asked once for photos and once for places. JSON on stdout: mean average
precision, how often the best hit is right, and precision, recall and answered names at the line;
for names that do not occur, how many find something.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path

import numpy as np

from search.hits import Box, Hit
from search.searcher import Searcher
from tips_model.train.scenes.concepts import NAMES, article

PHOTOS = Path(__file__).parents[1] / "ui" / "demo" / "photos"
Truth = dict[str, dict[str, Box]]


def read_truth() -> Truth:
    """name -> path -> box (one per photo)."""
    truth: Truth = defaultdict(dict)
    for photo in json.loads((PHOTOS / "scenes.json").read_text("utf-8")):
        for thing in photo["objects"]:
            truth[thing["name"]][photo["path"]] = tuple(thing["box"])
    return truth


def relative(hit: Hit) -> str:
    """The path of a hit as the truth has it."""
    return hit.path.rpartition("photos/")[2]


def precision(right: list[bool], wanted: int) -> float:
    """Average precision of a ranking that finds some of `wanted`."""
    places = np.flatnonzero(right)
    return float(((np.arange(len(places)) + 1) / (places + 1)).sum() / wanted)


def overlap(a: Box, b: Box) -> float:
    """Intersection over union of two boxes."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    both = max(width, 0.0) * max(height, 0.0)
    areas = [(x[2] - x[0]) * (x[3] - x[1]) for x in (a, b)]
    return both / (sum(areas) - both)


def centre_inside(place: Box, box: Box) -> bool:
    """Whether the middle of `place` lies in `box`."""
    x, y = (place[0] + place[2]) / 2, (place[1] + place[3]) / 2
    return box[0] <= x <= box[2] and box[1] <= y <= box[3]


def measure(searcher: Searcher, truth: Truth) -> dict[str, float]:
    """All figures over the names of the truth and the names that do not occur."""
    rows = defaultdict(list)
    for name, where in truth.items():
        for kind, ask in (("photos", searcher.images), ("places", searcher.regions)):
            hits = ask(article(name) if kind == "photos" else name, limit=157, all=True).hits
            right = [relative(hit) in where for hit in hits]
            sure = [hit.confident for hit in hits]
            found = [r for r, s in zip(right, sure, strict=True) if s]
            rows[f"{kind} mean average precision"].append(precision(right, len(where)))
            rows[f"{kind} best hit right"].append(right[0])
            rows[f"{kind} names with a confident hit"].append(bool(found))
            rows[f"{kind} recall at the line"].append(sum(found) / len(where))
            rows[f"{kind} precision at the line"] += found
            rows[f"{kind} best score"].append(hits[0].score)
            for hit in hits:
                if relative(hit) in where and hit.regions:
                    box = where[relative(hit)]
                    rows[f"{kind} box hit"].append(centre_inside(hit.regions[0].box, box))
                    rows[f"{kind} box overlap"].append(overlap(hit.regions[0].box, box))
    for name in set(NAMES) - truth.keys():
        rows["absent names that find something"].append(bool(searcher.images(name).hits))
    return {key: round(float(np.mean(values)), 4) for key, values in sorted(rows.items())}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Find the bundled pictures again.")
    parser.add_argument("collection", type=Path, help="a collection of ui/demo/photos")
    with Searcher.open(parser.parse_args().collection) as opened:
        print(json.dumps(measure(opened, read_truth()), indent=1))
