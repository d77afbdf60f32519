"""All collections of the service, and the thread that keeps them up to date."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from tips_model.errors import TipsError
from ui import registry
from ui.background import Background
from ui.live_collection import LiveCollection
from ui.service.metrics import Metrics
from ui.service.problems import Problem
from ui.warm_models import WarmModels

LOOK = 1.0
"""Seconds between two checks for newer states."""
_log = logging.getLogger("tips.service")


class Engines:
    """The collections in `folders`; the first one is the default."""

    def __init__(self, folders: Sequence[Path], *, device: str, metrics: Metrics) -> None:
        """Opens nothing before `start`."""
        self._metrics = metrics
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        models, ahead = WarmModels(device, metrics.encoding), Background("pictures")
        self._engines: dict[str, LiveCollection] = {}
        for folder in folders:
            entry = registry.find_folder(folder) or registry.described(folder)
            name = registry.unused(entry.name, set(self._engines))
            self._engines[name] = LiveCollection(
                folder, models, ahead, name=name, title=entry.title
            )

    @property
    def all(self) -> tuple[LiveCollection, ...]:
        """Every collection, the default one first."""
        return tuple(self._engines.values())

    @property
    def ready(self) -> bool:
        """Whether every collection can be searched."""
        return all(engine.ready for engine in self.all)

    def get(self, name: str | None) -> LiveCollection:
        """The collection with this name, the first for None. Raises `Problem` 404."""
        if name is None:
            return self.all[0]
        engine = self._engines.get(name)
        if engine is None:
            raise Problem(
                404,
                "unknown-collection",
                f"There is no collection {name!r}; there are {', '.join(self._engines)}.",
                field="collection",
            )
        return engine

    def start(self, failed: Callable[[TipsError], None]) -> None:
        """Open the collections in a thread, and keep checking for newer states. The thread calls
        `failed` with an error that prevents the first opening of a collection.
        """
        self._thread = threading.Thread(target=self._run, args=(failed,), name="engines")
        self._thread.start()

    def refresh(self) -> None:
        """Open the newest state of every collection; raises the first `TipsError` after
        trying all.
        """
        errors = [error for engine in self.all if (error := self._refresh(engine)) is not None]
        if errors:
            raise errors[0]

    def close(self) -> None:
        """Stop the thread and close everything; called once."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        for engine in self.all:
            engine.close()

    def _run(self, failed: Callable[[TipsError], None]) -> None:
        said: dict[str, str] = {}
        while not self._ended.is_set():
            for engine in filter(lambda each: each.due, self.all):
                error = self._refresh(engine)
                sentence = "" if error is None else str(error)
                if error is not None and sentence != said.get(engine.name, ""):
                    _log.warning("collection %s: %s", engine.name, sentence)
                    if not engine.ready:
                        failed(error)
                said[engine.name] = sentence
            self._ended.wait(LOOK)

    def _refresh(self, engine: LiveCollection) -> TipsError | None:
        """Open the newest state; returns the error that prevents it."""
        try:
            if engine.refresh():
                self._measure(engine)
        except TipsError as error:
            return error
        except Exception as error:  # the thread must survive any error of a store
            _log.exception("collection %s cannot be refreshed", engine.name)
            return TipsError(f"The collection {engine.folder} cannot be opened ({error}).")
        return None

    def _measure(self, engine: LiveCollection) -> None:
        with engine.state() as state:
            points, searcher = self._metrics.points, state.searcher
            points.labels(engine.name, "images").set(searcher.count("images"))
            points.labels(engine.name, "regions").set(searcher.count("regions"))
            self._metrics.revision.labels(engine.name).set(searcher.revision)
