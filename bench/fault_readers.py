"""Processes that query all along while a collection is written, and note every answer that is not
one published state, whole.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.fault_checks import State, catalog_state, store_problems
from bench.fault_process import Child

if TYPE_CHECKING:
    from search.searcher import Searcher

TEXTS = ("a red house", "blue", "green tree - dog")


class Readers:
    """Two processes: one keeps the collection open and follows it, the other opens it each time."""

    def __init__(self, collection: Path, folder: Path, embedder: Any, pause: float) -> None:
        """folder: where they write what they saw. pause: seconds between two rounds, since the
        writers have the same processors.
        """
        self._folder = folder
        folder.mkdir()
        self._files = [folder / "long.json", folder / "fresh.json"]
        self._children = [
            Child(lambda file=file: read(collection, file, folder / "stop", embedder, pause))
            for file in self._files
        ]

    def finish(self) -> dict[str, Any]:
        """Stop them: {"answers", "refused", "states", "problems"}; refused: since the vectors were
        damaged.
        """
        (self._folder / "stop").touch()
        told = {"answers": 0, "refused": 0, "states": 0, "problems": list[str]()}
        for child, file in zip(self._children, self._files, strict=True):
            ended = child.end()
            seen = json.loads(file.read_text("utf-8"))
            told["answers"] += seen["answers"]
            told["refused"] += seen["refused"]
            told["states"] += len(seen["states"])
            told["problems"] += [f"{file.stem} reader: {problem}" for problem in seen["problems"]]
            if ended.code != 0:
                told["problems"].append(f"{file.stem} reader ended: {ended.output[-1500:]}")
        return told


def read(collection: Path, file: Path, stop: Path, embedder: Any, pause: float) -> None:
    """Query until `stop` is there, and write down what was seen."""
    from indexer.collection import Collection
    from indexer.vectors import VectorError

    reader = _Reader(collection, embedder, keeps=file.stem == "long")
    parent = os.getppid()
    while not stop.exists() and os.getppid() == parent:
        if Collection.exists(collection):
            try:
                reader.round()
            except VectorError as error:
                # Vectors that the harness has damaged: what is said must name it and the way on.
                told = "damaged" in str(error) and "tips rebuild" in str(error)
                reader.refused += told
                reader.problems += [] if told else [f"VectorError: {str(error)[:400]}"]
            except Exception as error:
                reader.problems.append(f"{type(error).__name__}: {str(error)[:400]}")
        temporary = file.with_suffix(".part")
        seen = {
            "answers": reader.answers,
            "refused": reader.refused,
            "states": sorted(reader.states),
            "problems": sorted(set(reader.problems)),
        }
        temporary.write_text(json.dumps(seen), "utf-8")
        temporary.replace(file)
        end = time.monotonic() + pause
        while time.monotonic() < end and not stop.exists():
            time.sleep(0.05)


class _Reader:
    def __init__(self, collection: Path, embedder: Any, keeps: bool) -> None:
        from ui.background import Background
        from ui.live_collection import LiveCollection
        from ui.warm_models import WarmModels

        self.collection, self.embedder, self.keeps = collection, embedder, keeps
        self.problems: list[str] = []
        self.answers = self.refused = 0
        self.states: dict[int, State] = {}
        self.last = 0
        self._live = LiveCollection(collection, WarmModels("cpu"), Background("unused"))
        self._store: Any = None

    def round(self) -> None:
        """One look at the store, and one answer of each kind."""
        from indexer.collection import Collection
        from search.searcher import Searcher

        opened = Collection.open(self.collection)
        if not opened.catalog_folder.exists():
            return  # its first run has only begun
        if self._store is None:
            self._store = opened.vectors()
        elif self.keeps:
            self._store.refresh()
        revision = self._store.revision
        if revision < self.last:
            self.problems.append(f"revision {revision} after {self.last}")
        self.last = revision
        if revision not in self.states:
            self.problems += store_problems(self._store, self.collection)
            self.states[revision] = catalog_state(self.collection, revision)
        if self._store.count("images"):
            if self.keeps:
                self._live.refresh()
                with self._live.state() as state:
                    self._ask(state.searcher)
            else:
                with Searcher.open(self.collection, embedder=self.embedder) as searcher:
                    self._ask(searcher)
        if not self.keeps:
            self._store.close()
            self._store = None

    def _ask(self, searcher: Searcher) -> None:
        from indexer.vectors import image_key

        catalog = searcher._catalog
        before = catalog.files()["id"].to_list()
        # What it shows: its own state, which may be older or newer than that of `_store`.
        shown = searcher.revision
        for text in TEXTS:
            for answer in (
                searcher.images(text, limit=1000, all=True),
                searcher.regions(text, limit=1000, all=True),
            ):
                self._check([hit.id for hit in answer.hits], shown, before, catalog, text)
                for hit in answer.hits:
                    if not hit.path or not hit.paths:
                        self.problems.append(f"a hit without a file: {hit.id}")
        some = answer.hits[0].id if answer.hits else None
        if some is not None:
            like = searcher.similar(some, limit=1000)
            self.answers += 1
            ids = [image_key(hit.id) for hit in like.hits]
            if len(ids) != len(set(ids)) or image_key(some) in ids:
                self.problems.append("a photo is there twice among similar ones")

    def _check(
        self, ids: list[str], shown: int, before: list[str], catalog: Any, text: str
    ) -> None:
        from indexer.vectors import image_key

        self.answers += 1
        if shown not in self.states:
            self.states[shown] = catalog_state(self.collection, shown)
        state = self.states[shown]
        keys = [image_key(key) for key in ids]
        if len(keys) != len(set(keys)):
            self.problems.append(f"a photo is there twice: {text}")
        if not set(keys) <= set(state):
            self.problems.append(f"a hit that revision {shown} does not have: {text}")
        # A photo whose file is known to be gone is left out at once, before that is published.
        there = {image_key(k) for k in before} & {image_key(k) for k in catalog.files()["id"]}
        missing = (set(state) & there) - set(keys)
        if missing:
            self.problems.append(f"{len(missing)} photos of revision {shown} are missing: {text}")
