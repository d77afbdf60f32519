"""Index a folder of photos and search it, from Python.

    python examples/search_photos.py ~/Pictures photos.tips "red umbrella"

The second run indexes only what has changed since the first.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from indexer import Collection, index
from search import Searcher
from search.draw import draw_hit
from tips_model.embedder import open_embedder
from tips_model.errors import TipsError


def main() -> None:
    """Index, search places, print them, and draw the best one."""
    parser = argparse.ArgumentParser(description="Index a folder of photos and search it.")
    parser.add_argument("photos", type=Path, help="folder of photos; they are only read")
    parser.add_argument("collection", type=Path, help="folder for what is known about them")
    parser.add_argument("words", help="what to look for")
    parser.add_argument("--model", default="nano", help="tipsv2-b14 finds far more (0.8 GB)")
    parser.add_argument("--draw", type=Path, help="file for a picture of the best hit")
    options = parser.parse_args()

    embedder = open_embedder(options.model)
    if Collection.exists(options.collection):
        collection = Collection.open(options.collection)
    else:
        collection = Collection.create(options.collection, embedder.info)
    report = index(collection, [options.photos], embedder)
    print(f"{report.new} new photos, {report.unchanged} unchanged, {report.failed} unreadable.")

    with Searcher.open(options.collection, embedder=embedder) as searcher:
        # `all` gives what is below the line of confidence too; without it, clear hits only.
        results = searcher.regions(options.words, limit=5, all=True)
        for hit in results.hits:
            clear = "clear" if hit.confident else "weak"
            print(f"{hit.score:6.2f} {clear:5} {hit.path} {hit.regions[0].box}")
        if options.draw and results.hits:
            best = results.hits[0]
            draw_hit(searcher.photo(best.id), best, label=options.words).save(options.draw)


if __name__ == "__main__":
    try:
        main()
    except TipsError as error:  # a mistake that can be repaired, in one sentence
        sys.exit(str(error))
