"""Put the answers to a few searches into FiftyOne, to look at them and correct them.

    pip install fiftyone
    python examples/to_fiftyone.py photos.tips "giraffe" "traffic light" --name found

Each photo becomes a sample, each place that was found a detection with its score.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from search import Searcher
from tips_model.errors import TipsError


def main() -> None:
    """Search places for each text and make a dataset of them."""
    parser = argparse.ArgumentParser(description="Put search results into FiftyOne.")
    parser.add_argument("collection", type=Path, help="folder of a collection")
    parser.add_argument("texts", nargs="+", help="what to look for")
    parser.add_argument("--name", default="tips", help="name of the new dataset")
    parser.add_argument("--limit", type=int, default=100, help="photos for each text")
    parser.add_argument("--all", action="store_true", help="weak hits too")
    parser.add_argument("--show", action="store_true", help="open FiftyOne's app afterwards")
    options = parser.parse_args()
    try:
        import fiftyone as fo
    except ImportError:
        sys.exit("FiftyOne is not installed; run `pip install fiftyone`.")

    found: dict[str, list[fo.Detection]] = {}
    with Searcher.open(options.collection) as searcher:
        for text in options.texts:
            results = searcher.regions(text, limit=options.limit, all=options.all)
            for hit in results.hits:
                for region in hit.regions:
                    left, top, right, bottom = region.box  # fractions of the upright photo
                    detection = fo.Detection(
                        label=text,
                        # FiftyOne wants a corner and a size, as fractions too.
                        bounding_box=[left, top, right - left, bottom - top],
                        # It wants a confidence up to 1; ours begins at a score of 1.
                        confidence=min(max(region.score, 0.0), 1.0),
                        score=region.score,
                    )
                    found.setdefault(hit.path, []).append(detection)
    dataset = fo.Dataset(options.name, persistent=True)
    dataset.add_samples(
        [
            fo.Sample(filepath=path, places=fo.Detections(detections=places))
            for path, places in found.items()
        ]
    )
    print(f"{len(found)} photos are in the dataset {options.name}.")
    if options.show:
        fo.launch_app(dataset).wait()


if __name__ == "__main__":
    try:
        main()
    except TipsError as error:  # a mistake that can be repaired, in one sentence
        sys.exit(str(error))
