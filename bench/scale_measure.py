"""The searches of `bench/scale.py`, timed by stage in a process of their own."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from scale_collection import open_model

from indexer.collection import Collection
from indexer.edge.store import EdgeStore
from indexer.vectors import REGION_VECTOR, Filter, Kind, Match
from search import searcher as searching
from search.confidence.calibration import Calibration, Direction, Side, TermVector
from search.confidence.sample import calibrate
from search.query_encoder import QueryEncoder
from search.ranking import Ranker
from search.searcher import Searcher
from tips_model.train.scenes.concepts import NAMES

FILTERS: dict[str, Filter | None] = {
    "all": None,
    "10 %": Match("camera", ("camera-3",)),
    "1 %": Match("folders", ("/library/album-42",)),
}
DEPTH = 100  # of recall
PAGE = 20  # hits of a timed search
STAGES: dict[str, list[tuple[Any, str]]] = {
    "text encoding": [(QueryEncoder, "texts")],
    "vector query": [(EdgeStore, "search"), (EdgeStore, "scores")],
    "grouping": [(Ranker, "rank")],
    "scoring": [(Side, "direction"), (Calibration, "score"), (Direction, "standard")],
    "payload": [(searching, "build_page"), (EdgeStore, "payloads"), (EdgeStore, "count")],
}


class Stages:
    """Adds up the seconds within functions, without those of the functions that they call."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._inner = [0.0]

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Watch the functions of `STAGES` meanwhile."""
        with ExitStack() as stack:
            for stage, functions in STAGES.items():
                for owner, name in functions:
                    timed = self._timed(getattr(owner, name), stage)
                    stack.enter_context(patch.object(owner, name, timed))
            yield

    def _timed(self, function: Callable[..., Any], stage: str) -> Callable[..., Any]:
        def call(*positional: Any, **named: Any) -> Any:
            self._inner.append(0.0)
            began = time.perf_counter()
            try:
                return function(*positional, **named)
            finally:
                seconds = time.perf_counter() - began
                self.seconds[stage] += seconds - self._inner.pop()
                self._inner[-1] += seconds

        return call


def memory() -> dict[str, float]:
    """Resident megabytes of this process: all, and those that are not pages of files."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    kilobytes = {name: int(fields[name].split()[0]) for name in ("VmRSS", "RssAnon")}
    return {"resident": kilobytes["VmRSS"] / 1e3, "anonymous": kilobytes["RssAnon"] / 1e3}


def texts(count: int) -> list[str]:
    """Names of things, then pairs of them."""
    rng = np.random.default_rng(3)
    names = [NAMES[i] for i in rng.permutation(len(NAMES))]
    # Not "and", which composes places: that is another search.
    pairs = [f"{a} with {b}" for a, b in zip(names, reversed(names), strict=True)]
    return [*names, *pairs][:count]


def quantiles(values: list[float]) -> dict[str, float]:
    """Milliseconds from seconds."""
    p50, p95 = np.quantile(values, [0.5, 0.95]) * 1e3
    return {"p50": round(float(p50), 3), "p95": round(float(p95), 3)}


def measure(folder: Path, width: int, count: int) -> dict[str, Any]:
    """Everything about searching the collection that exact products are not needed for.

    `figures` for the report; for comparison the calibration `law`, `directions` kind -> Q,
    `nearest` kind -> filter -> points of each query, and `ranked` filter -> photos of each query.
    """
    embedder = open_model(width)
    collection = Collection.open(folder)
    embedder.embed_texts(["warm"])
    before = memory()
    asked = texts(count)
    with Searcher.open(folder, embedder=embedder) as searcher:
        began = time.perf_counter()
        searcher.images("a cold start", all=True)
        first = time.perf_counter() - began
        opened = memory()
        searches = {
            name: {label: timed(name, ask, asked, filter) for label, filter in FILTERS.items()}
            for name, ask in (("images", searcher.images), ("regions", searcher.regions))
        }
        after = memory()
        ranked = {
            label: [
                [hit.id for hit in searcher.images(t, filter=f, all=True, limit=DEPTH).hits]
                for t in asked
            ]
            for label, f in FILTERS.items()
        }
    return {
        "figures": {
            "first_search_seconds": first,
            "memory_megabytes": {"before": before, "opened": opened, "after": after},
            "searches": searches,
        },
        "ranked": ranked,
        **nearest(collection, embedder, asked),
    }


def timed(
    name: str, ask: Callable[..., Any], asked: list[str], filter: Filter | None
) -> dict[str, Any]:
    """Quantiles by stage of a page of hits for each text; everything is warm."""
    rounds: defaultdict[str, list[float]] = defaultdict(list)
    for number, text in enumerate(asked, start=len(str(filter)) * 1000):
        stages = Stages()
        with stages.watched():
            began = time.perf_counter()
            # Never asked before, so that no vector is remembered.
            ask(f"{name} {text} {number}", filter=filter, all=True, limit=PAGE)
            total = time.perf_counter() - began
        for stage in STAGES:
            rounds[stage].append(stages.seconds[stage])
        rounds["rest"].append(total - sum(stages.seconds.values()))
        rounds["after encoding"].append(total - stages.seconds["text encoding"])
    after = rounds.pop("after encoding")
    return {
        "after encoding": quantiles(after),
        "stages": {stage: quantiles(values) for stage, values in rounds.items()},
    }


def nearest(collection: Collection, embedder: Any, asked: list[str]) -> dict[str, Any]:
    """The directions of the texts, and what the store returns for them."""
    encoder, store = QueryEncoder(embedder), collection.vectors()
    law = calibrate(collection.folder, collection.catalog(), store, encoder)
    using = {"images": embedder.info.retrieval_head, "regions": REGION_VECTOR}
    kinds: tuple[Kind, ...] = ("images", "regions")
    directions, found, seconds = {}, {}, {}
    for kind in kinds:
        directions[kind] = [
            law.sides[kind].direction([TermVector(vector, 1.0, False)])
            for vector in encoder.texts(asked, kind)
        ]
        found[kind], seconds[kind] = {}, {}
        for label, filter in FILTERS.items():
            ids, took = [], []
            for direction in directions[kind]:
                began = time.perf_counter()
                (hits,) = store.search(
                    kind, direction.vector[None], using=using[kind], filter=filter, limit=DEPTH
                )
                took.append(time.perf_counter() - began)
                ids.append(hits.points)
            found[kind][label], seconds[kind][label] = ids, quantiles(took)
    store.close()
    return {"law": law, "directions": directions, "nearest": found, "nearest_ms": seconds}
