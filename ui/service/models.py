"""The models of the collections, each loaded once."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from ui.service.batching import BatchingEmbedder
from ui.service.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Container

    from indexer.collection import Collection


class Models:
    """Embedders by what made their collections. device: where they run."""

    def __init__(self, device: str, metrics: Metrics) -> None:
        """Nothing is loaded."""
        self.device, self._metrics = device, metrics
        self._lock = threading.Lock()
        self._loaded: dict[str, BatchingEmbedder] = {}

    def open(self, collection: Collection) -> BatchingEmbedder:
        """The model of a collection. Raises `TipsError` when there are no weights, or others."""
        from tips_model.embedder import open_embedder

        wanted = collection.model
        with self._lock:
            known = self._loaded.get(wanted.model_id)
            if known is not None:
                return known
            plain = open_embedder(wanted.name, weights=wanted.weights, device=self.device)
            collection.check_model(plain.info)
            fresh = BatchingEmbedder(plain, self._metrics)
            self._loaded[wanted.model_id] = fresh
            return fresh

    def keep(self, model_ids: Container[str]) -> None:
        """Let go of all other models."""
        with self._lock:
            gone = [model_id for model_id in self._loaded if model_id not in model_ids]
            for model_id in gone:
                self._loaded.pop(model_id).close()
