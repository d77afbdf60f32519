"""Alternatives and exclusions with the bundled model on bundled photographs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import pytest

from indexer.collection import Collection
from indexer.pipeline import index
from search.hits import Results
from search.request import Request
from search.searcher import Searcher
from tips_model.embedder import open_embedder
from ui.commands.demo import DEMO

NAMES = ("windmill", "castle", "cat", "pyramid", "fish")


@pytest.fixture(scope="module")
def searcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Searcher]:
    """The photographs of these things, and a third of the others."""
    base = tmp_path_factory.mktemp("alternatives")
    truth = json.loads((DEMO / "photos.json").read_text("utf-8"))
    for number, (path, entry) in enumerate(truth.items()):
        if set(entry["names"]) & set(NAMES) or number % 3 == 0:
            (base / "photos" / path).parent.mkdir(parents=True, exist_ok=True)
            (base / "photos" / path).write_bytes((DEMO / "photos" / path).read_bytes())
    embedder = open_embedder("nano")
    collection = Collection.create(base / "collection", embedder.info)
    index(collection, [base / "photos"], embedder)
    with Searcher.open(base / "collection", embedder=embedder) as opened:
        yield opened


def scores(results: Results) -> dict[str, float]:
    return {Path(hit.path).name: hit.score for hit in results.hits}


@pytest.mark.parametrize("by", ["photos", "places"])
def test_either_of_two_things_is_found_as_each_is(searcher: Searcher, by: str) -> None:
    def ask(text: str) -> Results:
        asked = {"words": text, "by": by, "limit": 200, "all": True}
        return searcher.search(Request.model_validate(asked))

    alone = {name: ask(name) for name in NAMES}
    assert sum(found.confident for found in alone.values()) >= 1
    for one, other in combinations(NAMES, 2):
        either = ask(f"{one} OR {other}")
        each = [scores(alone[name]) for name in (one, other)]
        best = {photo: max(found[photo] for found in each) for photo in each[0]}
        # Far below the line a plain search estimates, and a scene reads every region.
        near = {photo: score for photo, score in best.items() if score >= 0.5}
        found = scores(either)
        assert {photo: found[photo] for photo in near} == pytest.approx(near, abs=5e-3)
        assert all(found[photo] < 0.6 for photo in best.keys() - near.keys())
        assert list(scores(either).values()) == sorted(scores(either).values(), reverse=True)
        assert confident(either) == confident(alone[one]) | confident(alone[other])


def test_an_exclusion_takes_away_the_photos_of_the_excluded(searcher: Searcher) -> None:
    for one, other in combinations(NAMES, 2):
        left = searcher.images(f"{one} without {other}", limit=200)
        wanted, excluded = (searcher.images(name, limit=200) for name in (one, other))
        assert confident(left) == confident(wanted) - confident(excluded)


def confident(results: Results) -> set[str]:
    return {Path(hit.path).name for hit in results.hits if hit.confident}
