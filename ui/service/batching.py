"""Texts of questions that come together, encoded in one call of the model."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ui.service.metrics import Metrics

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from tips_model.features import Embedder, FeatureBatch

Vectors = npt.NDArray[np.float32]
WINDOW = 0.003
"""Seconds to wait for further texts, only where the last call had those of several questions."""
MOST_TEXTS = 256
"""Texts of a call; who has as many alone (a calibration) does not go through the queue."""


@dataclass(frozen=True, slots=True)
class _Asked:
    texts: tuple[str, ...]
    answer: Future[Vectors] = field(default_factory=Future)


class BatchingEmbedder:
    """An `Embedder` for many threads at once.

    Texts that arrive while a call runs are encoded together in the next one; pictures one after the
    other, so that memory and threads are those of one. The vectors are the model's own up to the
    rounding of a larger matrix product.
    """

    def __init__(self, plain: Embedder, metrics: Metrics) -> None:
        """Starts the thread that encodes texts; `close` ends it."""
        self.plain, self.info, self._metrics = plain, plain.info, metrics
        self._asked: SimpleQueue[_Asked | None] = SimpleQueue()
        self._pictures = threading.Lock()
        self._closing, self._closed = threading.Lock(), False
        self._thread = threading.Thread(target=self._run, name="texts", daemon=True)
        self._thread.start()

    def prepare(self, image: Image.Image) -> Tensor:
        """As the model."""
        return self.plain.prepare(image)

    def embed_images(self, images: Sequence[Tensor]) -> Iterator[FeatureBatch]:
        """As the model; one caller after the other."""
        with self._pictures:
            yield from self.plain.embed_images(images)

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """As the model; waits for a call that may encode the texts of others as well."""
        asked = _Asked(tuple(texts))
        with self._closing:
            alone = self._closed or len(texts) >= MOST_TEXTS
            if not alone:
                self._asked.put(asked)
        return self.plain.embed_texts(texts) if alone else asked.answer.result()

    def truncated(self, text: str) -> bool:
        """As the model."""
        return self.plain.truncated(text)

    def waiting(self) -> int:
        """How many questions wait for the next call."""
        return self._asked.qsize()

    def close(self) -> None:
        """End the thread when it has answered what is asked; who asks later is answered alone."""
        with self._closing:
            self._closed = True
            self._asked.put(None)
        self._thread.join()

    def _run(self) -> None:
        together = 1
        while True:
            batch, last = self._gather(WINDOW if together > 1 else 0.0)
            if batch:
                together = len(batch)
                self._metrics.batches.observe(together)
                with self._metrics.stage("encode"):
                    self._answer(batch)
            if last:
                return

    def _gather(self, window: float) -> tuple[list[_Asked], bool]:
        """What is asked by now, at least one, or within a window; and whether that was all."""
        first = self._asked.get()
        if first is None:
            return [], True
        batch, size, deadline = [first], len(first.texts), time.monotonic() + window
        while size < MOST_TEXTS:
            try:
                left = deadline - time.monotonic()
                further = self._asked.get(timeout=left) if left > 0 else self._asked.get_nowait()
            except Empty:
                break
            if further is None:
                return batch, True
            batch.append(further)
            size += len(further.texts)
        return batch, False

    def _answer(self, batch: Sequence[_Asked]) -> None:
        """Encode what several asked; where that fails, each alone, so that it is told apart."""
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
