"""How well drawn scenes are found again, and how well the line of confidence is drawn.

    tips scenes demo DIR && tips index DIR --model nano --tiles 2 -c COLLECTION
    python bench/search_quality.py COLLECTION --photos DIR

Of every picture in DIR, `scenes.json` there says what it shows and where. Each name that occurs is
asked once for photos and once for places. JSON on stdout: mean average precision, how often the
best hit is right, and precision, recall and answered names at the line; for names that do not
occur, how many find something.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path

import numpy as np

from search.hits import Box
from search.searcher import Searcher
from tips_model.train.scenes.concepts import NAMES, article

Truth = dict[str, dict[str, Box]]


def read_truth(folder: Path) -> Truth:
    """name -> path -> box (one per photo), from the `scenes.json` of a folder; the paths are whole,
    as a collection has them.
    """
    truth: Truth = defaultdict(dict)
    for photo in json.loads((folder / "scenes.json").read_text("utf-8")):
        path = str(folder.absolute() / photo["path"])
        for thing in photo["objects"]:
            truth[thing["name"]][path] = tuple(thing["box"])
    return truth


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
    photos = len({path for where in truth.values() for path in where})
    for name, where in truth.items():
        for kind, ask in (("photos", searcher.images), ("places", searcher.regions)):
            hits = ask(article(name) if kind == "photos" else name, limit=photos, all=True).hits
            right = [hit.path in where for hit in hits]
            sure = [hit.confident for hit in hits]
            found = [r for r, s in zip(right, sure, strict=True) if s]
            rows[f"{kind} mean average precision"].append(precision(right, len(where)))
            rows[f"{kind} best hit right"].append(right[0])
            rows[f"{kind} names with a confident hit"].append(bool(found))
            rows[f"{kind} recall at the line"].append(sum(found) / len(where))
            rows[f"{kind} precision at the line"] += found
            rows[f"{kind} best score"].append(hits[0].score)
            for hit in hits:
                if hit.path in where and hit.regions:
                    box = where[hit.path]
                    rows[f"{kind} box hit"].append(centre_inside(hit.regions[0].box, box))
                    rows[f"{kind} box overlap"].append(overlap(hit.regions[0].box, box))
    for name in set(NAMES) - truth.keys():
        rows["absent names that find something"].append(bool(searcher.images(name).hits))
    return {key: round(float(np.mean(values)), 4) for key, values in sorted(rows.items())}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Find drawn scenes again.")
    parser.add_argument("collection", type=Path, help="a collection of the scenes")
    parser.add_argument("--photos", type=Path, required=True, help="where their scenes.json is")
    options = parser.parse_args()
    with Searcher.open(options.collection) as opened:
        print(json.dumps(measure(opened, read_truth(options.photos)), indent=1))
