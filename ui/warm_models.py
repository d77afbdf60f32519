"""The models of open collections: each is loaded once, and concurrent texts are encoded in one
batch.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt

from ui.options import pick_device

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from indexer.collection import Collection
    from tips_model.features import Embedder, FeatureBatch

Vectors = npt.NDArray[np.float32]
Around = Callable[[int], AbstractContextManager[object]]
"""The context in which a call that encodes the texts of this many questions runs."""
WINDOW = 0.003
"""Seconds to wait for further texts, only if the last call had texts of several questions."""
MOST_TEXTS = 256
"""Texts per call; a request with this many (a calibration) does not wait for others."""


class WarmModels:
    """Models keyed by what defines their collections, in memory while somebody holds them."""

    def __init__(self, device: str, around: Around = nullcontext) -> None:
        """Loads nothing. device: where the models run, or "auto"."""
        self._device, self._around = device, around
        self._lock = threading.Lock()
        self._loaded: WeakValueDictionary[str, BatchingEmbedder] = WeakValueDictionary()

    @cached_property
    def device(self) -> str:
        """The device of the models."""
        return pick_device(self._device)

    def open(self, collection: Collection) -> BatchingEmbedder:
        """The model of a collection. Raises `TipsError` when its weights are missing or differ."""
        wanted = collection.model
        with self._lock:
            known = self._loaded.get(wanted.model_id)
            if known is None:
                known = BatchingEmbedder(wanted.open(self.device), self._around)
                collection.check_model(known.info)
                self._loaded[wanted.model_id] = known
            return known


@dataclass(frozen=True, slots=True)
class _Asked:
    texts: tuple[str, ...]
    answer: Future[Vectors] = field(default_factory=Future)


class BatchingEmbedder:
    """An `Embedder` for many threads at once.

    Texts that arrive during a call are encoded together in the next one; pictures are encoded one
    request at a time, so that memory and threads stay those of one. The vectors are the model's own
    up to the rounding of a larger matrix product.
    """

    def __init__(self, plain: Embedder, around: Around = nullcontext) -> None:
        """plain: the model. around: see `Around`."""
        self.plain, self.info, self._around = plain, plain.info, around
        self._asked: deque[_Asked] = deque()
        self._encoding, self._pictures = threading.Lock(), threading.Lock()
        self._together = 1  # questions in the last call

    def prepare(self, image: Image.Image) -> Tensor:
        """As the model."""
        return self.plain.prepare(image)

    def embed_images(self, images: Sequence[Tensor]) -> Iterator[FeatureBatch]:
        """As the model; one caller at a time."""
        with self._pictures:
            yield from self.plain.embed_images(images)

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """As the model; batched with the texts of other waiting threads, by any one of them."""
        if len(texts) >= MOST_TEXTS:
            return self.plain.embed_texts(texts)
        asked = _Asked(tuple(texts))
        self._asked.append(asked)
        with self._encoding:  # the next thread encodes everything that was requested by then
            while not asked.answer.done():
                if self._together > 1:
                    time.sleep(WINDOW)
                batch = self._gather()
                self._together = len(batch)
                with self._around(len(batch)):
                    self._answer(batch)
        return asked.answer.result()

    def truncated(self, text: str) -> bool:
        """As the model."""
        return self.plain.truncated(text)

    def waiting(self) -> int:
        """How many questions wait for the next call."""
        return len(self._asked)

    def _gather(self) -> list[_Asked]:
        """The longest-waiting requests, up to `MOST_TEXTS`."""
        batch, size = [], 0
        while self._asked and size < MOST_TEXTS:
            batch.append(self._asked.popleft())
            size += len(batch[-1].texts)
        return batch

    def _answer(self, batch: Sequence[_Asked]) -> None:
        """Encode several requests at once; on failure each alone, to find the one that fails."""
        places: dict[str, int] = {}
        for asked in batch:
            for text in asked.texts:
                places.setdefault(text, len(places))
        try:
            vectors = self.plain.embed_texts(list(places))
        except Exception as error:
            if len(batch) == 1:
                batch[0].answer.set_exception(error)
            else:
                for asked in batch:
                    self._answer([asked])
            return
        for asked in batch:
            asked.answer.set_result(vectors[[places[text] for text in asked.texts]])
